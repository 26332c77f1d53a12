"""A lease: a file that its holder keeps changing, so that other machines see that it lives."""

import errno
import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from loraexp.errors import cut

CLAIM = ".partial-lease-"
# Seconds: it is renewed after PERIOD, looked at by those who want it after LOOK, and taken over
# when it has looked the same for SPAN.
PERIOD, LOOK, SPAN = 10.0, 0.5, 60.0
LARGEST = 4096  # bytes of it that are read
OPEN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, no wait for a fifo


class Held(Exception):
    """Another process holds it; the words say which, where that is known."""


class Lease:
    """Held by whoever made the file, for as long as a thread renews it. Times of machines are never
    compared, only contents: a holder is dead if they stay the same for SPAN, as the looks of a
    watcher count it, or at once if it was a process of the watcher's own kernel that is gone.

    The file is changed in place, through what was open when it was made: what a holder writes that
    stood still and goes on reaches no file of whoever took over. `renew` writes and then looks
    whose file is there; `remove` moves the file and then looks whether it was written: one of the
    two sees the other.

    Args:
        path: of the file. number: the open file, just made.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number, self.count = path, number, 0
        self.token, self.holder = secrets.token_hex(16), identity()
        self.turn, self.over = threading.Lock(), threading.Event()

    @classmethod
    def make(cls, path: Path) -> "Lease":
        """Raises:
        FileExistsError, FileNotFoundError: there is one, or no folder for it.
        """
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN, 0o666)
        lease = cls(path, number)
        try:
            lease.renew()
        except BaseException:  # a full disk
            os.close(number)
            path.unlink(missing_ok=True)
            raise
        threading.Thread(target=lease.keep, daemon=True).start()
        return lease

    def keep(self) -> None:
        """Renew it until it is released or lost."""
        while not self.over.wait(PERIOD):
            with suppress(OSError):  # of a disk that is away: tried again
                if not self.renew():
                    return

    def renew(self) -> bool:
        """Is it ours still? It then is for SPAN more.

        Raises:
            OSError: the disk does not tell.
        """
        with self.turn:
            if self.over.is_set():
                return False
            self.count += 1
            content = {"token": self.token, "count": f"{self.count:012}", **self.holder}
            try:
                os.lseek(self.number, 0, os.SEEK_SET)
                os.write(self.number, json.dumps(content).encode() + b"\n")  # always as long
                os.fsync(self.number)
                return self.token.encode() in read(self.path)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ESTALE):
                    return False
                raise

    def release(self) -> None:
        with suppress(OSError):
            if self.renew():
                self.path.unlink(missing_ok=True)
        with self.turn:
            if not self.over.is_set():
                self.over.set()
                os.close(self.number)


def take(path: Path, patient: bool) -> Lease:
    """A lease, as soon as nobody else has it.

    Raises:
        Held: another process lives and has it, and `patient` is False.
        FileNotFoundError: there is no folder for it.
    """
    last: tuple[bytes, bool] | None = None
    looks, changed = 0, False
    while True:
        try:
            return Lease.make(path)
        except FileExistsError:
            with suppress(FileNotFoundError):
                seen = read(path)
                claim = path.with_name(f"{CLAIM}{sha256(seen).hexdigest()[:16]}")
                now = seen, os.path.lexists(claim)
                looks = looks + 1 if now == last else 0
                changed |= last is not None and seen != last[0]
                last = now
                lives, still = alive(seen), looks * LOOK >= SPAN
                if now[1] and still:  # who was about to take it over was killed
                    claim.unlink()
                elif not now[1] and (lives is False or (still and not lives)):
                    remove(path, seen, claim)
                    continue
                elif not patient and (lives or changed):
                    raise Held(words(seen)) from None
                time.sleep(LOOK)


def remove(path: Path, seen: bytes, claim: Path) -> None:
    """Remove a dead lease. Of those who have seen it die the one that makes `claim`, a name for its
    content, does so; what was changed at the last moment is put back."""
    try:
        os.close(os.open(claim, os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN, 0o666))
    except FileExistsError:
        return
    try:
        with suppress(FileNotFoundError):  # its holder did it
            if read(path) == seen:
                path.replace(claim)
                if read(claim) != seen:
                    with suppress(OSError):  # another is there, or a system without links
                        os.link(claim, path)
    finally:
        claim.unlink(missing_ok=True)


def read(path: Path) -> bytes:
    number = os.open(path, os.O_RDONLY | OPEN)
    try:
        return os.read(number, LARGEST)
    finally:
        os.close(number)


def identity() -> dict[str, Any]:
    """This process: the machine's name for people, and its kernel (as it was booted, and whose
    process numbers are meant) for other processes of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        kernel = f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        kernel = ""
    pid = os.getpid()
    return {"host": socket.gethostname(), "kernel": kernel, "pid": pid, "start": started(pid)}


def started(pid: int) -> str | None:
    """When a process of this kernel began, in its own count: numbers are used again. None where
    that is not told, or it is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if stat[0] in "ZX" else stat[19]


def alive(content: bytes) -> bool | None:
    """Does the holder live? None of one that this kernel does not know."""
    try:
        holder, here = json.loads(content), identity()
        if not here["kernel"] or holder["kernel"] != here["kernel"]:
            return None
        start = started(int(holder["pid"]))
        # One of another user may be hidden in /proc, yet answers.
        return start == holder["start"] if start else (None if answers(holder["pid"]) else False)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None


def answers(pid: int) -> bool:
    """Is there a process of this number that does not belong to us?"""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        return False
    return False  # ours, and a zombie


def words(content: bytes) -> str:
    try:
        holder = json.loads(content)
        return f"another process, {int(holder['pid'])} on {cut(str(holder['host']))}"
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
