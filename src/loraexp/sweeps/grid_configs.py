"""The typed configs of a grid's jobs: Hydra composes what several jobs share once, and each job's
own plain values are set in it, where that is the same as to compose every job from its start."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import reduce
from typing import Any

from omegaconf import DictConfig, OmegaConf

from loraexp.config.compose import composed, to_typed
from loraexp.config.keys import Verb, keys
from loraexp.config.overrides import kind_of, parsed

Job = Sequence[str]


def grid_configs(verb: Verb, grid: Sequence[Job], fixed: Job, whole: DictConfig) -> Iterator[Any]:
    """The config of each job, not checked yet, in the order of the grid.

    Args:
        fixed: the overrides of which `whole` was composed.

    Raises:
        UserError: of the first job that cannot be composed, as Hydra says it of that job alone.
    """
    plain = plain_keys(verb, grid)
    frames: dict[tuple[str, ...], Frame] = {}
    for job in grid:
        if [*job] == [*fixed]:
            yield to_typed(whole)
            continue
        shared = tuple(text for text in job if key_of(text) not in plain)
        if shared not in frames:
            frames[shared] = Frame(verb, shared)
        own = [text for text in job if key_of(text) in plain]
        yield frames[shared].with_values(own) or to_typed(composed(verb.name, [*job]))


def key_of(text: str) -> str:
    return text.partition("=")[0]


def plain_keys(verb: Verb, grid: Sequence[Job]) -> set[str]:
    """The swept keys whose value changes nothing but itself: single ones, or lists, that no other
    override is above or below of, and of no job a reference to another key or a lack of a value."""
    values: dict[str, set[str]] = {}
    for job in grid:
        for text in job:
            values.setdefault(key_of(text), set()).add(text)
    leaves = {name for name, _ in keys(verb.schema)}
    return {
        key
        for key, texts in values.items()
        if len(texts) > 1
        and key in leaves
        and kind_of(verb, key) not in ("group", dict)
        and not any(other.lstrip("+~").startswith(f"{key}.") for other in values)
        and not any({*text} & {*"$?{"} for text in texts)
    }


class Frame:
    """What jobs share, composed when the first of them asks; how each value reads is kept.

    Args:
        shared: their common overrides.
    """

    def __init__(self, verb: Verb, shared: Job) -> None:
        self.verb, self.shared = verb, shared
        self.known: dict[str, Any] = {}
        self.config: DictConfig | None = None
        self.base: Any = None

    def compose(self) -> None:
        self.config = composed(self.verb.name, [*self.shared])
        self.base = to_typed(self.config)
        if "$" in OmegaConf.to_yaml(self.config):  # one key's value hangs on another's
            self.base = None

    def with_values(self, own: Job) -> Any:
        """The config of a job; None where it is to be composed as a whole: it is wrong, perhaps, or
        needs what is its own to be right."""
        try:
            if self.config is None:
                self.compose()
            made = deepcopy(self.base)
            for text in own if made else ():
                if text not in self.known:
                    self.known[text] = self.read(text)
                *groups, last = key_of(text).split(".")
                setattr(reduce(getattr, groups, made), last, deepcopy(self.known[text]))
        except Exception:  # whatever it is: Hydra says it of the whole job
            return None
        return made

    def read(self, text: str) -> Any:
        """The value of an override as the schema's type has it."""
        override, key = parsed(text), key_of(text)
        assert override is not None
        assert self.config is not None
        OmegaConf.update(self.config, key, override.value(), merge=True)
        value = OmegaConf.select(self.config, key, throw_on_missing=True)
        return OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
