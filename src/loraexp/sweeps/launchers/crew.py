"""Who does the jobs of a sweep: this process, others of this machine, or another engine's."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job, launch
from loraexp.sweeps.launchers.elsewhere import Elsewhere, Silent
from loraexp.sweeps.launchers.workers import Workers
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.packs import do_together, packs

if TYPE_CHECKING:
    from loraexp.sweeps.launchers.elsewhere import Engine

Doing = Callable[[Sequence[Job]], None]  # does jobs, in any order, and comes back when all are done
PACKAGES = {"slurm": "submitit", "ray": "ray"}


def check_launcher(launcher: Launcher) -> None:
    """Raises:
    UserError: a launcher whose package is not installed.
    """
    package = PACKAGES.get(launcher.name)
    if package and find_spec(package) is None:
        raise UserError(
            f"launcher={launcher.name} needs {package}: pip install 'loraexp[{launcher.name}]'"
        )


@contextmanager
def crew(protocol: Protocol, watch: Watch, folder: Path = Path()) -> Iterator[Doing]:
    """Who does a sweep's jobs, pack by pack.

    Args:
        folder: of the sweep, where another engine leaves its logs.
    """
    workers, width = protocol.workers or 1, protocol.width or 1
    several: Workers | Elsewhere
    if protocol.launcher.name != "local":
        several = Elsewhere(engine_of(protocol.launcher, folder), width, watch)
    elif workers > 1:
        several = Workers(workers, width, watch)
    else:
        yield partial(here, width, watch)
        return
    try:
        yield several.do
    except Silent:
        several.dismiss()
        raise
    except BaseException:
        several.stop()
        raise
    several.dismiss()


def engine_of(launcher: Launcher, folder: Path) -> "Engine":
    check_launcher(launcher)
    if launcher.name == "ray":
        from loraexp.sweeps.launchers.ray import Ray  # an extra

        return Ray(launcher)
    from loraexp.sweeps.launchers.slurm import Local, Slurm  # an extra

    return (Local if launcher.cluster == "local" else Slurm)(launcher, folder.resolve())


def here(width: int, watch: Watch, jobs: Sequence[Job]) -> None:
    """One pack after another."""
    for pack in packs(jobs, width):
        for job in in_step(pack, watch) if len(pack) > 1 else pack:
            launch(job, watch)


def in_step(pack: Sequence[Job], watch: Watch) -> list[Job]:
    """Returns those that are to be done alone."""
    tasks = {job.place: watch.began(job.number, job.config, job.trial) for job in pack}
    return do_together(
        pack,
        lambda job: watch.steps(tasks[job.place]),
        lambda job, outcome: watch.ended(tasks[job.place], outcome, found=False),
    )
