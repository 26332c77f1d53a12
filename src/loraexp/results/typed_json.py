"""Is what was read from JSON of the types that were annotated?"""

from collections.abc import Callable
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def found(content: Any, path: str) -> Any:
    """The value at a dotted path of nested dicts."""
    for part in path.split("."):
        if not isinstance(content, dict) or part not in content:
            raise KeyError(path)
        content = content[part]
    return content


def fits(value: Any, hint: Any) -> bool:
    """Is a value read from JSON of an annotated type?"""
    return checker(hint)(value)


@cache
def checker(hint: Any) -> Callable[[Any], bool]:
    """The check for a type, put together once: a table reads records by the thousand."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return lambda value: True
    if kind is UnionType:
        options = [checker(option) for option in inner]
        return lambda value: any(option(value) for option in options)
    if kind in (dict, list) and inner[-1] is Any:
        return lambda value: isinstance(value, kind)
    if kind is dict:
        inside = checker(inner[1])
        return lambda value: isinstance(value, dict) and all(map(inside, value.values()))
    if kind is list and inner[0] is int:  # long ones: a class for every text
        return lambda value: isinstance(value, list) and {*map(type, value)} <= {int}
    if kind is list:
        inside = checker(inner[0])
        return lambda value: isinstance(value, list) and all(map(inside, value))
    allowed: Any = (int, float) if kind is float else kind
    return lambda value: isinstance(value, allowed) and (kind is bool or type(value) is not bool)
