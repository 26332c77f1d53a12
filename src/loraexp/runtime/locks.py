"""One process at a time holds a folder: by flock where the file system has it, and by a lease where
it has none or other machines may see the folder, for a flock may be known to one of them alone."""

import errno
import logging
import os
import sys
import time
from functools import cache
from pathlib import Path

from loraexp.runtime import lease as leases
from loraexp.runtime.lease import OPEN, Held, Lease, alive, read

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

log = logging.getLogger("loraexp")
LOCK, LEASE = ".lock", ".lease"
POLL = 0.05  # seconds between attempts to have a flock
MOUNTS = Path("/proc/self/mountinfo")
NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
# File systems that several machines share, as Linux calls them; fuse is all of fuse.*.
SHARED = "nfs nfs4 cifs smb3 lustre beegfs gpfs ceph fuse 9p virtiofs afs orangefs gfs2 ocfs2"


class Lock:
    """On a folder, by files in it; its process ends, and it is free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number: int | None = None  # of the open file that has the flock
        self.lease: Lease | None = None

    def acquire(self, patient: bool = False) -> None:
        """Hold it, or wait until nobody else does. Of a process on another machine it takes up to
        PERIOD to see that it lives, and SPAN to see that it does not.

        Raises:
            Held: another process holds it, and `patient` is False.
            FileNotFoundError: the folder is not there.
        """
        try:
            flock = self.take_flock(patient)
            if not flock:
                tell(leases.PERIOD, leases.SPAN)
            if not flock or shared(self.folder):
                self.lease = leases.take(self.folder / LEASE, patient)
                os.close(opened(self.folder / LOCK))  # who held it before may have removed it
        except BaseException:
            self.release()
            raise

    def take_flock(self, patient: bool) -> bool:
        """False where the file system has none."""
        while True:
            self.number, failed = opened(self.folder / LOCK), 0
            try:
                exclusive(self.number)
                if os.fstat(self.number).st_nlink:  # it was not removed before it was ours
                    return True
            except OSError as error:
                failed = error.errno or 0
                if failed not in (*NO_FLOCK, errno.EAGAIN, errno.EACCES):
                    raise
            os.close(self.number)
            self.number = None
            if failed in NO_FLOCK:
                return False
            if failed and not patient:
                raise Held("")
            time.sleep(POLL if failed else 0)

    @property
    def held(self) -> bool:
        """Is it still? False if another machine took it over, as this process seemed dead.

        Raises:
            OSError: the disk does not tell.
        """
        return self.lease is None or self.lease.renew()

    @property
    def busy(self) -> bool:
        """Does another process hold it? One of another machine that has died counts as one that
        does: only `acquire` has the time to tell."""
        try:
            if self.take_flock(patient=False) and not shared(self.folder):
                return False
            return alive(read(self.folder / LEASE)) is not False
        except Held:
            return True
        except OSError:  # no lease, or a disk that can only be read
            return False
        finally:
            self.release()

    def release(self) -> None:
        if self.lease is not None:
            self.lease.release()
        if self.number is not None:
            os.close(self.number)
        self.lease = self.number = None


def exclusive(number: int) -> None:
    """flock, without waiting."""
    if sys.platform == "win32":
        msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)


def opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | OPEN, 0o666)


@cache
def tell(period: float, span: float) -> None:
    log.info(
        f"this file system has no flock: runs are held by files, renewed every {period:g} s, which "
        f"others take over after {span:g} s of silence"
    )


def shared(folder: Path) -> bool:
    """May other machines see it, by the type of its file system? Told on Linux alone."""
    device = folder.stat().st_dev
    try:
        mounts = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return False
    name, types = f"{os.major(device)}:{os.minor(device)}", SHARED.split()
    found = [line.partition(" - ")[2] for line in mounts if line.split()[2] == name]
    return any(kind.split()[0].partition(".")[0] in types for kind in found)
