"""A file system without flock, for this process; as a program: a process that holds a folder there,
until its standard input ends."""

import errno
import fcntl
import os
import runpy
import sys
from pathlib import Path
from typing import Any

from loraexp.runtime import lease
from loraexp.runtime.lease import Held
from loraexp.runtime.locks import Lock


def refuse(*_: Any) -> None:
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))


def hold(folder: Path) -> None:
    lock = Lock(folder)
    try:
        lock.acquire()
    except Held:
        print("refused", flush=True)
        return
    print("held", flush=True)
    sys.stdin.read()
    lock.release()


if __name__ == "__main__":
    fcntl.flock = refuse
    if sys.argv[1] == "hold":
        hold(Path(sys.argv[2]))
    else:  # a command of loraexp
        lease.LOOK = 0.05
        runpy.run_module("loraexp", run_name="__main__", alter_sys=True)
