"""The command line's parts by a verb's name."""

from typing import Any

from omegaconf import DictConfig

from loraexp.commands import find_verb, summaries
from loraexp.config import help, overrides
from loraexp.sweeps import plan as planning

SUMMARIES = summaries()
SCHEMAS = {name: find_verb(name).schema for name in SUMMARIES}


def plan(name: str, arguments: list[str]) -> planning.Plan:
    return planning.plan(find_verb(name), arguments)


def typed(name: str, config: DictConfig, given: tuple[str, ...] = ()) -> Any:
    return planning.typed(find_verb(name), config, given)


def groups_of(name: str) -> dict[str, list[str]]:
    return overrides.groups_of(find_verb(name))


def default_options(name: str) -> dict[str, str | None]:
    return overrides.default_options(find_verb(name))


def verb_help(name: str, summary: str) -> str:
    return help.verb_help(find_verb(name), summary)
