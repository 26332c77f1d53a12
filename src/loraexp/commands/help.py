"""loraexp VERB --help: the groups with their options and the keys with their defaults."""

from dataclasses import MISSING, Field, fields
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any

from loraexp.overrides import groups_of
from loraexp.rules import group_in, keys
from loraexp.schemas import SCHEMAS

NARROWEST, WIDEST = 80, 100
LEFT = 38  # of it for keys and defaults


def verb_help(verb: str, summary: str) -> str:
    """The text for one verb, as wide as the terminal: 80 to 100 columns."""
    columns = min(WIDEST, max(NARROWEST, get_terminal_size((WIDEST, 0)).columns))
    lines = [*wrap(f"python -m loraexp {verb}: {summary}", columns, subsequent_indent="  "), ""]
    groups = groups_of(verb)
    if groups:
        lines += ["Groups (group=option):"]
        for name, options in groups.items():
            first, *more = wrap(" | ".join(options), columns - 14)
            lines += [f"  {name:<12}{first}", *(f"  {'':<12}{words}" for words in more)]
            notes = note(SCHEMAS[verb], name)
            lines += [f"  {'':<12}{words}" for words in wrap(notes, columns - 14)]
        lines.append("")
    lines.append("Keys (key=value), with the default; a group's option may set its own:")
    rows = [(f"{key}={show(default(f))}", f.metadata["help"]) for key, f in keys(SCHEMAS[verb])]
    width = min(LEFT, max(len(left) for left, _ in rows))
    for left, right in rows:
        first, *more = wrap(right, columns - width - 4)
        if len(left) > width:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left:<{width}}  {first}")
        lines += [f"  {'':<{width}}  {words}" for words in more]
    if verb == "train":
        lines += ["", "Several values and -m make a sweep: lora.rank=4,8,16 seed=0,1,2 -m"]
    return "\n".join(lines)


def note(schema: type[Any], group: str) -> str:
    """What a group is for that may be left out: its keys alone do not say."""
    optional = [
        f for f in fields(schema) if f.name == group and group_in(f.type) and f.default is None
    ]
    return " ".join(f.metadata["help"] for f in optional)


def default(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()


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
