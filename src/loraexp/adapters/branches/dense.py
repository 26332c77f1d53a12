"""Branches whose change of the weight is a whole matrix, made from few numbers at each step."""

from abc import abstractmethod
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loraexp.adapters.branches.base import SCALINGS, Branch, uniform
from loraexp.adapters.methods import bases, factored, has_small_second
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation

Tensors = Mapping[str, Tensor]


class Dense(Branch):
    """y + dropout(x) D' with D (out, in) a function of the branch's tensors, and of the weight."""

    def __init__(self, scaling: float, dropout: float, tensors: Tensors) -> None:
        super().__init__()
        self.scaling, self.dropout = scaling, nn.Dropout(dropout)
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor))

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        kind = torch.promote_types(base.weight.dtype, torch.float32)
        shapes = cls.shapes(base.out_features, base.in_features, target.rank)
        zeros = {
            name: torch.zeros(shape, dtype=kind, device=base.weight.device)
            for name, shape in shapes.items()
        }
        scaling = SCALINGS[config.lora.scaling](target.alpha, target.rank)
        return cls(scaling, config.lora.dropout, zeros)

    @staticmethod
    @abstractmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        """Of the tensors that train, by name."""

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        """Kaiming's uniform bounds as torch's nn.Linear has them, of all but what stays zero."""
        for name, tensor in self.named_parameters():
            if name not in self.moves_first:
                uniform(tensor, tensor.shape[1], generator)

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
    """D = W * (B A), element by element (Huang et al. 2025, "HiRA", section 3.2, eq. 4): of high
    rank, because W is. alpha and scaling have no part in it, as in PEFT.

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
    """D = s (B1 A1) * (B2 A2), element by element (Hyeon-Woo et al. 2022, "FedPara", proposition
    1): of rank r^2 at most. As in PEFT, whose hada_w1_a is B1 and hada_w1_b is A1.

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
    """D = s C (x) (B A), the Kronecker product (Edalati et al. 2022, "KronA", section 3.2; with the
    second factor of rank r as in Yeh et al. 2024, "LyCORIS", section 3.3, and in PEFT). Where the
    rank is no less than half of the second factor's sides, that is whole.

    Args:
        lokr_w1: C (k, m); starts at zero. lokr_w2_a: B (out / k, r). lokr_w2_b: A (r, in / m).
        lokr_w2: in place of the two, (out / k, in / m).
    """

    moves_first: ClassVar[tuple[str, ...]] = ("lokr_w1",)

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        (k, rest), (m, others) = factored(out), factored(into)
        if has_small_second(out, into, rank):
            return {"lokr_w1": (k, m), "lokr_w2": (rest, others)}
        return {"lokr_w1": (k, m), "lokr_w2_a": (rest, rank), "lokr_w2_b": (rank, others)}

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        second = own["lokr_w2"] if "lokr_w2" in own else own["lokr_w2_a"] @ own["lokr_w2_b"]
        return self.scaling * torch.kron(own["lokr_w1"], second)


class Shira(Dense):
    """D is zero but at r (in + out) places, as many as LoRA trains numbers (Bhardwaj et al. 2024,
    "Sparse High Rank Adapters", section 3.1, SHiRA-Rand). The places are drawn from the layer's
    path and no file holds them. alpha and scaling have no part in it, as in PEFT.

    Args:
        shira_weight: (r (in + out),) the numbers; start at zero.
    """

    moves_first: ClassVar[tuple[str, ...]] = ("shira_weight",)
    places: Tensor

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        return {"shira_weight": (min(rank * (into + out), into * out),)}

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        branch = super().empty(base, config, target)
        count, device = len(branch.get_parameter("shira_weight")), base.weight.device
        places = torch.empty(count, dtype=torch.long, device=device)
        if not base.weight.is_meta:
            places = torch.from_numpy(drawn(count, base.weight.numel(), target.path)).to(device)
        branch.register_buffer("places", places, persistent=False)
        return branch

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        values = own["shira_weight"]
        return values.new_zeros(weight.numel()).scatter(0, self.places, values).view(weight.shape)


class Randlora(Dense):
    """D = s sum_i B_i diag(l_i) A diag(g_i): full rank from n = ceil(min(in, out) / r) random bases
    of rank r, which only diagonal matrices scale (Albert et al. 2025, "RandLoRA", section 4.1).

    A and all B_i are drawn from the layer's path, uniform and of deviation 1; no file holds them.
    A has the smaller side. PEFT draws one set for all layers, from torch's generator.

    Args:
        randlora_lambda: (r, n) l; starts at zero. randlora_gamma: (n, min) g; starts at 1 / max(n,
            min).
    """

    moves_first: ClassVar[tuple[str, ...]] = ("randlora_lambda",)
    A: Tensor  # (r, min)
    B: Tensor  # (max, r n)

    @staticmethod
    def shapes(out: int, into: int, rank: int) -> dict[str, tuple[int, ...]]:
        n, least = bases(out, into, rank), min(out, into)
        return {"randlora_lambda": (rank, n), "randlora_gamma": (n, least)}

    @classmethod
    def empty(cls, base: nn.Linear, config: Adaptation, target: Target) -> Self:
        branch = super().empty(base, config, target)
        weight, rank = base.weight, target.rank
        sizes = {
            "A": (rank, min(weight.shape)),
            "B": (max(weight.shape), rank * bases(*weight.shape, rank)),
        }
        for name, size in sizes.items():
            matrix = torch.empty(size, device=weight.device)
            if not weight.is_meta:
                matrix = torch.from_numpy(even(size, f"{name} {target.path}")).to(weight.device)
            branch.register_buffer(name, matrix.to(branch.kind), persistent=False)
        return branch

    @property
    def kind(self) -> torch.dtype:
        return self.get_parameter("randlora_lambda").dtype

    def start(self, base: nn.Linear, config: Adaptation, generator: torch.Generator) -> None:
        gamma = self.get_parameter("randlora_gamma")
        gamma.fill_(1 / max(gamma.shape))

    def change(self, own: Tensors, weight: Tensor) -> Tensor:
        scales, gains = own["randlora_lambda"], own["randlora_gamma"]
        A = self.A.to(scales.dtype)[:, None] * scales[:, :, None] * gains  # (r, n, min)
        D = self.scaling * (self.B.to(scales.dtype) @ A.flatten(0, 1))  # (max, min)
        return D if weight.shape == D.shape else D.t()


def stream(words: str) -> np.random.PCG64:
    """Random bits that numpy promises never to change, named by words."""
    return np.random.PCG64(int.from_bytes(sha256(words.encode()).digest()[:8], "little"))


def drawn(count: int, of: int, path: str) -> np.ndarray:
    """So many different places, ascending, each as likely as any other."""
    keys = stream(path).random_raw(of)
    return np.sort(np.argpartition(keys, count - 1)[:count])


def even(size: tuple[int, int], words: str) -> np.ndarray:
    """Uniform in [-sqrt(3), sqrt(3)): of deviation 1."""
    bits = stream(words).random_raw(size[0] * size[1]) >> np.uint64(11)
    return ((bits.astype(np.float64) / 2.0**52 - 1.0) * 3**0.5).reshape(size)
