"""What every branch is, the one wrapper that puts it beside a frozen linear layer, and how lora_A
starts.

A branch owns the tensors that train and never the base's. Shapes: lora_A (r, in), lora_B (out, r).
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, TrainConfig

SCALINGS: dict[str, Callable[[float, int], float]] = {
    "alpha_over_r": lambda alpha, rank: alpha / rank,  # Hu et al. 2021, section 4.1
    "alpha_over_sqrt_r": lambda alpha, rank: alpha / math.sqrt(rank),  # Kalajdzievski 2023
    "alpha": lambda alpha, rank: alpha,  # as in the source tutorial
}


def uniform(lora_A: Tensor, fan_in: int, generator: torch.Generator) -> Tensor:
    bound = 1.0 / math.sqrt(fan_in)
    return lora_A.uniform_(-bound, bound, generator=generator)


# How lora_A starts where lora_B starts at zero; from_start.py has those that need the weight.
INITS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    # torch's kaiming_uniform_ with a = sqrt(5), as loralib has it
    "kaiming": lambda A, generator: uniform(A, A.shape[1], generator),
    # a deviation of 1 / r, as in PEFT
    "gaussian": lambda A, generator: A.normal_(0.0, 1.0 / len(A), generator=generator),
    # orthonormal rows (columns, if r > in), drawn evenly; PEFT's has a lora_B that is not zero
    "orthogonal": lambda A, generator: nn.init.orthogonal_(A, generator=generator),
    # the tutorial's lora_A is stored (in, r), and the same call takes r for the fan-in
    "book": lambda A, generator: uniform(A, A.shape[0], generator),
}


class Controller(Protocol):
    """What a method does to its branches between steps; training drives it without knowing it.

    The name of its class is the key of its state in checkpoints.
    """

    def after_step(self, step: int, steps: int) -> None:
        """After `step` of `steps`, while the tensors hold the gradients of that step."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None: ...


Span = tuple[int, int]  # the first row, and the one after the last
B = TypeVar("B", bound="Branch", covariant=True)


@dataclass(frozen=True)
class Own(Generic[B]):
    """A branch of one of several networks whose rows stand one after another, and its rows.

    Args:
        drawing: where random numbers come from in the meantime.
    """

    branch: B
    span: Span
    drawing: AbstractContextManager[None]


def apart(owners: Sequence[Own[Any]], rows: Tensor) -> list[Tensor]:
    """What stands before the first owner's rows, these, what stands between them and the next
    one's, and so on."""
    bounds = [0, *(end for own in owners for end in own.span), len(rows)]
    return list(torch.split(rows, [end - start for start, end in pairwise(bounds)]))


class Branch(nn.Module, ABC):
    """What one adapted linear layer adds to its base. Its tensors are its own attributes.

    Args:
        additive: delta is the same whatever the weight is.
        has_factors: its change is of low rank, and `factors` gives it.
        nested: its first ranks were trained to do without the others; `first` gives them.
        needs: what of the data the branch starts from, if anything: `gradient` of the weight, or
            `inputs` of the layer; `start_from` takes it.
        moves_first: tensors that must move in the first step; with these at their start, all else
            has no gradient or only a small one.
        fast: tensors that learn at `lora.lr_ratio` times the rate.
        has_rank: as of the method's row.
    """

    additive: ClassVar[bool] = True
    has_factors: ClassVar[bool] = True
    nested: ClassVar[bool] = False
    needs: ClassVar[str | None] = None
    moves_first: ClassVar[tuple[str, ...]] = ()
    fast: ClassVar[tuple[str, ...]] = ()
    has_rank: ClassVar[bool] = True

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        if "forward" in cls.__dict__ and "together" not in cls.__dict__:
            cls.together = staticmethod(Branch.together)  # type: ignore[method-assign]

    @classmethod
    def create(
        cls, base: nn.Linear, config: Adaptation, target: Target, generator: torch.Generator
    ) -> Self:
        """A fresh branch for `base`; it changes no output."""
        branch = cls.empty(base, config, target)
        if not base.weight.is_meta:  # counting needs shapes only
            with torch.no_grad():
                branch.start(base, config, generator)
        return branch

    @classmethod
    @abstractmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """The shapes, and what no file holds; numbers that a file has need not be there."""

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        """Fill what `empty` left open, such that no output changes."""

    def start_from(self, found: Tensor) -> None:
        """Start anew from what the first batches say, such that no output changes.

        Args:
            found: in float64; the weight's gradient (out, in), or X'X (in, in) of the inputs X.
        """
        raise NotImplementedError

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        """The adapted output (..., out) for input x (..., in) and y = base(x)."""

    @staticmethod
    def together(owners: Sequence[Own[Any]], x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        """y (n, out), of x (n, in), with the rows of each owner adapted by its branch alone.

        A class with a `forward` of its own has this, not its parent's, unless it writes one.
        """
        xs, ys = apart(owners, x), apart(owners, y)
        for number, own in enumerate(owners):
            at = 2 * number + 1
            with own.drawing:
                ys[at] = own.branch(xs[at], ys[at], base)
        return torch.cat(ys)

    def delta(self, weight: Tensor) -> Tensor:
        """What merging adds to the base's weight (out, in), in float64."""
        A, B, s = self.factors()
        return s * (B @ A)

    def factors(self) -> tuple[Tensor, Tensor, float]:
        """A (k, in), B (out, k) and s in float64, so that s B A is the low-rank part of the change:
        all of it, if the branch is additive."""
        raise NotImplementedError

    def first(self, rank: int) -> tuple[Tensor, Tensor, float]:
        """`factors` of the first so many ranks, if they are nested."""
        raise NotImplementedError

    def magnitude(self) -> Tensor | None:
        """(out,) in float64, where the branch gives each output's row a length of its own."""
        return None

    def penalty(self) -> Tensor | float:
        """What the branch adds to the loss."""
        return 0.0

    @classmethod
    def controller(cls, branches: Mapping[str, Self], config: TrainConfig) -> Controller | None:
        """Of all branches of a network, by path; None where nothing is done between steps."""
        return None

    def merged(self, weight: Tensor) -> Tensor:
        """The weight (out, in) of a plain linear layer that does the same, in weight's dtype."""
        return (weight.double() + self.delta(weight)).to(weight.dtype)

    def merged_bias(self, bias: Tensor) -> Tensor:
        """Its bias (out,), in bias' dtype."""
        return bias


class Adapted(nn.Module):
    """A frozen linear layer and its branch."""

    def __init__(self, base: nn.Linear, branch: Branch) -> None:
        super().__init__()
        self.base, self.branch = base, branch

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return self.branch(x, self.base(x), self.base)


class Folded(nn.Module):
    """An adapted layer at the cost of a plain one: base and branch wait beside, untouched.

    Args:
        merged: the plain layer that does the same.
    """

    def __init__(self, adapted: Adapted, merged: nn.Linear) -> None:
        super().__init__()
        self.adapted, self.merged = adapted, merged

    def forward(self, x: Tensor) -> Tensor:  # (..., in) -> (..., out)
        return self.merged(x)


def adapted_layers(network: nn.Module) -> dict[str, Adapted]:
    """By path, in model order."""
    return {name: m for name, m in network.named_modules() if isinstance(m, Adapted)}
