"""What a method does between steps, driven without knowing which."""

from typing import Any

from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer

from loraexp.adapters.branches.base import Controller
from loraexp.data.batching import Batch


class MethodHooks(Callback):
    """Call a method's controller after every step of the optimizer, and keep its state."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.loaded: dict[str, Any] | None = None
        self.step = 0

    @property
    def state_key(self) -> str:
        return type(self.controller).__name__

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.step = trainer.global_step
        if self.loaded is not None:
            self.controller.load_state_dict(move_data_to_device(self.loaded, pl_module.device))

    def state_dict(self) -> dict[str, Any]:
        return self.controller.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loaded = state_dict  # until the network is on its device

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients still add up
        self.step = trainer.global_step
        self.controller.after_step(self.step, int(trainer.estimated_stepping_batches))
