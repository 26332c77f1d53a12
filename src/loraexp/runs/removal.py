"""Remove a run's folder: at one stroke, never one that is held, and no file that anybody else has
left there."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from loraexp.errors import UserError, listed
from loraexp.records.inspection import FILE as INSPECTION
from loraexp.records.record import FAILED, FILE, SCORED, TRIAL_FAILED
from loraexp.runs.run_folder import CONFIG, RunFolder
from loraexp.runtime.locks import LEASE, LOCK

GONE = ".deleted-"  # leads the name of a folder that is being removed: no run is in it
PARTIAL = ".partial-"
# All that a run leaves, by the folder it is in.
OWN = {
    ".": {
        *(LOCK, LEASE, CONFIG, FILE, FAILED, SCORED, TRIAL_FAILED, "metrics.csv"),
        *("table.csv", "table.md", "loss.png", "loss.svg", "loss.pdf", INSPECTION),
    },
    "adapter": {"adapter_model.safetensors", "adapter.json"},
    "checkpoints": {"best.ckpt", "last.ckpt"},
}


def strangers(folder: Path) -> list[str]:
    """What lies in a run's folder that no run has written there: other names, and links and
    whatever else is no file, by any name."""
    found = []
    for path in entries(folder):
        place, name = path.parent.relative_to(folder).as_posix(), path.name
        mode = path.lstat().st_mode
        if S_ISDIR(mode):
            own = place == "." and name in OWN
        else:
            known = name in OWN.get(place, ()) or name.startswith(PARTIAL)
            own = known and S_ISREG(mode)
        if not own:
            found.append(path.relative_to(folder).as_posix())
    return sorted(found)


def entries(folder: Path) -> Iterator[Path]:
    """What is in a folder and in those of OWN; links are not followed."""
    for path in folder.iterdir():
        yield path
        if path.name in OWN and path.is_dir() and not path.is_symlink():
            yield from path.iterdir()


def remove(folder: Path) -> None:
    """Remove a run. A kill in the middle leaves it, or a folder that is none.

    Raises:
        Busy: another process trains it.
        UserError: a link, or a folder with files of others, which stays as it is.
    """
    check(folder)
    lock = RunFolder(folder).lock(patient=False)
    try:
        check(folder)  # as it is now that nobody else may write there
        number = 1
        while (gone := folder.with_name(f"{GONE}{number}-{folder.name}")).exists():
            number += 1
        folder.rename(gone)
    finally:
        lock.release()
    finish(gone)  # NFS keeps files in their folder as long as they are open, as ours were


def finish(gone: Path) -> None:
    """Remove what a removal has set aside: our files one by one, and a folder only if nothing is
    left in it.

    Raises:
        UserError: files of others.
    """
    check(gone)
    for path in [path for path in entries(gone) if not path.is_dir()]:
        path.unlink()
    for place in sorted(OWN, reverse=True):
        if (gone / place).is_dir():
            (gone / place).rmdir()


def check(folder: Path) -> None:
    if folder.is_symlink():
        raise UserError("it is a link")
    if others := strangers(folder):
        raise UserError(f"it holds what no run has written: {listed(others, 3)}")


def size(folder: Path) -> int:
    """Bytes of a run's files."""
    return sum(path.lstat().st_size for path in entries(folder) if not path.is_dir())


def walk(folder: Path, ends: Collection[str] = ()) -> Iterator[tuple[Path, set[str]]]:
    """Each folder below one and the names in it, but for those that are being removed.

    Args:
        ends: names of files; where one of them is, nobody looks further down.
    """
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(GONE)]
        inside = {*folders, *names}
        if not inside.isdisjoint(ends):
            folders.clear()
        yield Path(at), inside
