"""Files that are written whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loraexp.errors import UserError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        partial.touch()
        mode = partial.stat().st_mode  # any new file's: some libraries make theirs private
        partial.unlink()
        yield partial
        partial.chmod(mode)
        with partial.open("rb") as stream:
            os.fsync(stream.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogatepass")


def check_new(path: Path, key: str, text: str | None = None) -> bool:
    """Whether `path` is still to be written: False where it holds `text` already.

    Raises:
        UserError: anything else is there; what exists is never written over.
    """
    if not os.path.lexists(path):
        return True
    if text is not None and path.is_file():
        content = text.encode("utf-8", "surrogatepass")
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return False
    what = "a folder" if path.is_dir() else "there already"
    raise UserError(f"{key}: {path} is {what}, and nothing is written over; choose another name")
