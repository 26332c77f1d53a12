"""What may be typed behind a verb, as data for tab completion: words and their values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from loraexp.config.help import note
from loraexp.config.keys import Verb, keys
from loraexp.config.overrides import groups_of
from loraexp.errors import listed

FILES = "<files>"  # as a value: any path


@dataclass(frozen=True)
class Word:
    """A key or a group (it ends in =), the front of several keys (in a dot), a flag, or the value
    that needs no key before it.

    Args:
        values: what stands behind it, none where anything may; FILES where a path does.
    """

    text: str
    help: str = ""
    values: tuple[str, ...] = ()


def words_of(verb: Verb) -> Iterator[Word]:
    """All that may stand behind a verb: groups first, then keys in their order."""
    leaves, groups = dict(keys(verb.schema)), groups_of(verb)
    if verb.word:
        for value in leaves[verb.word].metadata["choices"]:
            yield Word(value, leaves[verb.word].metadata["help"])
    for group, options in groups.items():
        help = note(verb.schema, group) or f"one of {listed(options, 5)}"
        yield Word(f"{group}=", help, tuple(options))
    fronts = dict.fromkeys(name.rpartition(".")[0] for name in leaves)
    for front in filter(None, fronts):
        yield Word(f"{front}.", "keys of this group")
    for name, field in leaves.items():
        if name in groups:
            continue
        kinds = {field.type, *get_args(field.type)}
        values = field.metadata["choices"] or (("true", "false") if bool in kinds else ())
        yield Word(f"{name}=", field.metadata["help"], values or (FILES,) * field.metadata["path"])
    if getattr(verb.schema, "many", False):
        yield Word("-m", "a sweep over all that has several values")
    yield Word("--help", "all keys, with their values in a plain run")


@dataclass(frozen=True)
class Table:
    """What a script of a shell is made of.

    Args:
        lines: of a verb, and of "" for the verbs: each word and its help.
        values: of all that have the same ones, each as verb, blank, key.
    """

    lines: Mapping[str, Sequence[tuple[str, str]]]
    values: Mapping[tuple[str, ...], Sequence[str]]


def table(verbs: Iterable[Verb], summaries: dict[str, str]) -> Table:
    lines = {"": [*summaries.items()]}
    values: dict[tuple[str, ...], list[str]] = {}
    for verb in verbs:
        words = [*words_of(verb)]
        lines[verb.name] = [(word.text, word.help) for word in words]
        for word in words:
            if word.values:
                values.setdefault(word.values, []).append(f"{verb.name} {word.text[:-1]}")
    return Table(lines, values)
