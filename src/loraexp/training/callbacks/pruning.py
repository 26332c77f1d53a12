"""End a run of a search early that is behind the others at the same epoch."""

from collections.abc import Callable

from lightning.pytorch import Callback, LightningModule, Trainer


class Pruned(Exception):
    """A run was ended early; it has no result, and that is no failure."""


class Pruning(Callback):
    """Asks after each epoch but the last whether to go on.

    Args:
        behind: told an epoch, from 0, and its validation loss: is that behind?

    Raises:
        Pruned: it is.
    """

    def __init__(self, behind: Callable[[int, float], bool]) -> None:
        self.behind = behind

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch, last = trainer.current_epoch, (trainer.max_epochs or 0) - 1
        if trainer.sanity_checking or epoch >= last:
            return
        if self.behind(epoch, float(trainer.callback_metrics["val_loss"])):
            raise Pruned
