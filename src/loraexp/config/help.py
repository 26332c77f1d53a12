"""loraexp VERB --help: the groups with their options, the keys with their values in a plain run."""

from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path
from shutil import get_terminal_size
from textwrap import wrap as wrapped
from typing import Any

from omegaconf import OmegaConf

from loraexp.config.compose import conf_dir
from loraexp.config.keys import Verb, default_of, group_in, keys
from loraexp.config.overrides import default_options, groups_of

NARROWEST, WIDEST = 80, 100
LEFT = 38  # of it for keys and defaults
EMPTY = '""'  # a text of no letters
wrap = partial(wrapped, break_long_words=False, break_on_hyphens=False)


def verb_help(verb: Verb, summary: str) -> str:
    """The text for one verb, as wide as the terminal: 80 to 100 columns."""
    columns = min(WIDEST, max(NARROWEST, get_terminal_size((WIDEST, 0)).columns))
    lines = [
        *wrap(f"python -m loraexp {verb.name}: {summary}", columns, subsequent_indent="  "),
        "",
    ]
    groups = groups_of(verb)
    if groups:
        lines += ["Groups (group=option; * is what a plain run takes):"]
        taken = default_options(verb)
        for name, options in groups.items():
            marked = (option + "*" * (option == taken[name]) for option in options)
            first, *more = wrap(" | ".join(marked), columns - 14)
            lines += [f"  {name:<12}{first}", *(f"  {'':<12}{words}" for words in more)]
            notes = note(verb.schema, name)
            lines += [f"  {'':<12}{words}" for words in wrap(notes, columns - 14)]
        lines.append("")
    own = "as a plain run has them; a group's option may set its own"
    lines.append(f"Keys (key=value), {own if groups else 'with their defaults'}:")
    values = as_started(verb)
    rows = [
        (f"{key}={show(values[key]) or EMPTY}", f.metadata["help"]) for key, f in keys(verb.schema)
    ]
    width = min(LEFT, max(len(left) for left, _ in rows))
    for left, right in rows:
        first, *more = wrap(right, columns - width - 4)
        if len(left) > width:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left:<{width}}  {first}")
        lines += [f"  {'':<{width}}  {words}" for words in more]
    if verb.name == "train":
        lines += ["", "Several values and -m make a sweep: lora.rank=4,8,16 seed=0,1,2 -m"]
    return "\n".join(lines)


def note(schema: type[Any], group: str) -> str:
    """What a group is for that may be left out: its keys alone do not say."""
    optional = [
        f for f in fields(schema) if f.name == group and group_in(f.type) and f.default is None
    ]
    return " ".join(f.metadata["help"] for f in optional)


def as_started(verb: Verb) -> dict[str, Any]:
    """The value of each key in a plain run: what the verb's file says, else the option that its
    group takes, else the default. Hydra's composition gives the same, but in half the time of all
    that --help does."""
    values = {key: default_of(f) for key, f in keys(verb.schema)}
    for group, option in default_options(verb).items():
        if option is not None:
            values |= said(conf_dir() / group / f"{option}.yaml", f"{group}.")
    return values | said(conf_dir() / f"{verb.name}.yaml")


def said(file: Path, prefix: str = "") -> dict[str, Any]:
    """Keys and values of a file of conf/, by their full names; none of a file that is not there."""
    if not file.is_file():
        return {}
    whole = "@package _global_" in file.read_text(encoding="utf-8")
    content: Any = OmegaConf.to_container(OmegaConf.load(file))
    content.pop("defaults", None)
    return dict(leaves(content, "" if whole else prefix))


def leaves(content: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def show(value: Any) -> str:
    if value is None:
        return "null"
    if value == "???":
        return "(required)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return str(value)
