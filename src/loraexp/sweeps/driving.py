"""A sweep without who typed it: its folder knows the command and who drives it, so that it goes on
in the background, or after whatever ended the command."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loraexp.errors import UserError
from loraexp.runtime.atomic import read_text, write_whole
from loraexp.runtime.lease import Held
from loraexp.runtime.locks import Lock
from loraexp.sweeps.plan import TRAIN, Plan, plan
from loraexp.sweeps.shown.next_step import command
from loraexp.sweeps.sweep_folder import TRIALS, Sweep

COMMAND, DRIVER, LOG = "command.json", "driver.json", "log.txt"


def keep_command(folder: Path, planned: Plan) -> None:
    """What was typed, and where: `resume` does it again. Nothing of a sweep that nobody typed."""
    if planned.overrides:
        content: dict[str, Any] = {"overrides": planned.overrides, "directory": str(Path.cwd())}
        if rule := planned.protocol.search:
            content[TRIALS] = (rule.trials or 0) * rule.seeds
        write_whole(folder / COMMAND, json.dumps(content, indent=1) + "\n")


def again(folder: Path) -> Plan:
    """The plan of a sweep that was begun, to go on in the same folder, and here.

    Raises:
        UserError: a sweep that nobody typed, another directory, or keys that there are no more.
    """
    content = content_of(folder / COMMAND)
    if content is None:
        raise UserError(f"sweep={folder}: it does not say what was typed; type that again")
    planned = plan(TRAIN, [*map(str, content["overrides"]), "-m"])
    assert planned.sweep is not None
    if planned.sweep.parents[1].resolve() != folder.resolve().parents[1]:
        raise UserError(
            f"sweep={folder}: it was typed in {content['directory']}: resume it from there"
        )
    launcher = replace(planned.protocol.launcher, wait=True)
    protocol = replace(planned.protocol, launcher=launcher)
    return replace(planned, sweep=folder, protocol=protocol)


@contextmanager
def driven(folder: Path, alone: bool = True) -> Iterator[bool]:
    """While the block lasts this process drives the sweep, and no other does; says whether it does.

    Args:
        alone: a process that does not drive it has nothing to do with it.

    Raises:
        UserError: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder)
    try:
        lock.acquire()
    except Held:
        if not alone:
            yield False
            return
        driver = Driver.of(folder)
        raise UserError(f"sweep={folder}: {driver or 'another process'} drives it") from None
    try:
        Driver(socket.gethostname(), os.getpid()).write(folder)
        yield True
    finally:
        (folder / DRIVER).unlink(missing_ok=True)
        lock.release()


@dataclass(frozen=True)
class Driver:
    """The process that drives a sweep."""

    host: str
    pid: int
    starts: bool = False  # it has read its libraries first, and holds nothing yet

    def write(self, folder: Path) -> None:
        write_whole(folder / DRIVER, json.dumps(asdict(self)) + "\n")

    @classmethod
    def of(cls, folder: Path) -> "Driver | None":
        """None where nobody does, as far as is seen from this machine."""
        content = content_of(folder / DRIVER)
        if content is None:
            return None
        host, pid, starts = content["host"], content["pid"], content.get("starts", False)
        driver = cls(str(host), int(pid), bool(starts))
        # Of another machine that has gone out nothing is known.
        there = not driver.is_here or Lock(folder).busy or (driver.starts and driver.lives)
        return driver if there else None

    @property
    def is_here(self) -> bool:
        return self.host == socket.gethostname()

    @property
    def lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except OSError:
            return False
        return True

    def __str__(self) -> str:
        return f"process {self.pid} of {self.host}"

    def end(self) -> None:
        """Ask it to stop, as Ctrl-C does: it takes back what it has handed over."""
        os.kill(self.pid, signal.SIGTERM)


def in_background(folder: Path) -> list[str]:
    """Start a process that drives the sweep, and survives this shell; returns what to tell.

    Its words are in log.txt of the folder.
    """
    own = [sys.executable, "-m", "loraexp", "sweep", "resume", f"sweep={folder}"]
    with (folder / LOG).open("a") as log:
        process = subprocess.Popen(
            own, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    Driver(socket.gethostname(), process.pid, starts=True).write(folder)
    names = ("status", "resume", "cancel")
    lines = [command("sweep", name, f"sweep={folder}") for name in names]
    return [
        f"process {process.pid} drives it, and writes to {shlex.quote(str(folder / LOG))}",
        f"How far is it, and its table:  {lines[0]}",
        f"To go on after a kill:         {lines[1]}",
        f"To end it:                     {lines[2]}",
    ]


def latest(output_dir: Path) -> Path:
    """The sweep that was begun last: by its name, of searches, which have none of a time, by when
    they were typed.

    Raises:
        UserError: there is none.
    """
    sweeps, searches = (output_dir.glob(f"{kind}/*/{COMMAND}") for kind in ("sweeps", "searches"))
    found = [*sorted(sweeps)[-1:], *searches]
    if not found:
        raise UserError(f"no sweep below {output_dir}: sweep=FOLDER names one")
    return max(found, key=lambda file: file.stat().st_mtime_ns).parent


def content_of(file: Path) -> dict[str, Any] | None:
    """Of a file of a sweep's folder; None where there is none.

    Raises:
        UserError: a damaged one.
    """
    if not os.path.lexists(file):
        return None
    try:
        content = json.loads(read_text(file.parent, file.name))
        return {**content}
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{file} is damaged: {error}") from None


def asked_of(sweep: Sweep) -> int | None:
    """Trials that a search is to have; None of another sweep."""
    trials = (content_of(sweep.folder / COMMAND) or {}).get(TRIALS)
    return None if trials is None else int(trials)
