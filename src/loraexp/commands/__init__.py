"""One file a verb, and all that the verb is: its first line is its line of help, `run` is its call,
and what `run` takes has its keys, unless KEYS has more."""

import keyword
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, get_type_hints

if TYPE_CHECKING:
    from loraexp.config.keys import Verb


@cache
def summaries() -> dict[str, str]:
    """Every verb and its line of help, train first; none is imported for it."""
    verbs = {}
    for file in Path(__file__).parent.glob("*.py"):
        if file.stem != "__init__":
            with file.open(encoding="utf-8") as lines:
                words = next(lines).strip('"\n').removeprefix("loraexp ")
            name, _, summary = words.partition(": ")
            verbs[name] = summary.removesuffix(".")
    return dict(sorted(verbs.items(), key=lambda item: (item[0] != "train", item[0])))


def module_of(name: str) -> ModuleType:
    """Of a verb; a keyword is no name of a module, so import is in import_.py."""
    return import_module(f"{__name__}.{name}{'_' * keyword.iskeyword(name)}")


def with_key(name: str, typed: list[str]) -> list[str]:
    """What was typed after a verb, its first word with the key that may be left out: POSITIONAL."""
    key = getattr(module_of(name), "POSITIONAL", None)
    if key and typed and "=" not in typed[0] and not typed[0].startswith("-"):
        return [f"{key}={typed[0]}", *typed[1:]]
    return typed


def find_verb(name: str) -> "Verb":
    from loraexp.config.keys import Verb  # dataclasses: the list of verbs does without

    module = module_of(name)
    return Verb(name, getattr(module, "KEYS", None) or get_type_hints(module.run)["config"])
