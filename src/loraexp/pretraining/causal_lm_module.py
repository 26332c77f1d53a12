"""The LightningModule of pretraining: next-token loss, Muon or AdamW."""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor
from torch.optim import AdamW, Muon, Optimizer
from torch.utils.data import DataLoader
from torchmetrics import MeanMetric

from loraexp.config.pretraining import Corpus, LanguageOptim
from loraexp.errors import UserError
from loraexp.model.causal_lm import GPT2Language
from loraexp.pretraining.corpus import Blocks
from loraexp.training.schedule import schedule

BETAS = (0.9, 0.95)  # of AdamW for language models (Brown et al. 2020, appendix B)


class CausalLMModule(LightningModule):
    """A network and how it learns to foretell the next token.

    Args:
        network: token ids (B, T) to logits (B T, V).
        optim: optimizer and schedule.
        steps: of the whole training.
    """

    def __init__(self, network: GPT2Language, optim: LanguageOptim, steps: int) -> None:
        super().__init__()
        self.network, self.optim, self.steps = network, optim, steps
        self.automatic_optimization = False  # more than one optimizer
        self.held_out = MeanMetric()

    def loss(self, batch: Tensor) -> Tensor:  # (B, T + 1) -> (), nats a token
        logits = self.network(batch[:, :-1])  # (B T, V)
        return F.cross_entropy(logits.float(), batch[:, 1:].flatten())

    def training_step(self, batch: Tensor, index: int) -> None:
        loss = self.loss(batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=len(batch))
        self.zero_grad()
        self.manual_backward(loss)
        if self.optim.grad_clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.optim.grad_clip)
        optimizers = self.optimizers()  # bare where there is only one
        counted = optimizers[0] if isinstance(optimizers, list) else optimizers
        counted.step()  # Lightning counts this one as the step
        for optimizer in self.trainer.optimizers[1:]:
            optimizer.step()
        for config in self.trainer.lr_scheduler_configs:
            config.scheduler.step()  # type: ignore[call-arg]

    def validation_step(self, batch: Tensor, index: int) -> None:
        loss = self.loss(batch)
        # torchmetrics would leave a NaN out of the mean.
        self.held_out.update(torch.where(loss.isnan(), torch.inf, loss), weight=len(batch))

    def on_validation_epoch_end(self) -> None:
        loss = self.held_out.compute()
        if not loss.double().exp().isfinite():  # the perplexity
            raise UserError(
                "the loss of the held-out blocks is NaN or as good as infinite after step "
                f"{self.global_step}; try a lower optim.lr (it is {self.optim.lr:g})"
            )
        self.log("held_out_loss", loss, prog_bar=True, sync_dist=True)
        self.held_out.reset()

    def configure_optimizers(self) -> Any:
        optimizers = OPTIMIZERS[self.optim.name](self.network, self.optim)
        factor = schedule(self.optim, self.steps)
        return optimizers, [torch.optim.lr_scheduler.LambdaLR(o, factor) for o in optimizers]


def adamw(network: GPT2Language, optim: LanguageOptim) -> list[Optimizer]:
    groups: list[dict[str, Any]] = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [AdamW(groups, optim.lr, BETAS, weight_decay=optim.weight_decay, fused=True)]


def muon(network: GPT2Language, optim: LanguageOptim) -> list[Optimizer]:
    """Muon's steps are scaled to the size of AdamW's, so one learning rate serves both (Liu et al.
    2025, section 2.2)."""
    hidden = [p for p in network.h.parameters() if p.ndim > 1]
    taken = {id(p) for p in hidden}
    others = [p for p in network.parameters() if id(p) not in taken]
    decay, scaled = optim.weight_decay, "match_rms_adamw"
    return [
        Muon(hidden, optim.lr, weight_decay=decay, adjust_lr_fn=scaled),
        AdamW(others, optim.lr, BETAS, weight_decay=0.0, fused=True),
    ]


OPTIMIZERS = {"adamw": adamw, "muon": muon}


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
        batch = partial(self.blocks.step, batch_size=self.config.batch_size, seed=self.seed)
        steps: Any = range(first, end)
        return DataLoader(steps, batch_size=None, collate_fn=batch)

    def val_dataloader(self) -> DataLoader[Tensor]:
        numbers, size = self.blocks.held_out, self.config.batch_size
        cuts = range(0, len(numbers), size)
        batches: Any = [self.blocks.batch(numbers[cut : cut + size]) for cut in cuts]
        return DataLoader(batches, batch_size=None)
