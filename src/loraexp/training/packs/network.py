"""The networks of a pack as one: the frozen base runs once over the batches of all of them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from loraexp.adapters.branches.base import Adapted, adapted_layers
from loraexp.adapters.branches.together import AdaptedTogether, Turn
from loraexp.adapters.counts import in_head
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.gpt2 import GPT2
from loraexp.model.packing import Packing
from loraexp.model.packings import Packings, Stream, drawing

Texts = tuple[Tensor, Tensor]  # tokens (B, T) and lengths (B,)


class PackNetwork:
    """Adapted networks of one pooling on one base.

    Args:
        first: whose base becomes that of all.
    """

    def __init__(self, first: GPT2Classifier) -> None:
        self.networks, self.turn = dict[int, GPT2Classifier](), Turn()
        self.base = base_layers(first)
        with torch.device("meta"):
            self.trunk = GPT2(first.config)
        self.trunk.execution.dtype = first.execution.dtype
        for path, layer in self.base.items():
            self.trunk.set_submodule(path, layer)

    def add(self, number: int, network: GPT2Classifier) -> None:
        """Take one in; what it holds of a base of its own, which must be the same, is let go."""
        self.networks[number] = network
        for path, adapted in adapted_layers(network).items():
            if in_head(path):
                continue
            layer = self.trunk.get_submodule(path)
            if not isinstance(layer, AdaptedTogether):
                layer = AdaptedTogether(self.base[path], self.turn)
                self.trunk.set_submodule(path, layer)
            layer.branches[number] = adapted.branch
        for path, base in self.base.items():
            place = network.get_submodule(path)
            if isinstance(place, Adapted):
                assert isinstance(base, nn.Linear)
                place.base = base
            else:
                network.set_submodule(path, base)

    def leave(self, number: int) -> None:
        self.networks.pop(number, None)
        for layer in self.trunk.modules():
            if isinstance(layer, AdaptedTogether):
                layer.branches.pop(number, None)

    def logits(self, texts: Mapping[int, Texts], stream: Stream | None = None) -> dict[int, Tensor]:
        """(B, C) of each network's batch, by its number.

        Args:
            stream: of a network, by its number, where its random numbers come from.
        """
        if len(texts) == 1:
            ((number, own),) = texts.items()
            with drawing(stream, number):
                return {number: self.networks[number](*own)}
        begun: dict[int, list[Begun]] = defaultdict(list)
        for number, own in texts.items():
            network = self.networks[number]
            tokens, packing, last = network.packed(*own, network.pooling)
            with drawing(stream, number):
                first, x = network.begun(tokens, packing, last)
            begun[first].append((number, packing, last, x))
        self.trunk.train(any(self.networks[number].training for number in texts))
        result: dict[int, Tensor] = {}
        for first, some in begun.items():
            result |= self.ended(first, some, stream)
        return result

    def ended(
        self, first: int, begun: Sequence["Begun"], stream: Stream | None
    ) -> dict[int, Tensor]:
        """Through all blocks from `first` on, and each network's head."""
        numbers, parts, lasts, states = zip(*begun, strict=True)
        shares = Packings(parts, (lambda part: stream(numbers[part])) if stream else None)
        self.turn.members, self.turn.shares = numbers, shares
        last = None if lasts[0] is None else shares.joined(lasts)
        out = self.trunk.ended(first, torch.cat(states), shares, last)
        result = {}
        apart = torch.split(out, [end - start for start, end in shares.spans(out)])
        for part, (number, packing, own) in enumerate(zip(numbers, parts, apart, strict=True)):
            with shares.drawing(part):
                pooled = packing.mean(own) if last is None else own
                result[number] = self.networks[number].score(pooled)
        return result


# Number of the network, where its texts stand, the rows that are wanted of it, its states so far.
Begun = tuple[int, Packing, Tensor | None, Tensor]


def base_layers(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that hold the base's tensors, by their path in a network without an adapter."""
    adapted, layers = adapted_layers(network), dict[str, nn.Module]()
    for name, module in network.named_modules():
        path, _, last = name.rpartition(".")
        inside = path in adapted and last == "base"
        if isinstance(module, (nn.Linear, nn.Embedding, nn.LayerNorm)) and not in_head(name):
            layers[path if inside else name] = module
    return layers
