"""Tells a user how far a sweep is: on a terminal by one screen, elsewhere by a line when a job
begins, one when it ends, and one each half minute."""

import logging
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.text import Text

from loraexp.config.schema import Optim, TrainConfig
from loraexp.config.stored import plain
from loraexp.records.record import Failure, Record, Trial
from loraexp.results.settings import by_name, differs, flat, heading
from loraexp.results.short_paths import cut_path
from loraexp.runs.naming import config_hash
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.notebook import in_notebook
from loraexp.runtime.ranks import is_main_process
from loraexp.sweeps.live.board import Began, Board, Ended, Event, Known, Place, Stepped, Task
from loraexp.sweeps.live.cell import in_cell
from loraexp.sweeps.live.screen import at_step, lines, screen
from loraexp.sweeps.live.terminal import below, has_screen
from loraexp.sweeps.plan import Plan
from loraexp.sweeps.sweep_folder import duration, setting

log = logging.getLogger("loraexp")
EVERY = 30.0  # seconds, from line to line of a job where there is no screen
FEW = 4  # such lines each half minute, at most: of more jobs side by side each waits for its turn


class Watch:
    """Holds the board of a sweep and is told what happens in it; data alone, so that it may go to
    another process.

    Args:
        keys: of the config, which tell one job of the sweep from another.
        tuned: jobs differ in their learning rate as well.
        on_screen: there is a screen, and it shows what a job does.
    """

    def __init__(self, folder: str, keys: Sequence[str], tuned: bool, on_screen: bool) -> None:
        self.board = Board(folder, time.time())
        self.keys, self.tuned, self.on_screen = keys, tuned, on_screen
        self.told: dict[Place, float] = {}  # of each job, when a step of it was told last

    @classmethod
    def of(cls, planned: Plan, folder: Path, on_screen: bool) -> "Watch":
        configs = [flat(plain(config)) for config in planned.jobs]
        keys = [k for k in configs[0] if not k.startswith("logger.") and differs(k, configs)]
        tuned = planned.protocol.tune is not None
        return cls(str(folder), by_name(keys), tuned, on_screen)

    def know(self, configs: Sequence[TrainConfig], trial: bool = False) -> None:
        """These are the jobs of a kind, as far as is known."""
        self.tell(Known(trial, [None if there(c, trial) else cost(c) for c in configs]))

    def began(self, number: int, config: TrainConfig, trial: bool) -> Task:
        task = Task(trial, number, self.in_words(config, trial), cost(config))
        self.tell(Began(task, time.time()))
        return task

    def ended(self, task: Task, outcome: Record | Trial | Failure | None, found: bool) -> None:
        """None: it was ended early."""
        event = Ended(task, time.time(), found=found)
        if isinstance(outcome, Failure):
            event = replace(event, reason=outcome.reason)
        elif outcome is not None:
            own: dict[str, Any] = outcome.metrics
            scores = own if isinstance(outcome, Trial) else own["validation"]
            event = replace(event, accuracy=scores["accuracy"], loss=scores["loss"])
        self.tell(event)

    def steps(self, task: Task) -> Any:
        """A callback that tells what a job does; None where nobody looks."""
        if self.every is None:
            return None
        from loraexp.training.callbacks.progress import Steps  # lightning: not at start

        return Steps(lambda *now: self.tell(Stepped(task.place, *now)), self.every)

    @property
    def every(self) -> float | None:
        """How many seconds pass from step to step that is told; None where nobody looks."""
        return 0.0 if self.on_screen else EVERY

    def tell(self, event: Event) -> None:
        self.board = self.board.after(event)
        if (isinstance(event, Began | Stepped) and self.on_screen) or not is_main_process():
            return
        if isinstance(event, Stepped) and event.loss is not None:
            if not self.is_turn_of(event.place):
                return
            self.told[event.place] = time.time()
        failed = isinstance(event, Ended) and event.reason is not None
        for line in lines(self.board, event, time.time()):
            log.log(logging.ERROR if failed else logging.INFO, line)

    def is_turn_of(self, place: Place) -> bool:
        """Is a step of this job to be told now? One that hangs holds up no other's turn."""
        now, half_minute = time.time(), 0.9 * EVERY  # messages come a little early or late
        turns = math.ceil(len(self.board.running) / FEW)
        lately = sum(now - at < half_minute for at in self.told.values())
        return lately < FEW and now - self.told.get(place, -math.inf) >= turns * half_minute

    def shown(self, width: int, ascii: bool) -> Text:
        return screen(self.board, time.time(), width, ascii)

    def in_words(self, config: TrainConfig, trial: bool) -> str:
        own, keys = flat(plain(config)), self.keys
        if self.tuned:  # by another seed, and both by a rate of their own
            keys = [k for k in keys if not k.startswith("optim.lr") and not (trial and k == "seed")]
            own["lr"] = f"{config.optim.lr * config.optim.lr_factor:g}"
            keys = [*keys, "lr"]
        return (
            ", ".join(f"{heading(key)}={cut_path(setting(own[key]))}" for key in keys)
            or RunFolder.of(config).name
        )


class Unseen(Watch):
    """Of jobs that are no sweep's, and of which nobody is told."""

    def __init__(self) -> None:
        super().__init__("", (), tuned=False, on_screen=False)

    @property
    def every(self) -> float | None:
        return None

    def tell(self, event: Event) -> None:
        pass


def there(config: TrainConfig, trial: bool) -> bool:
    folder = RunFolder.of(config)
    return not config.rerun and (folder.scored if trial else folder.finished)


def cost(config: TrainConfig) -> str:
    """Equal of configs that differ in seed and optimizer alone."""
    return config_hash(replace(config, seed=0, optim=Optim()))


def steps_of_run() -> Any:
    """A callback that tells how far a single run is, a line now and then."""
    from loraexp.training.callbacks.progress import Steps  # lightning: not at start

    first: list[tuple[float, float]] = []  # when the first step was, and how far it was then

    def tell(*now: Any) -> None:
        event = Stepped((False, 0), *now)
        first.append((time.time(), event.done or 0.0))
        if event.loss is not None and event.done and event.done > first[0][1]:
            rate = (event.done - first[0][1]) / (time.time() - first[0][0])
            log.info(f"{at_step(event)}; about {duration((1 - event.done) / rate)} left")

    return Steps(tell, EVERY)


@contextmanager
def watching(planned: Plan, folder: Path) -> Iterator[Watch]:
    """Shows how the sweep goes on, while the block lasts."""
    others = planned.by_hydra or any(job.trainer.devices > 1 for job in planned.jobs)
    cell = in_notebook()
    on_screen = not others and is_main_process() and (cell or has_screen())
    watch, once = Watch.of(planned, folder, on_screen), Once()
    log.addFilter(once)
    try:
        with (in_cell if cell else below)(watch.shown) if on_screen else nullcontext():
            yield watch
    finally:
        log.removeFilter(once)


class Once(logging.Filter):
    """What each job of a sweep says in the same words is said by the first."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message, known = record.getMessage(), len(self.said)
        self.said.add(message)
        return record.levelno >= logging.ERROR or len(self.said) > known
