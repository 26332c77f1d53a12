"""Hydra's words for several values as the space of a search: what may be drawn of each key."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from loraexp.config.overrides import line, values
from loraexp.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def check_space(swept: Sequence[Override]) -> None:
    """Raises:
    UserError: nothing to search over, a seed, or an interval that has no inside.
    """
    if not swept:
        raise UserError(
            "search.trials needs a key with several values beside it, as lora.rank=2,4,8, "
            "'optim.lr=tag(log,interval(1e-4,1e-2))' or 'lora.alpha=range(1,64)'"
        )
    for override in swept:
        if override.key_or_group == "seed":
            raise UserError(f"{line(override)}: a search repeats a setting by search.seeds=N")
        between = override.value()
        if isinstance(between, IntervalSweep) and not ordered(between.start, between.end):
            raise UserError(f"{line(override)}: the first must not be above the second")


def ordered(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low <= high


def ends(override: Override) -> list[str]:
    """The values of a search's key that are checked beforehand: all that are listed, the ends of an
    interval; of real numbers the next to each end, for neither is drawn but by chance."""
    between = override.value()
    if not isinstance(between, IntervalSweep):
        found = values(override)
    elif whole(between.start, between.end):
        found = [str(between.start), str(between.end)]
    else:
        low, high = float(between.start or 0), float(between.end or 0)
        found = [repr(math.nextafter(low, high)), repr(math.nextafter(high, low))]
    return [f"{override.key_or_group}={value}" for value in found]


def whole(*numbers: Any) -> bool:
    return all(isinstance(number, int) for number in numbers)


def distributions(swept: Sequence[Override]) -> dict[str, "BaseDistribution"]:
    """Optuna's of each key: an interval (tag(log,...): by its logarithm), a range of steps whose
    end is left out as everywhere in Hydra, or one of the values as they were typed.

    Raises:
        UserError: of Optuna, as of a logarithm of 0.
    """
    try:
        return {override.key_or_group: distribution(override) for override in swept}
    except ValueError as error:
        raise UserError(f"a search cannot draw that: {str(error).splitlines()[0]}") from None


def distribution(override: Override) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    several: Any = override.value()
    if isinstance(several, IntervalSweep):
        low, high, log = several.start, several.end, "log" in several.tags
        kind = IntDistribution if whole(low, high) else FloatDistribution
        return kind(low, high, log=log)  # type: ignore[arg-type]
    if isinstance(several, RangeSweep) and several.step > 0 and len(steps := values(override)) > 1:
        if whole(several.start, several.stop, several.step):
            return IntDistribution(int(steps[0]), int(steps[-1]), step=int(several.step))
        return FloatDistribution(float(steps[0]), float(steps[-1]), step=several.step)
    return CategoricalDistribution(values(override))


def typed_as(drawn: Mapping[str, Any]) -> list[str]:
    """What was drawn as overrides."""
    return [f"{key}={value}" for key, value in drawn.items()]
