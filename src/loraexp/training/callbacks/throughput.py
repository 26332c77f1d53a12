"""How fast it trains."""

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from loraexp.data.batching import Batch


class Throughput(Callback):
    """Training speed in texts a second, without validation; the first step is warm-up."""

    def __init__(self) -> None:
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
        self.last = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        if trainer.global_step > 1:
            self.texts += len(batch.classes) * trainer.world_size
            self.seconds += time.perf_counter() - self.last
            pl_module.log("texts_per_second", self.texts / self.seconds, prog_bar=True)
