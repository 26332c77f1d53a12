"""A stranger's tools: records of which one part is another, missing or too much."""

from collections.abc import Iterator
from typing import Any

GONE = object()  # in place of a value: the key is not there


def leaves(content: dict[str, Any], path: str = "") -> Iterator[str]:
    """The dotted paths of all that is no dict."""
    for key, value in content.items():
        yield from leaves(value, f"{path}{key}.") if isinstance(value, dict) else [path + key]


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The same content but for the value at a path, which may be a new one."""
    key, _, rest = path.partition(".")
    if rest:
        value = changed(content[key], rest, value)
    return {k: v for k, v in {**content, key: value}.items() if v is not GONE}
