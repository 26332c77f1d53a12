"""loraexp VERB --help: the groups with their options and the keys with their defaults."""

from typing import Any

from loraexp.config import SCHEMAS, walk
from loraexp.overrides import groups_of


def verb_help(verb: str, summary: str) -> str:
    """The text for one verb, at most 100 columns wide."""
    lines = [f"python -m loraexp {verb}: {summary}", ""]
    groups = groups_of(verb)
    if groups:
        lines += ["Groups (group=option):"]
        lines += [f"  {name:<12}{' | '.join(options)}" for name, options in groups.items()]
        lines.append("")
    lines.append("Keys (key=value), with the default; a group's option may set its own:")
    rows = [(f"{key}={show(value)}", rule["help"]) for key, value, rule in walk(SCHEMAS[verb]())]
    width = min(38, max(len(left) for left, _ in rows))
    for left, right in rows:
        if len(left) > width:
            lines.append(f"  {left}")
            left = ""
        lines.append(f"  {left:<{width}}  {right}")
    if verb == "train":
        lines += ["", "Several values and -m make a sweep: lora.rank=4,8,16 seed=0,1,2 -m"]
    return "\n".join(lines)


def show(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    return str(value)
