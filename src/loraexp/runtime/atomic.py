"""Files that are written whole or not at all, and read only where they are files."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import Any

from loraexp.errors import UserError

LARGEST = 2**28  # bytes of a text that is read whole: a record of ten million test texts has less


@contextmanager
def whole(path: Path, new: bool = False) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` if the block succeeds.

    Args:
        new: take no place: FileExistsError where there is something.
    """
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
        put(partial, path, new)
    except Exception as error:
        if (plain := of_system(error, partial, path)) is not error:
            raise plain from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def put(partial: Path, path: Path, new: bool) -> None:
    if new:
        try:
            os.link(partial, path)  # unlike a look at it and a rename, this is one step
            return
        except OSError:  # some file systems have no links
            if os.path.lexists(path):
                raise
    partial.replace(path)


def of_system(error: Exception, partial: Path, path: Path) -> Exception:
    """The same error, of the file that was wanted; what safetensors says of a full disk is an
    OSError as everybody else's."""
    if said := re.search(r"\(os error (\d+)\)", str(error)):
        return OSError(int(said[1]), os.strerror(int(said[1])), str(path))
    if isinstance(error, OSError) and error.filename == str(partial):
        error.filename = str(path)
    return error


def write_whole(path: Path, text: str, new: bool = False) -> None:
    with whole(path, new) as partial:
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


def regular(folder: Path, name: str) -> Path:
    """The file `name` of a folder that may be a stranger's, looked at before anybody opens it: a
    fifo would never answer, a device never end, a link could show any file of this machine.

    Raises:
        UserError: no regular file, or a link to somewhere outside the folder.
        OSError: nothing is there.
    """
    file = folder / name
    mode = file.lstat().st_mode
    if S_ISLNK(mode):
        try:
            target = file.resolve()
            mode = file.stat().st_mode
        except (OSError, RuntimeError) as error:  # nothing there, or a link to itself
            raise UserError(f"{file} cannot be followed: {error}") from None
        if not target.is_relative_to(folder.resolve()):
            raise UserError(f"{file} leads out of its folder, to {target}")
    if not S_ISREG(mode):
        raise UserError(f"{file} is no regular file")
    return file


def read_text(folder: Path, name: str, most: int = LARGEST) -> str:
    """The whole of a text as `write_whole` writes it.

    Raises:
        UserError: as `regular`, or a file of more than `most` bytes.
        OSError, ValueError: it cannot be read, or is no UTF-8.
    """
    with regular(folder, name).open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise UserError(f"{folder / name} is too large: {size:,} bytes, at most {most:,}")
        return stream.read().decode("utf-8", "surrogatepass")


def file_hash(file: Path) -> str:
    """sha256 of a file's bytes."""
    with file.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def json_hash(value: Any) -> str:
    """sha256 over a value's one JSON, keys in order."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
