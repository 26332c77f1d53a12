"""One network in parts on several processes (FSDP2), each whole only while a block computes."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer
from torch.utils._pytree import tree_map

from loraexp.adapters.learning import controller
from loraexp.config.schema import TrainConfig
from loraexp.data.batching import LengthGrouped
from loraexp.errors import UserError
from loraexp.model.gpt2 import GPT2
from loraexp.training.callbacks.prefix_cache import classifier


def check_sharding(network: nn.Module, config: TrainConfig) -> None:
    """A method that works on its tensors between steps wants them whole.

    Raises:
        UserError: trainer.strategy=fsdp with such a method.
    """
    if config.trainer.strategy == "fsdp" and controller(network, config):
        raise UserError(
            f"trainer.strategy=fsdp cannot train method={config.method}, which changes its tensors "
            "between steps; use trainer.strategy=ddp"
        )


class Sharded(DDPStrategy):
    """The processes of DDP, each with its own part of every tensor of the network, of its gradient
    and of the optimizer's state.

    Only training is done so: what is in parts is let go of at its end, and who goes on reads the
    epoch that is kept from its checkpoint. Checkpoints are those of one process.
    """

    def setup(self, trainer: Trainer) -> None:
        if trainer.state.fn == TrainerFn.FITTING:
            assert self.lightning_module is not None
            mesh = init_device_mesh(self.root_device.type, (self.world_size,))
            shard(classifier(self.lightning_module), mesh)
        super().setup(trainer)

    def configure_ddp(self) -> None:
        """Nothing: the parts bring their own exchange."""

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Tensor]:
        state: dict[str, Tensor] = tree_map(gathered, super().optimizer_state(optimizer))
        return state

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            held = [p for group in optimizer.param_groups for p in group["params"]]
            parts = {
                place: {name: part(value, held[place]) for name, value in values.items()}
                for place, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": parts})

    def teardown(self) -> None:
        module = self.lightning_module
        if module is not None and isinstance(module.network, FSDPModule):
            self.optimizers, module.network = [], nn.Identity()
        super().teardown()


class Rounds(Callback):
    """A process with a validation batch less than others goes once more through the network: its
    parts are asked for as often in each."""

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loader: Any = trainer.val_dataloaders
        sampler, limit = loader.batch_sampler, trainer.limit_val_batches
        assert isinstance(sampler, LengthGrouped)
        most = min(sampler.rounds, limit) if isinstance(limit, int) else sampler.rounds
        if trainer.num_val_batches[0] < most:
            # A text of the split: of any other the frozen blocks would not be known already.
            tokens, lengths, _ = loader.collate_fn([loader.dataset[0]])
            classifier(pl_module)(tokens.to(pl_module.device), lengths.to(pl_module.device))


def shard(network: GPT2, mesh: DeviceMesh) -> None:
    """Leave this process its part of each tensor, on its device. A block is whole while it
    computes, and so is what is outside of blocks."""
    for block in network.h:
        fully_shard(block, mesh=mesh)
    # By default the outermost would stay whole between two steps, and checkpoints find it so.
    fully_shard(network, mesh=mesh, reshard_after_forward=True)


def gathered(value: Any) -> Any:
    """The whole of what is in parts, on the CPU of the first process, nothing in the others; all
    must ask for the same. What is not in parts is returned as it is."""
    if not isinstance(value, DTensor):
        return value
    tensor: Tensor = value.full_tensor().detach()
    return tensor.cpu() if torch.distributed.get_rank() == 0 else torch.empty(0)


def part(value: Any, like: Tensor) -> Any:
    """This process's part of a whole tensor that all have, cut as `like` is; a number is none."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    cut = distribute_tensor(value, like.device_mesh, like.placements, src_data_rank=None)
    return cut.clone()  # else the whole would be held
