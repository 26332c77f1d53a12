"""Floating-point operations of a run's matrix products, in closed form: no run does with fewer.

Rows (n, in) times a matrix (out, in) are n out in products and as many sums. Backward, the gradient
of the matrix takes as many again, if it trains, and that of the rows, if anything before them does.
Attention is two such products, q k' and (its weights) v, of 2 d operations for each pair of a token
and one that it sees, with up to two gradients each. Not counted, so that this stays a bound: norms,
gelu, softmax, the optimizer, padding, what is computed twice, and branches that are not LowRank's.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from loraexp.adapters.counts import in_head
from loraexp.adapters.methods import find_method
from loraexp.adapters.targets import HEAD, targeted
from loraexp.config.schema import TrainConfig
from loraexp.model.shapes import linear_shapes, shapes


@dataclass(frozen=True)
class Texts:
    """What goes through a network.

    Args:
        texts, tokens: how many.
        pairs: of a token and one that it attends to, itself counted.
    """

    texts: int
    tokens: int
    pairs: int

    @classmethod
    def of(cls, lengths: Iterable[int], causal: bool) -> "Texts":
        """Args:
        lengths: tokens of each text.
        """
        each = [*lengths]
        pairs = (n * (n + 1) // 2 if causal else n * n for n in each)
        return cls(len(each), sum(each), sum(pairs))

    def each(self, passes: int) -> "Texts":
        """Of one of so many."""
        return Texts(*(round(n / passes) for n in (self.texts, self.tokens, self.pairs)))


@dataclass(frozen=True)
class Flops:
    """Of one pass and its gradients.

    Args:
        below: forward, of the blocks below all that trains.
        above: forward, of all else.
        backward: of all gradients.
    """

    below: int
    above: int
    backward: int

    @property
    def forward(self) -> int:
        return self.below + self.above


@dataclass(frozen=True)
class Product:
    """Of two factors.

    Args:
        block: its number; of the head one more than the last.
        forward: operations.
        gradients: of so many factors they are wanted.
    """

    block: int
    forward: int
    gradients: int


def flops(config: TrainConfig, texts: Texts, classes: int) -> Flops:
    """Of a step on these texts, if they are one batch."""
    made = [*products(config, texts, classes)]
    first = min(one.block for one in made if one.gradients)
    below = sum(one.forward for one in made if one.block < first)
    backward = sum(one.forward * one.gradients for one in made)
    return Flops(below, sum(one.forward for one in made) - below, backward)


def products(config: TrainConfig, texts: Texts, classes: int) -> Iterator[Product]:
    """In the order of the forward pass; `wanted` is whether what comes in has a gradient."""
    model, layer = config.model, layers(config, classes)
    learns, last = learning(config), model.n_layer - 1
    wanted = learns("wte") or learns("wpe")
    for block in range(model.n_layer):
        # Of the last block no more is computed than the row that stands for each text.
        whole = block < last or config.head.pooling == "mean"
        rows, pairs = (texts.tokens, texts.pairs) if whole else (texts.texts, texts.tokens)
        at = f"h.{block}"
        inside = wanted or learns(f"{at}.ln_1")
        q, k, v = (inside or learns(f"{at}.attn.{name}_proj") for name in "qkv")
        for name in "qkv":
            path = f"{at}.attn.{name}_proj"
            yield from layer(block, path, rows if name == "q" else texts.tokens, inside)
        yield Product(block, 2 * model.d_model * pairs, q + k)
        yield Product(block, 2 * model.d_model * pairs, (q or k) + v)
        yield from layer(block, f"{at}.attn.out_proj", rows, q or k or v)
        wanted = q or k or v or learns(f"{at}.attn.out_proj")
        inside = wanted or learns(f"{at}.ln_2")
        yield from layer(block, f"{at}.mlp.fc1", rows, inside)
        inside = inside or learns(f"{at}.mlp.fc1")
        yield from layer(block, f"{at}.mlp.fc2", rows, inside)
        wanted = inside or learns(f"{at}.mlp.fc2")
    yield from layer(model.n_layer, HEAD, texts.texts, wanted or learns("ln_f"))


def learning(config: TrainConfig) -> Callable[[str], bool]:
    """Whether anything trains of the layer at a path, its branch included."""
    trains, targets = trained(config), ranks(config)
    return lambda path: path in targets or not trains.isdisjoint((f"{path}.weight", f"{path}.bias"))


def layers(config: TrainConfig, classes: int) -> Callable[[int, str, int, bool], Iterator[Product]]:
    """The products of a linear layer and of its branch, by block, path, rows and whether these have
    a gradient."""
    sizes = linear_shapes(config.model) | {HEAD: (classes, config.model.d_model)}
    trains, targets, method = trained(config), ranks(config), find_method(config.method)

    def made(block: int, path: str, rows: int, wanted: bool) -> Iterator[Product]:
        out, into = sizes[path]
        yield Product(block, 2 * rows * out * into, wanted + (f"{path}.weight" in trains))
        if path in targets and method.branch == "LowRank":
            down = "lora_A" not in method.frozen
            yield Product(block, 2 * rows * targets[path] * into, wanted + down)
            yield Product(block, 2 * rows * targets[path] * out, (wanted or down) + 1)

    return made


def trained(config: TrainConfig) -> set[str]:
    """Tensors of base and head that train, by name."""
    names = [name for name in shapes(config.model, config.head, 2) if not in_head(name)]
    own = {*find_method(config.method).trains(names, config)}
    return own if HEAD in ranks(config) else own | {f"{HEAD}.weight"}


def ranks(config: TrainConfig) -> dict[str, int]:
    """Of each branch, by the path of its layer."""
    if not find_method(config.method).branch:
        return {}
    linears = [*linear_shapes(config.model)]
    return {target.path: target.rank for target in targeted(linears, config.lora)}
