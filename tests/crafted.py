"""A stranger's tools: records of which one part is another, and what is no file under its name."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
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


def fifo(file: Path) -> None:
    os.mkfifo(file)


def link_out(file: Path) -> None:
    (file.parents[2] / "elsewhere.json").write_text("{}")
    file.symlink_to(file.parents[2] / "elsewhere.json")


def sparse(file: Path) -> None:
    with file.open("wb") as stream:
        stream.truncate(2**40)


# By what is said of it.
NO_FILES: dict[str, Callable[[Path], None]] = {
    "no regular file": fifo,
    "is no regular file": lambda file: file.mkdir(),
    "leads out of its folder": link_out,
    "leads out of its folder, to /dev/zero": lambda file: file.symlink_to("/dev/zero"),
    "cannot be followed": lambda file: file.symlink_to(file),
    "cannot be followed: ": lambda file: file.symlink_to("gone.json"),
    "is too large": sparse,
}
