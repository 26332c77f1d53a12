"""loraexp sweep: status, resume or cancel: a sweep that goes on without a terminal."""

import logging
import sys
from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.errors import UserError
from loraexp.runtime.escape import printable

log = logging.getLogger("loraexp")
WORD = "action"


@dataclass
class SweepConfig:
    """loraexp sweep"""

    action: str = one_of(
        "status",
        "status (how far it is, and its table so far)",
        "resume (go on here, whatever ended it)",
        "cancel (end it, and what a cluster has of it)",
    )
    sweep: str | None = key(None, "its folder; null: the latest below output_dir", path=True)
    output_dir: str = key("outputs", "folder for everything that is written", path=True)


def run(config: SweepConfig) -> None:
    """Look after one sweep.

    Raises:
        UserError: a folder that is none of a sweep.
    """
    from loraexp.sweeps.driving import latest

    folder = Path(config.sweep) if config.sweep else latest(Path(config.output_dir))
    if not folder.is_dir():
        raise UserError(f"sweep={folder}: no such folder")
    {"status": status, "resume": resume, "cancel": cancel}[config.action](folder)


def status(folder: Path) -> None:
    from loraexp.sweeps.driving import Driver, asked_of
    from loraexp.sweeps.shown.next_step import command
    from loraexp.sweeps.shown.so_far import of_search, of_sweep
    from loraexp.sweeps.sweep_folder import PLAN, Sweep

    sweep = Sweep(folder)
    if not (folder / PLAN).is_file():
        raise UserError(f"sweep={folder}: no sweep's folder, {PLAN} is missing")
    driver, asked = Driver.of(folder), asked_of(sweep)
    found = of_sweep(sweep) if asked is None else of_search(sweep, asked)
    print(printable(f"{folder}: {found.line}"))
    for number, table in enumerate(found.tables):
        print(*[""] * bool(number), table, sep="\n")
    if driver:
        print(printable(f"{driver} drives it"))
    elif not found.over:
        print(printable("nobody drives it: " + command("sweep", "resume", f"sweep={folder}")))


def resume(folder: Path) -> None:
    from loraexp.sweeps.driving import again
    from loraexp.sweeps.executor import run_sweep

    if not run_sweep(again(folder)):
        sys.exit(1)


def cancel(folder: Path) -> None:
    from loraexp.sweeps.driving import Driver, again
    from loraexp.sweeps.launchers.crew import engine_of
    from loraexp.sweeps.sweep_folder import Sweep

    driver = Driver.of(folder)
    if driver and not driver.is_here:
        raise UserError(f"sweep={folder}: {driver} drives it: cancel it on that machine")
    if driver:
        driver.end()
        log.info(f"{driver} was told to end")
        return
    names, launcher = Sweep(folder).given(), again(folder).protocol.launcher
    if not names:
        log.info("nobody drives it, and no cluster has anything of it")
        return
    engine = engine_of(launcher, folder)
    alive = engine.working(names)
    engine.cancel(alive)
    log.info(f"{len(alive)} packs were taken back from {engine.shown}")
