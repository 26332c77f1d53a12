"""Singular triplets of an update, and the budget of ranks that cuts them (Zhang et al. 2023)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Controller
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.targets import Target
from loraexp.config.schema import AdaLora as Settings
from loraexp.config.schema import Adaptation, TrainConfig


class AdaLora(LowRank):
    """y + s P (e * (Q dropout(x))): an SVD-like update whose e can be cut (Zhang et al. 2023,
    "AdaLoRA", section 3.1, eq. 3).

    Q is lora_A (r, in), P is lora_B (out, r), both normal with deviation 0.02 as in the authors'
    code and PEFT; s is alpha / r, where PEFT has alpha / (r + 1e-5).

    Args:
        lora_E: (r,) e; starts at zero, and holds P and Q back until it has moved.
    """

    moves_first: ClassVar[tuple[str, ...]] = ("lora_E",)
    orthogonality = 1.0  # weight of the penalty
    DEVIATION: ClassVar[float] = 0.02

    def __init__(self, lora_A: Tensor, lora_B: Tensor, scaling: float, dropout: float) -> None:
        super().__init__(lora_A, lora_B, scaling, dropout)
        self.lora_E = nn.Parameter(torch.zeros_like(lora_A[:, 0]))

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        branch = super().empty(base, config, target)
        branch.orthogonality = config.adalora.orthogonality
        return branch

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        super().start(base, config, generator)
        self.lora_A.normal_(0.0, self.DEVIATION, generator=generator)
        self.lora_B.normal_(0.0, self.DEVIATION, generator=generator)

    def down(self) -> Tensor:
        return self.lora_E[:, None] * self.lora_A

    def factors(self) -> tuple[Tensor, Tensor, float]:
        A, B, s = super().factors()
        return self.lora_E.detach().double()[:, None] * A, B, s

    def penalty(self) -> Tensor:
        """|P'P - I|^2 + |QQ' - I|^2 (eq. 4); PEFT takes the roots, and their mean."""
        P, Q = self.lora_B, self.lora_A
        unit = torch.eye(len(Q), dtype=Q.dtype, device=Q.device)
        apart = (P.t() @ P - unit).square().sum() + (Q @ Q.t() - unit).square().sum()
        return self.orthogonality * apart

    @classmethod
    def controller(cls, branches: Mapping[str, Self], config: TrainConfig) -> "RankBudget":
        return RankBudget(branches, config.adalora)


def budget(step: int, steps: int, start: int, end: int, settings: Settings) -> int:
    """Singular values left after `step` of `steps`: constant, down a cubic, constant (eq. 13)."""
    first, last = settings.warmup * steps, (1 - settings.final) * steps
    if step <= first:
        return start
    if step >= last:
        return end
    return int(end + (start - end) * (1 - (step - first) / (last - first)) ** 3)


class RankBudget(Controller):
    """Cut the least important singular values after a step, down to what the budget allows.

    How much a triplet matters is its sensitivity |w g| times its uncertainty, both smooth over the
    steps (eq. 8 to 11). A value that was cut can come back as long as the budget falls: its triplet
    still learns. When the budget has reached its end, what is cut stays cut.

    Args:
        branches: path of the target to its branch; after each step their tensors hold gradients.
    """

    STATE = "sensitivity", "uncertainty", "kept"

    def __init__(self, branches: Mapping[str, AdaLora], settings: Settings) -> None:
        self.branches, self.settings = branches, settings
        self.sensitivity: dict[str, Tensor] = {}
        self.uncertainty: dict[str, Tensor] = {}
        self.kept: dict[str, Tensor] = {}  # (r,) of every target, once the budget is at its end

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for name in self.STATE:
            setattr(self, name, state_dict[name])

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

    @torch.no_grad()
    def after_step(self, step: int, steps: int) -> None:
        settings, kept = self.settings, self.kept
        if not kept:
            last = (1 - settings.final) * steps
            if step < last or not self.sensitivity:
                self.update()
            start = sum(len(branch.lora_E) for branch in self.branches.values())
            end = max(1, round(settings.budget * start))
            left = budget(step, steps, start, end, settings)
            if left == start or (step % settings.interval and step < last):
                return
            kept = most_important(self.scores(), left)
            self.kept = kept if step >= last else {}
        for path, branch in self.branches.items():
            branch.lora_E.mul_(kept[path])


def most_important(scores: Mapping[str, Tensor], left: int) -> dict[str, Tensor]:
    """Of all targets together, a mask (r,) that keeps the `left` highest scores."""
    joined = torch.cat([*scores.values()])
    mask = torch.zeros(len(joined), dtype=torch.bool, device=joined.device)
    mask[joined.argsort(descending=True, stable=True)[:left]] = True
    parts = torch.split(mask, [len(score) for score in scores.values()])
    return dict(zip(scores, parts, strict=True))
