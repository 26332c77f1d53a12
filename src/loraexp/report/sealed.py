"""What we wrote and may write anew: a file ends in a mark over all before it, so that one that
somebody has changed, or that is not ours, is never overwritten."""

import os
import re
from hashlib import sha256
from pathlib import Path

from loraexp.errors import UserError

# A comment in HTML, Markdown and SVG.
MARK = "<!-- written by loraexp; sha256 of all above: {} -->\n"
MARKED = re.compile(re.escape(MARK).replace(r"\{\}", "([0-9a-f]{64})").encode() + rb"\Z")


def sealed(text: str) -> str:
    """The text with its mark."""
    return text + MARK.format(digest(text.encode("utf-8", "surrogatepass")))


def digest(content: bytes) -> str:
    return sha256(content).hexdigest()


def is_ours(file: Path) -> bool:
    """Is it as we wrote it?"""
    if not file.is_file():  # a pipe would never end
        return False
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - len(MARK) - 100))
        if not MARKED.search(stream.read().replace(b"\r\n", b"\n")):
            return False  # without reading what may be large
    content = file.read_bytes().replace(b"\r\n", b"\n")
    mark = MARKED.search(content)
    return mark is not None and mark[1].decode() == digest(content[: mark.start()])


def check_out(out: Path, folder: Path | None = None) -> None:
    """May `out` be written, and the figures in `folder` beside it? Asked before any work.

    Raises:
        UserError: something is there that is not ours, or nothing can be written there.
    """
    shown = str(out) if len(str(out)) <= 100 else f"{str(out)[:99]}…"
    try:
        if out.is_dir():
            raise UserError(f"out={shown} is a folder: name a file")
        if os.path.lexists(out) and not is_ours(out):
            raise UserError(
                f"out={shown} exists and is not a report of ours (or was edited): "
                "choose another out="
            )
        if folder is not None and (strange := others(folder)):
            raise UserError(
                f"out={shown}: {strange} is not a figure of ours (or was edited): "
                "choose another out="
            )
        near = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
        if not near.is_dir() or not os.access(near, os.W_OK | os.X_OK):
            raise UserError(f"out={shown}: no file can be written in {near}")
    except OSError as error:
        raise UserError(f"out={shown}: {error.strerror}") from None


def others(folder: Path) -> Path | None:
    """The first thing in a folder of figures that is not as we wrote it, or the folder itself."""
    if not os.path.lexists(folder):
        return None
    if not folder.is_dir():
        return folder
    seen = (file for file in sorted(folder.iterdir()) if not file.name.startswith("."))
    return next((file for file in seen if not is_ours(file)), None)
