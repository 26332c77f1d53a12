"""Values as Hydra's grammar takes them, so that what was typed arrives as it was typed."""

import re
import shlex
from collections.abc import Mapping
from typing import Any


def pasted(key: str, value: str, text: bool = False) -> str:
    """key=value to be pasted into a shell, so that it arrives as it is; of a `text` key what is
    typed is the value."""
    plain = re.fullmatch(r"[\w./~-]+", value) and value.lower() not in ("null", "true", "false")
    return shlex.quote(f"{key}={value if text or plain else quoted(value)}")


def literal(kind: Any, value: str) -> str:
    """`value` in quotes; of a list, each part in quotes."""
    if kind in (list, Any) and re.fullmatch(r"\[.*\]", value):
        return f"[{','.join(quoted(part.strip()) for part in value[1:-1].split(','))}]"
    return quoted(value)


def quoted(value: str) -> str:
    """`value` as a string that neither Hydra's grammar nor OmegaConf's interpolation changes.

    To OmegaConf a backslash is special before ${ only, to Hydra before a quote only.
    """
    plain = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    closed = re.sub(r'(\\*)"', r'\1\1\\"', plain + '"')
    return f'"{closed[:-2]}"'


def escaped_keys(value: str) -> str:
    """A dict, or several of them, with the names in it escaped: {h.(10|11).*:2} is as typed.

    A name ends at the last colon before its value; a value has no mark of the grammar in it.
    """

    def escaped(pair: re.Match[str]) -> str:
        name = re.sub(r"\\*[()\[\]{},:=\s]", lambda m: m[0][:-1] * 2 + "\\" + m[0][-1], pair[2])
        return f"{pair[1]}{name}:{pair[3]}"

    return re.sub(r"([{,]+\s*)(.+?)\s*:\s*([^\s:,{}()]+)(?=\s*[,}])", escaped, value)


def as_typed(keys: Mapping[str, Any], several: bool = False) -> list[str]:
    """Keys of Python's keywords and their values as overrides: lora__rank=8 is lora.rank=8.

    Args:
        several: a list has the values of a sweep, and is no value.
    """
    typed = []
    for key, value in keys.items():
        each = value if several and isinstance(value, (list, tuple)) else [value]
        typed.append(f"{key.replace('__', '.')}={','.join(map(in_grammar, each))}")
    return typed


def in_grammar(value: Any) -> str:
    """A value as it is typed; of a text what is typed is the text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{in_grammar(own)}' for key, own in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(quoted(str(part)) for part in value)}]"
    plain = re.fullmatch(r"[\w.+/-]*", str(value))
    return str(value) if plain else quoted(str(value))
