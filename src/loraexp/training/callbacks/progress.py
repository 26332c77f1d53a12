"""The progress bar: one line of 80 columns with loss, accuracy and texts a second."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from rich.progress import BarColumn, ProgressColumn, TimeRemainingColumn

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
