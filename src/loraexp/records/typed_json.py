"""Is what was read from JSON of the types that were annotated? If not: what is wrong, and where?"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from functools import cache
from itertools import chain
from reprlib import repr as short
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

# None, or where and what: ".lora.rank is no int"; " is no dict" is of the value itself.
Checker = Callable[[Any], str | None]


@dataclass(frozen=True)
class Within:
    """What an annotated number must lie in, ends included; a NaN lies nowhere."""

    low: float
    high: float


# JSON's numbers have no end; what counts with them has.
ENDS = {
    int: Within(-(2**63), 2**63 - 1),
    float: Within(-sys.float_info.max, sys.float_info.max),
}


def parsed(text: str) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is none, a key is there twice, or a number is none.
        RecursionError: it is nested deeper than Python reads.
    """
    return json.loads(text, object_pairs_hook=once, parse_constant=no_number)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{short(twice)} is there twice")
    return content


def no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def value_at(content: Any, path: str) -> Any:
    """The value at a dotted path of nested dicts."""
    for part in path.split("."):
        if not isinstance(content, dict) or part not in content:
            raise KeyError(path)
        content = content[part]
    return content


def check(content: dict[str, Any], hints: Mapping[str, Any]) -> None:
    """Raises:
    KeyError, TypeError: of the first path that is missing, or is not of its type.
    """
    for path, hint in hints.items():
        if wrong := checker(hint)(value_at(content, path)):
            raise TypeError(f"{path}{wrong}")


def fits(value: Any, hint: Any) -> bool:
    """Is a value read from JSON of an annotated type?"""
    return checker(hint)(value) is None


@cache
def checker(hint: Any) -> Checker:
    """The check for a type, put together once: a table reads records by the thousand.

    A dataclass is a dict of its keys and no others, a TypedDict one that has its keys; what is
    Annotated is what the annotation says.
    """
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind is Any:
        return lambda value: None
    if kind is NotRequired:
        return checker(inner[0])
    if kind is Annotated:
        return of_number(*inner) if isinstance(inner[1], Within) else checker(inner[1])
    if kind in ENDS:
        return of_number(kind, ENDS[kind])
    if kind in (dict, list):
        return of_each(kind, checker(inner[-1]))
    if is_dataclass(kind) or is_typeddict(kind):
        return of_keys(kind)
    wrong = f" is no {named(hint)}"
    if kind in (Union, UnionType):
        options = [checker(option) for option in inner]
        return lambda value: wrong if all(option(value) for option in options) else None
    return of_kind(kind, wrong)


def of_number(kind: type, ends: Within) -> Checker:
    types, low, high = {int, kind}, ends.low, ends.high

    def check(value: Any) -> str | None:
        if type(value) not in types:  # a bool is an int to isinstance
            return f" is no {named(kind)}"
        return None if low <= value <= high else " is out of range"

    def all_pass(values: list[Any]) -> bool:
        if not values or not {*map(type, values)} <= types:
            return False
        distinct = {*values}  # of classes there are few
        return low <= min(distinct) and max(distinct) <= high

    return with_quick(check, all_pass)


def of_kind(kind: Any, wrong: str) -> Checker:
    return with_quick(
        lambda value: None if isinstance(value, kind) else wrong,
        lambda values: {*map(type, values)} == {kind},
    )


def of_each(kind: Any, inside: Checker) -> Checker:
    parts: Callable[[Any], Any] = kind.items if kind is dict else enumerate
    all_pass = quick_of(inside) if kind is list else None

    def check(value: Any) -> str | None:
        if not isinstance(value, kind):
            return f" is no {named(kind)}"
        if all_pass and all_pass(value):
            return None
        for name, part in parts(value):
            if wrong := inside(part):
                return f".{printed(name)}{wrong}"
        return None

    def rows(values: list[Any]) -> bool:
        lists = {*map(type, values)} == {list}
        return lists and bool(all_pass and all_pass([*chain.from_iterable(values)]))

    return with_quick(check, rows) if all_pass else check


def of_keys(kind: Any) -> Checker:
    inside = {name: checker(hint) for name, hint in hints_of(kind).items()}
    needed = kind.__required_keys__ if is_typeddict(kind) else inside.keys()

    def check(value: Any) -> str | None:
        if not isinstance(value, dict):
            return " is no dict"
        for name, part in inside.items():
            if name in value:
                if wrong := part(value[name]):
                    return f".{name}{wrong}"
            elif name in needed:
                return f".{name} is missing"
        if not is_typeddict(kind) and len(value) > len(inside):
            return f".{printed(min(value.keys() - inside.keys()))} is too much"
        return None

    def columns(values: list[Any]) -> bool:
        if {*map(type, values)} != {dict} or any(v.keys() != inside.keys() for v in values):
            return False
        quick = {name: quick_of(part) for name, part in inside.items()}
        return all(pass_ and pass_([v[name] for v in values]) for name, pass_ in quick.items())

    return with_quick(check, columns)


def with_quick(check: Checker, all_pass: Callable[[list[Any]], bool]) -> Checker:
    """With a quick answer for long lists: do all of them pass? False may also mean that nobody
    knows."""
    check.all_pass = all_pass  # type: ignore[attr-defined]
    return check


def quick_of(check: Checker) -> Callable[[list[Any]], bool] | None:
    return getattr(check, "all_pass", None)


def printed(key: str | int) -> str:
    """A stranger's key in an error, or a place in a list."""
    plain = isinstance(key, int) or (key.isidentifier() and len(key) < 80)
    return str(key) if plain else short(key)


def named(hint: Any) -> str:
    """A type in an error: `int or None`."""
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(map(named, inner))
    if kind is Annotated:
        return named(inner[0])
    return "None" if kind is NoneType else kind.__name__
