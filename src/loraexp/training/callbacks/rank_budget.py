"""AdaLoRA's budget of ranks: how it falls, and what it cuts (Zhang et al. 2023)."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from loraexp.adapters.variants import AdaLora
from loraexp.config.schema import AdaLora as Settings
from loraexp.data.batching import Batch


def budget(step: int, steps: int, start: int, end: int, settings: Settings) -> int:
    """Singular values left after `step` of `steps`: constant, down a cubic, constant (eq. 13)."""
    first, last = settings.warmup * steps, (1 - settings.final) * steps
    if step <= first:
        return start
    if step >= last:
        return end
    return int(end + (start - end) * (1 - (step - first) / (last - first)) ** 3)


class Importance:
    """How much each singular triplet matters: sensitivity |w g| times its uncertainty, both smooth
    over the steps (eq. 8 to 11).

    Args:
        branches: path of the target to its branch; after each step their tensors hold gradients.
    """

    def __init__(self, branches: Mapping[str, AdaLora], settings: Settings) -> None:
        self.branches, self.settings = branches, settings
        self.sensitivity: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}

    def tensors(self) -> dict[str, nn.Parameter]:
        return {
            f"{path}.{name}": parameter
            for path, branch in self.branches.items()
            for name, parameter in branch.named_parameters()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Count the step whose gradients are there now."""
        beta1, beta2 = self.settings.beta1, self.settings.beta2
        for name, parameter in self.tensors().items():
            assert parameter.grad is not None
            now = (parameter * parameter.grad).abs()
            smooth = self.sensitivity.setdefault(name, torch.zeros_like(now))
            doubt = self.uncertainty.setdefault(name, torch.zeros_like(now))
            smooth.mul_(beta1).add_((1 - beta1) * now)
            doubt.mul_(beta2).add_((1 - beta2) * (now - smooth).abs())

    def scores(self) -> dict[str, Tensor]:
        """(r,) of every target: that of e, and the means over its row of Q and column of P."""
        single = {name: self.sensitivity[name] * self.uncertainty[name] for name in self.tensors()}
        return {
            path: single[f"{path}.lora_E"]
            + single[f"{path}.lora_A"].mean(1)
            + single[f"{path}.lora_B"].mean(0)
            for path in self.branches
        }


class RankBudget(Callback):
    """Cut the least important singular values after a step, down to what the budget allows.

    A value that was cut can come back as long as the budget falls: its triplet still learns. When
    the budget has reached its end, what is cut stays cut.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.importance: Importance | None = None
        self.kept: dict[str, Tensor] = {}  # (r,) of every target, once the budget is at its end
        self.loaded: dict[str, Any] | None = None
        self.step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        branches = {n: m for n, m in pl_module.named_modules() if isinstance(m, AdaLora)}
        self.importance, self.step = Importance(branches, self.settings), trainer.global_step
        if self.loaded is not None:
            self.importance.sensitivity = self.loaded["sensitivity"]
            self.importance.uncertainty = self.loaded["uncertainty"]
            self.kept = self.loaded["kept"]

    def state_dict(self) -> dict[str, Any]:
        assert self.importance is not None
        return {
            "sensitivity": self.importance.sensitivity,
            "uncertainty": self.importance.uncertainty,
            "kept": self.kept,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.loaded = state_dict

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, index: int
    ) -> None:
        if trainer.global_step == self.step:
            return  # gradients still add up
        self.step = trainer.global_step
        steps = int(trainer.estimated_stepping_batches)
        assert self.importance is not None
        self.after_step(self.importance, self.step, steps)

    @torch.no_grad()
    def after_step(self, importance: Importance, step: int, steps: int) -> None:
        branches, settings = importance.branches, self.settings
        if not self.kept:
            last = (1 - settings.final) * steps
            if step < last or not importance.sensitivity:
                importance.update()
            start = sum(len(branch.lora_E) for branch in branches.values())
            end = max(1, round(settings.budget * start))
            left = budget(step, steps, start, end, settings)
            if left == start or (step % settings.interval and step < last):
                return
            kept = most_important(importance.scores(), left)
            self.kept = kept if step >= last else {}
        else:
            kept = self.kept
        for path, branch in branches.items():
            branch.lora_E.mul_(kept[path])


def most_important(scores: Mapping[str, Tensor], left: int) -> dict[str, Tensor]:
    """Of all targets together, a mask (r,) that keeps the `left` highest scores."""
    joined = torch.cat([*scores.values()])
    mask = torch.zeros(len(joined), dtype=torch.bool, device=joined.device)
    mask[joined.argsort(descending=True, stable=True)[:left]] = True
    parts = torch.split(mask, [len(score) for score in scores.values()])
    return dict(zip(scores, parts, strict=True))
