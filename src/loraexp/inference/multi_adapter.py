"""Many adapters on one base that is held once: switched without loading, or mixed in a batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Branch
from loraexp.adapters.targets import HEAD
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.packing import Packing

# Which rows of the packed tokens go through which adapter: None is all of them.
Route = dict[int, Tensor | None]


class MultiAdapterLinear(nn.Module):
    """A frozen linear layer with a branch of each adapter that has it as a target."""

    def __init__(self, base: nn.Linear, route: Route) -> None:
        super().__init__()
        self.base, self.branches, self.route = base, nn.ModuleDict(), route

    def forward(self, x: Tensor) -> Tensor:  # (n, in) -> (n, out)
        y: Tensor = self.base(x)
        for number, rows in self.route.items():
            if str(number) not in self.branches:
                continue
            branch = self.branches[str(number)]
            if rows is None:
                y = branch(x, y, self.base)
            else:
                y = y.index_copy(0, rows, branch(x[rows], y[rows], self.base))
        return y


class MultiAdapter(nn.Module):
    """One base and any number of adapters, each with its own method, rank, head and pooling.

    Args:
        network: a base without an adapter; taken over. Its own head is not used.
    """

    def __init__(self, network: GPT2Classifier) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.names: list[str] = []
        self.heads, self.poolings = nn.ModuleList(), list[str]()
        self.route: Route = {}

    def add(self, name: str, pooling: str, head: nn.Module, branches: Mapping[str, Branch]) -> None:
        """Take an adapter in under `name`.

        Args:
            head: (B, d) to logits (B, C).
            branches: by the path of their target.

        Raises:
            UserError: a name that is taken.
        """
        if name in self.names:
            raise UserError(f"there is an adapter called {name} already")
        for path, branch in branches.items():
            if path == HEAD:
                continue
            layer = self.network.get_submodule(path)
            if not isinstance(layer, MultiAdapterLinear):
                assert isinstance(layer, nn.Linear)
                layer = MultiAdapterLinear(layer, self.route)
                self.network.set_submodule(path, layer)
            layer.branches[str(len(self.names))] = branch
        self.names.append(name)
        self.heads.append(head)
        self.poolings.append(pooling)

    def find(self, name: str) -> int:
        if name not in self.names:
            raise UserError(f"there is no adapter called {name}; there are {', '.join(self.names)}")
        return self.names.index(name)

    def forward(self, tokens: Tensor, lengths: Tensor, adapter: str) -> Tensor:
        """Logits (B, C) of one adapter for (B, T) tokens, as its run alone gives them."""
        number = self.find(adapter)
        self.routed({number: None})
        pooled = self.network.pooled(tokens, lengths, self.poolings[number])
        return self.heads[number](pooled)

    def base(self, tokens: Tensor, lengths: Tensor, pooling: str) -> Tensor:
        """(B, d) of the base, all adapters off."""
        self.routed({})
        return self.network.pooled(tokens, lengths, pooling)

    def mixed(self, tokens: Tensor, lengths: Tensor, adapters: Sequence[str]) -> dict[str, Tensor]:
        """One pass over a batch whose texts use different adapters.

        Args:
            adapters: (B,) one a text.

        Returns:
            Logits (b, C) of the b texts of each adapter, in their order.
        """
        numbers = [self.find(name) for name in adapters]
        used = sorted({*numbers})
        place = torch.tensor(numbers, device=tokens.device)  # (B,)
        poolings = [self.poolings[number] for number in numbers]
        whole = torch.tensor([p == "last_position" for p in poolings], device=tokens.device)
        packing = Packing.of(
            torch.where(whole, tokens.shape[1], lengths).clamp(min=1), tokens.shape[1]
        )
        owners = packing.owners
        of_token = torch.where(owners < 0, -1, place[owners])  # (N,)
        self.routed({number: (of_token == number).nonzero()[:, 0] for number in used})
        states = self.network.hidden(tokens, packing)  # (N, d)
        means = packing.mean(states)  # (B, d)
        logits = {}
        for number in used:
            pooling = self.poolings[number]
            pooled = means if pooling == "mean" else states[packing.pooled_at(pooling)]
            logits[self.names[number]] = self.heads[number](pooled[place == number])
        return logits

    def routed(self, route: Route) -> None:
        self.route.clear()
        self.route.update(route)
