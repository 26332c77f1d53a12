"""How fast and how far it trains: the bar that shows it, one line of 80 columns with loss and
accuracy, or what tells it to whoever shows a whole sweep."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, ProgressColumn, TimeRemainingColumn

from loraexp.data.batching import Batch
from loraexp.runtime.notebook import Panel, in_notebook

# What is logged -> what it is called beside the bar, and its digits.
SHOWN = {
    "train_loss": ("loss", 3),
    "train_accuracy": ("acc", 2),
    "texts_per_second": ("texts/s", 0),
}


class Progress(RichProgressBar):
    """Lightning's bar with short names and without its batches a second."""

    def __init__(self) -> None:
        super().__init__(leave=True)

    def _get_train_description(self, current_epoch: int) -> str:  # Lightning's: Epoch 0/2
        return f"Epoch {current_epoch + 1} of {self.trainer.max_epochs}"

    @property
    def test_description(self) -> str:
        """Which split it is that is measured."""
        split = getattr(self.trainer.lightning_module, "measuring", "")
        return f"Measuring {split}".rstrip()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        logged: dict[str, Any] = dict(super().get_metrics(trainer, pl_module))
        return {
            name: f"{float(logged[key]):.{digits}f}"
            for key, (name, digits) in SHOWN.items()
            if key in logged
        }

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        text, _, completed, *_ = super().configure_columns(trainer)
        return [text, BarColumn(bar_width=16), completed, TimeRemainingColumn()]


@contextmanager
def bar() -> Iterator[Callback | None]:
    """What shows how far a training is, where somebody looks: on a terminal, or in a notebook's
    cell, which it leaves as it was."""
    if in_notebook():
        cell = InCell()
        yield Steps(cell)
        cell.panel.clear()
    else:
        yield Progress() if sys.stdout.isatty() else None


class InCell:
    """A bar of HTML, drawn anew twice a second: neither ipywidgets nor tqdm is needed for it."""

    def __init__(self) -> None:
        self.panel, self.last = Panel(), 0.0

    def __call__(
        self,
        what: str,
        step: int = 0,
        steps: int = 0,
        speed: float | None = None,
        loss: float | None = None,
    ) -> None:
        now = time.monotonic()
        if step not in (0, steps) and now - self.last < 0.5:
            return
        self.last = now
        words = [what, *([f"step {step}/{steps}"] if steps else ())]
        words += [f"{speed:.0f} texts/s"] if speed else []
        told = ", ".join(words)
        share = f' value="{step}" max="{steps}"' if steps else ""
        self.panel.show(f"<progress{share}></progress> {told}", told)


class Seconds(Callback):
    """How long a run has trained, what it did before it was cut short included.

    Args:
        clock: of the run.
    """

    state_key = "Timer"  # Lightning's own, of which checkpoints of before have the state

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock, self.before = clock, 0.0
        self.began: float | None = None
        self.ended: float | None = None

    @property
    def elapsed(self) -> float:
        if self.began is None:
            return self.before
        return self.before + (self.clock() if self.ended is None else self.ended) - self.began

    def state_dict(self) -> dict[str, Any]:
        return {"time_elapsed": {"train": self.elapsed}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.before = state_dict["time_elapsed"]["train"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = self.clock()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.ended = self.clock()


class Throughput(Callback):
    """Training speed in texts a second, without validation; the first step is warm-up.

    Args:
        clock: of the run.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.texts, self.seconds, self.last = 0, 0.0, 0.0

    @property
    def texts_per_second(self) -> float | None:
        return self.texts / self.seconds if self.seconds else None

    def state_dict(self) -> dict[str, Any]:
        return {"texts": self.texts, "seconds": self.seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.texts, self.seconds = state_dict["texts"], state_dict["seconds"]

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int
    ) -> None:
        self.last = self.clock()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        if trainer.global_step > 1:
            self.texts += len(batch.classes) * trainer.world_size
            self.seconds += self.clock() - self.last
            if is_shown(trainer, trainer.global_step):
                pl_module.log("texts_per_second", self.texts / self.seconds, prog_bar=True)


def is_shown(trainer: Trainer, step: int) -> bool:
    """Whether anybody reads what is logged of a step, counted from 1: the curves do of some, a bar
    of each. Lightning takes as long to log a number as a small layer to compute."""
    every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
    return trainer.progress_bar_callback is not None or step % every == 0


class Steps(Callback):
    """Tells how far a run is. It asks no device for a number, for that would wait for it; but for
    the loss, where it tells now and then.

    Args:
        tell: what it does, then step, steps in this epoch and texts a second where it trains, and
            the loss if it is known.
        every: so many seconds; 0 is each step. The first step is told in any case.
        clock: in seconds.
    """

    def __init__(
        self,
        tell: Callable[..., None],
        every: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tell, self.every, self.clock = tell, every, clock

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        meters = (one for one in trainer.callbacks if isinstance(one, Throughput))  # type: ignore[attr-defined]
        self.meter = next(meters, None)
        self.told: float | None = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        now, first = self.clock(), self.told is None
        if self.told is not None and now - self.told < self.every:
            return
        self.told = now
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        speed = self.meter and self.meter.texts_per_second
        loss = float(outputs["loss"]) if self.every and not first else None
        self.tell(epoch, index + 1, trainer.num_training_batches, speed, loss)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.tell("measuring")
