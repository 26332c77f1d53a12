"""What a sweep is made of: the values of each key, from an experiment and from what was typed."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from loraexp.config.compose import to_typed
from loraexp.config.keys import Verb
from loraexp.config.overrides import MOST_JOBS, cannot_read, line, parsed, values
from loraexp.config.sweep import Launcher, Search, Seeds, Tune
from loraexp.errors import UserError
from loraexp.sweeps.adaptive.space import check_space, ends

if TYPE_CHECKING:
    from loraexp.stats.looks import Looks

RATE, FACTOR, SEED = "optim.lr", "optim.lr_factor", "seed"


@dataclass(frozen=True)
class Protocol:
    """How the jobs of a sweep follow from one another; nothing of a plain grid.

    Args:
        tune: how each arm finds its learning rate.
        factors: of the rate, those that each arm tries first.
        seeds: when the arms are compared; the jobs are those of the last look.
        search: how many settings are drawn, and how.
        space: what a search draws from.
        fixed: what all settings of a search share, as typed.
        workers: processes that do the jobs; None: as suits them.
        width: jobs that one of them does in step; None: as suits them.
        launcher: whose processes they are.
    """

    tune: Tune | None = None
    factors: Sequence[float] = ()
    seeds: "Looks | None" = None
    search: Search | None = None
    space: Sequence[Override] = ()
    fixed: Sequence[str] = ()
    workers: int | None = 1
    width: int | None = 1
    launcher: Launcher = field(default_factory=Launcher)

    @property
    def asked(self) -> str | None:
        """The key that asks for it."""
        if self.search:
            return "search.trials"
        return "tune" if self.tune else "seeds" if self.seeds else None


def protocol_of(verb: Verb, config: DictConfig) -> Protocol:
    """How a sweep is tuned, its seeds and what it searches, as far as its keys say.

    Raises:
        UserError: a search that is to be tuned as well, looks that do not rise.
    """
    if not getattr(verb.schema, "many", False):
        return Protocol()
    tune: Tune | None = to_typed(config.tune) if config.tune else None
    seeds: Seeds | None = to_typed(config.seeds) if config.seeds else None
    search: Search = to_typed(config.search)
    workers = number_or_auto("workers", config.workers)
    launcher: Launcher = to_typed(config.launcher)
    if workers and launcher.name != "local":
        raise UserError(
            f"workers={workers} is for launcher=local; launcher={launcher.name} has "
            "launcher.at_once"
        )
    width = number_or_auto("pack.width", config.pack.width)
    if search.trials is None:
        looks = looks_of(seeds) if seeds else None
        return Protocol(tune, seeds=looks, workers=workers, width=width, launcher=launcher)
    if tune or seeds:
        word = "tune" if tune else "seeds"
        raise UserError(f"search.trials plans rates and seeds itself: leave out {word}")
    if (width or 1) > 1:
        raise UserError("search.trials tries one setting after another: leave out pack.width")
    if (workers or 1) > 1 and search.pruner != "none":
        raise UserError(
            f"search.pruner={search.pruner} needs workers=1, got {config.workers}: it compares a "
            "run with those before it"
        )
    return Protocol(search=search, workers=workers, width=width, launcher=launcher)


def number_or_auto(key: str, typed: Any) -> int | None:
    """What was typed of workers or pack.width; None: auto.

    Raises:
        UserError: no number from 1 on, and not auto.
    """
    if str(typed) == "auto":
        return None
    if not re.fullmatch("[0-9]{1,4}", str(typed)) or int(typed) < 1:
        raise UserError(f"{key} must be auto or a number from 1 to 9999, got {typed}")
    return int(typed)


def looks_of(seeds: Seeds) -> "Looks":
    from loraexp.stats.looks import Looks  # numpy: not at start

    return Looks(tuple(seeds.looks), seeds.bound)


def with_grid(
    protocol: Protocol, shell: DictConfig, overrides: list[Override]
) -> tuple[Protocol, list[list[str]]]:
    """The protocol with its factors or its space, and the overrides of each job; of a search, of
    the ends of what it may draw."""
    given = axes(shell, overrides)
    if protocol.search:
        space = [one for one in given if one.is_sweep_override()]
        fixed = [line(one) for one in overrides if not one.is_sweep_override()]
        check_space(space)
        grid = [fixed, *([*fixed, end] for one in space for end in ends(one))]
        return replace(protocol, space=space, fixed=fixed), grid
    if protocol.tune:
        factors = first_factors(protocol.tune, given, overrides)
        protocol = replace(protocol, factors=factors)
        given = [one for one in given if one.key_or_group != FACTOR]
    if protocol.seeds:
        check_seeds(overrides)
        given = [one for one in given if one.key_or_group != SEED or not one.is_sweep_override()]
    return protocol, jobs(given)


def first_factors(tune: Tune, swept: Sequence[Override], typed: Sequence[Override]) -> list[float]:
    """Of the learning rate, what every arm tries first: what was typed of it, else tune.factors.

    Args:
        swept: of what an experiment sweeps as well.
    """
    for one in swept:
        if one.key_or_group == RATE and one.is_sweep_override():
            raise UserError(f"{line(one)}: tune looks for it; sweep {FACTOR} or leave both out")
    own = [one for one in typed if one.key_or_group == FACTOR]
    if own and not own[-1].is_sweep_override():
        raise UserError(f"{line(own[-1])}: tune looks for it; tune=null takes it as it is")
    factors = [*map(float, values(own[-1]))] if own else tune.factors
    if len({*factors}) < 2 or min(factors) <= 0:
        raise UserError(f"tune.factors must be at least 2 above 0, got {factors}")
    return sorted({*factors})


def check_seeds(typed: Sequence[Override]) -> None:
    """Raises:
    UserError: seeds that are listed, where they are to be counted.
    """
    for one in typed:
        if one.key_or_group == SEED and one.is_sweep_override():
            raise UserError(f"{line(one)}: seeds=auto counts up from seed; leave one of them out")


def axes(shell: DictConfig, overrides: list[Override]) -> list[Override]:
    """What an experiment sweeps and what was typed; of a key that is set twice the last."""
    params = shell.sweeper.get("params") or {}
    given = [parsed(text) or cannot_read(text) for text in (f"{k}={v}" for k, v in params.items())]
    return [*{one.get_key_element(): one for one in [*given, *overrides]}.values()]


def jobs(given: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job of a grid sweep, in the order of Hydra's basic sweeper."""
    grid = []
    for one in given:
        key = one.get_key_element()
        found = values(one) if one.is_sweep_override() else [one.get_value_element_as_str()]
        grid.append([f"{key}={value}" for value in found])
    if math.prod(map(len, grid)) > MOST_JOBS:
        raise UserError(f"the sweep has more than {MOST_JOBS:,} jobs: make several of it")
    if not all(grid):
        raise UserError("the sweep is empty: one of its keys has no value")
    return [[*job] for job in itertools.product(*grid)]
