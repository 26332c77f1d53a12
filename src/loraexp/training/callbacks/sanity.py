"""Stop at once when a run cannot teach anything."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.learning import moving_first
from loraexp.adapters.targets import HEAD
from loraexp.data.batching import Batch
from loraexp.errors import UserError


class SanityChecks(Callback):
    """Silent failures of this field, made loud.

    Raises:
        UserError: the head or an adapter tensor is missing from the optimizer; the loss is not
            finite; a target's lora_B is still where it was after the first step (as under
            gradient checkpointing with frozen inputs).
    """

    def __init__(self) -> None:
        self.starts: dict[str, Tensor] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network = pl_module.get_submodule("network")
        tensors = adapter_tensors(network)
        if trainer.global_step == 0:
            moving = moving_first(network)
            self.starts = {name: p.detach().clone() for name, p in moving.items()}
        groups = trainer.optimizers[0].param_groups
        held = {id(parameter) for group in groups for parameter in group["params"]}
        lost = [name for name, parameter in tensors.items() if id(parameter) not in held]
        if lost or not any(name.startswith(f"{HEAD}.") for name in tensors):
            raise UserError(
                f"{(lost or [HEAD])[0]} is missing from the optimizer: it would not train"
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        loss = float(outputs["loss"])
        if not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss} at step {trainer.global_step}; try a lower optim.lr or "
                "trainer.precision=fp32"
            )
        # Texts of one token attend to nothing: q_proj and k_proj have no gradient there by right.
        if self.starts and trainer.global_step and int(batch.lengths.max()) > 1:
            check_moved(adapter_tensors(pl_module.get_submodule("network")), self.starts)
            self.starts = {}


def check_moved(tensors: Mapping[str, Tensor], starts: Mapping[str, Tensor]) -> None:
    """Every tensor that has a gradient at once must differ from its start after a step."""
    still = [name for name, start in starts.items() if torch.equal(tensors[name], start)]
    if still:
        raise UserError(
            f"{still[0]} did not move in the first step ({len(still)} such tensors): "
            "no gradient reaches it"
        )
