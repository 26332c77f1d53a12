"""The LightningModule of pretraining: next-token loss, held-out bits a byte, AdamW."""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from torchmetrics import MeanMetric

from loraexp.config import Corpus, Optim
from loraexp.data.corpus import Blocks
from loraexp.model.language import GPT2Language
from loraexp.training.schedule import schedule

BETAS = (0.9, 0.95)  # of AdamW for language models (Brown et al. 2020, appendix B)


class LanguageModelling(LightningModule):
    """A network and how it learns to foretell the next token.

    Args:
        network: token ids (B, T) to logits (B T, V).
        optim: optimizer and schedule.
        steps: of the whole training.
    """

    def __init__(self, network: GPT2Language, optim: Optim, steps: int) -> None:
        super().__init__()
        self.network, self.optim, self.steps = network, optim, steps
        self.held_out = MeanMetric()

    def loss(self, batch: Tensor) -> Tensor:  # (B, T + 1) -> (), nats a token
        logits = self.network(batch[:, :-1])  # (B T, V)
        return F.cross_entropy(logits.float(), batch[:, 1:].flatten())

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Tensor, index: int) -> None:
        self.held_out.update(self.loss(batch), weight=len(batch))

    def on_validation_epoch_end(self) -> None:
        self.log("held_out_loss", self.held_out.compute(), prog_bar=True, sync_dist=True)
        self.held_out.reset()

    def configure_optimizers(self) -> Any:
        matrices = [p for p in self.network.parameters() if p.ndim > 1]
        vectors = [p for p in self.network.parameters() if p.ndim <= 1]  # never decayed
        groups = [
            {"params": matrices, "weight_decay": self.optim.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.optim.lr, betas=BETAS, fused=True)
        lr = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule(self.optim, self.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": lr, "interval": "step"}}


class Steps(IterableDataset[Tensor]):
    """Batches (B, T + 1) of the steps from `first` up to `end`."""

    def __init__(self, blocks: Blocks, batch_size: int, seed: int, first: int, end: int) -> None:
        self.blocks, self.batch_size, self.seed = blocks, batch_size, seed
        self.first, self.end = first, end

    def __iter__(self) -> Iterator[Tensor]:
        for number in range(self.first, self.end):
            yield self.blocks.step(number, self.batch_size, self.seed)


class CorpusModule(LightningDataModule):
    """Blocks of a corpus as batches; an "epoch" is the stretch of steps between two checks.

    Args:
        checks: (c + 1,) the steps at which a stretch begins, and the last one's end.
    """

    def __init__(self, blocks: Blocks, config: Corpus, seed: int, checks: list[int]) -> None:
        super().__init__()
        self.blocks, self.config, self.seed, self.checks = blocks, config, seed, checks

    def train_dataloader(self) -> DataLoader[Tensor]:
        assert self.trainer is not None
        first, end = self.checks[self.trainer.current_epoch : self.trainer.current_epoch + 2]
        steps = Steps(self.blocks, self.config.batch_size, self.seed, first, end)
        return DataLoader(steps, batch_size=None)

    def val_dataloader(self) -> DataLoader[Tensor]:
        numbers = self.blocks.held_out
        cuts = range(0, len(numbers), self.config.batch_size)
        rows = [self.blocks.batch(numbers[k : k + self.config.batch_size]) for k in cuts]
        return DataLoader(rows, batch_size=None)  # type: ignore[arg-type]
