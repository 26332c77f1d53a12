"""A frozen linear layer that several networks share, each with a branch of its own or none."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch, Own, Span


class Shares(Protocol):
    """Which rows of a tensor are whose."""

    def spans(self, rows: Tensor) -> Sequence[Span]: ...

    def drawing(self, part: int) -> AbstractContextManager[None]: ...


@dataclass
class Turn:
    """Whose rows the layers of a network are given now.

    Args:
        members: number of the network of each part.
        shares: the rows of each part.
    """

    members: Sequence[int] = ()
    shares: Shares | None = None


class AdaptedTogether(nn.Module):
    """The base's product runs over all rows at once, each branch over those of its network: no
    number of one network meets another's, not even times zero.

    Args:
        turn: the same of all layers.
    """

    def __init__(self, base: nn.Module, turn: Turn) -> None:
        super().__init__()
        self.base, self.turn = base, turn
        # By the number of their network. No submodules: their networks say whether they train.
        self.branches: dict[int, Branch] = {}

    def forward(self, x: Tensor) -> Tensor:  # (n, in) -> (n, out)
        base, y = self.base, self.base(x)
        assert isinstance(base, nn.Linear)
        shares = self.turn.shares
        assert shares is not None
        kinds: dict[type[Branch], list[Own[Branch]]] = {}
        for part, (member, span) in enumerate(zip(self.turn.members, shares.spans(x), strict=True)):
            if branch := self.branches.get(member):
                own = Own(branch, span, shares.drawing(part))
                kinds.setdefault(type(branch), []).append(own)
        for kind, owners in kinds.items():
            y = kind.together(owners, x, y, base)
        return y
