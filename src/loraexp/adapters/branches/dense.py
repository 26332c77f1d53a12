"""Branches whose change of the weight is a whole matrix, made from few numbers at each step."""

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches.base import INITS, SCALINGS, Branch
from loraexp.adapters.sizes import factored, full_rank, is_small
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation

Tensors = Mapping[str, Tensor]


class Dense(Branch):
    """y + dropout(x) D' with D (out, in) a function of the branch's tensors, and of the weight.

    PEFT's LoHa, LoKr and SHiRA have no dropout on the input; HiRA and RandLoRA have this one.
    """

    has_factors: ClassVar[bool] = False

    def __init__(self, scaling: float, dropout: float, tensors: Tensors) -> None:
        super().__init__()
        self.scaling, self.dropout = scaling, nn.Dropout(dropout)
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor))

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        shapes = cls.shapes(base.out_features, base.in_features, target.rank)
        zeros = {name: base.weight.new_zeros(shape, dtype=kind) for name, shape in shapes.items()}
        scaling = SCALINGS[config.lora.scaling](target.alpha, target.rank)
        return cls(scaling, config.lora.dropout, zeros)

    @staticmethod
    @abstractmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        """Of the tensors that train, by name."""

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        """Kaiming's uniform bounds, as PEFT's, of all but what stays zero."""
        for name, tensor in self.named_parameters():
            if name not in self.moves_first:
                INITS["kaiming"](tensor, generator)

    @abstractmethod
    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        """D (out, in) of the branch's tensors, in their dtype."""

    def forward(self, x: Tensor, y: Tensor, base: nn.Linear) -> Tensor:
        D = self.change(dict(self.named_parameters()), base.weight)
        return y + F.linear(self.dropout(x), D.to(x.dtype))

    def delta(self, weight: Tensor) -> Tensor:
        own = {name: tensor.detach().double() for name, tensor in self.named_parameters()}
        return self.change(own, weight.double())


class Hira(Dense):
    """D = W * (B A), entry by entry (Huang et al. 2025, "HiRA", section 3): of high rank, because W
    is. alpha and scaling have no part in it, as in PEFT.

    Args:
        hira_A: (r, in). hira_B: (out, r); starts at zero.
    """

    additive: ClassVar[bool] = False
    moves_first: ClassVar[tuple[str, ...]] = ("hira_B",)

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        return {"hira_A": (rank, into), "hira_B": (out, rank)}

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        return weight.to(own["hira_A"].dtype) * (own["hira_B"] @ own["hira_A"])


class Loha(Dense):
    """D = s (B1 A1) * (B2 A2), entry by entry: of rank r^2 at most (Hyeon-Woo et al. 2022,
    "FedPara", section 2.2, proposition 1; as a change of weights Yeh et al. 2024, "LyCORIS",
    section 3.2, eq. 3). As PEFT's, whose hada_w1_a is B1 and hada_w1_b is A1.

    Args:
        hada_w1_a, hada_w2_a: (out, r). hada_w1_b, hada_w2_b: (r, in); the last starts at zero.
    """

    moves_first: ClassVar[tuple[str, ...]] = ("hada_w2_b",)

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        left, right = (out, rank), (rank, into)
        return {"hada_w1_a": left, "hada_w1_b": right, "hada_w2_a": left, "hada_w2_b": right}

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        first = own["hada_w1_a"] @ own["hada_w1_b"]
        return self.scaling * first * (own["hada_w2_a"] @ own["hada_w2_b"])


class Lokr(Dense):
    """D = s C (x) (B A), the Kronecker product (Yeh et al. 2024, "LyCORIS", section 3.2, eq. 4,
    after Edalati et al. 2022, "KronA"). The sides of C and of B A are the factors of out and of in
    that are nearest to each other, C's the smaller ones. Where the rank is no less than half of
    the longer side of B A, that is a matrix of its own. As PEFT's.

    Args:
        lokr_w1: C (k, m); starts at zero. lokr_w2_a: B (out / k, r). lokr_w2_b: A (r, in / m).
        lokr_w2: in place of the two, (out / k, in / m).
    """

    moves_first: ClassVar[tuple[str, ...]] = ("lokr_w1",)

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        (k, rest), (m, others) = factored(out), factored(into)
        if is_small((rest, others), rank):
            return {"lokr_w1": (k, m), "lokr_w2": (rest, others)}
        return {"lokr_w1": (k, m), "lokr_w2_a": (rest, rank), "lokr_w2_b": (rank, others)}

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        second = own["lokr_w2"] if "lokr_w2" in own else own["lokr_w2_a"] @ own["lokr_w2_b"]
        return self.scaling * torch.kron(own["lokr_w1"], second)


class Shira(Dense):
    """D is zero but at r (in + out) places, as many as LoRA trains numbers, or all there are
    (Bhardwaj et al. 2024, "Sparse High Rank Adapters", section 3.1, SHiRA-Rand; PEFT refuses to
    train all). The places are drawn from the layer's path, whatever the seed, and no file holds
    them. alpha and scaling have no part in it, as in PEFT.

    Args:
        shira_weight: the numbers, by rows of D; start at zero.
    """

    moves_first: ClassVar[tuple[str, ...]] = ("shira_weight",)
    places: Tensor  # of the numbers in D, flat and ascending

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        return {"shira_weight": (min(rank * (into + out), into * out),)}

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already."""
        branch, weight = super().empty(base, config, target), base.weight
        places = torch.empty_like(branch.get_parameter("shira_weight"), dtype=torch.long)
        if not weight.is_meta:
            places.copy_(torch.from_numpy(drawn(len(places), weight.numel(), target.path)))
        branch.register_buffer("places", places, persistent=False)
        return branch

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        values = own["shira_weight"]
        return values.new_zeros(weight.numel()).scatter(0, self.places, values).view(weight.shape)


class Randlora(Dense):
    """D = s sum_j B_j L_j A G_j over n = min(in, out) / r terms, rounded up: of full rank, from
    random A and B_j that only diagonal L_j and G_j scale (Albert et al. 2025, "RandLoRA", section
    4.2, eq. 4). A is on the smaller side, as in PEFT: of more outputs than inputs; else it is the
    transpose of this.

    A and the B_j are uniform with a deviation of 1, the same in all layers of one shape, whatever
    the seed; no file holds them. PEFT draws one pair from torch's generator for the largest layer,
    and cuts it.

    Args:
        randlora_lambda: (r, n) all L_j; starts at zero. randlora_gamma: (n, min) all G_j; start at
            1 / max(n, min).
    """

    moves_first: ClassVar[tuple[str, ...]] = ("randlora_lambda",)
    A: Tensor  # (r, min)
    B: Tensor  # (max, r n): the k-th columns of all B_j, k = 0, then k = 1, ...

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        n = full_rank(out, into, rank)
        return {"randlora_lambda": (rank, n), "randlora_gamma": (n, min(out, into))}

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        """Whole already, but for G."""
        branch, weight = super().empty(base, config, target), base.weight
        scales = branch.get_parameter("randlora_lambda")
        sizes = {"A": (target.rank, min(weight.shape)), "B": (max(weight.shape), scales.numel())}
        for name, size in sizes.items():
            matrix = scales.new_empty(size) if weight.is_meta else even(name, size, scales)
            branch.register_buffer(name, matrix, persistent=False)
        return branch

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        gains = self.get_parameter("randlora_gamma")
        gains.fill_(1 / max(gains.shape))

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        scales, gains = own["randlora_lambda"], own["randlora_gamma"]
        A = self.A.to(scales.dtype)[:, None] * scales[:, :, None] * gains  # (r, n, min)
        D = self.scaling * (self.B.to(scales.dtype) @ A.flatten(0, 1))  # (max, min)
        return D if weight.shape == D.shape else D.t()


def even(name: str, size: tuple[int, int], like: Tensor) -> Tensor:
    """Numbers in [-sqrt(3), sqrt(3)), each as likely as any other: of deviation 1. One tensor for
    all layers that ask for it: nobody may write into it."""
    return evenly(name, size, like.device, like.dtype)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # a cached one may train later
def evenly(name: str, size: tuple[int, int], device: torch.device, dtype: torch.dtype) -> Tensor:
    bits = stream(name).random_raw(size[0] * size[1]) >> np.uint64(11)
    numbers = (bits.astype(np.float64) / 2.0**52 - 1.0) * 3**0.5
    return torch.from_numpy(numbers.reshape(size)).to(device, dtype)


def drawn(count: int, of: int, path: str) -> np.ndarray:
    """So many different places below `of`, ascending, each as likely as any other."""
    keys = stream(path).random_raw(of)
    return np.sort(np.argpartition(keys, count - 1)[:count])


def stream(words: str) -> np.random.PCG64:
    """Bits that words name; numpy promises never to change them."""
    return np.random.PCG64(int.from_bytes(sha256(words.encode()).digest(), "little"))
