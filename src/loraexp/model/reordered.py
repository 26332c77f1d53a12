"""The frozen base's products in bf16 on a CPU, through the library's own layout of a weight.

oneDNN rearranges a plain weight in every product, which for the few hundred tokens of a batch takes
up to a fifth of the time. Here a weight is rearranged once for each direction that is asked for,
and held beside the plain one, which all else reads. Other devices and dtypes never come here.
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class ReorderedWeight:
    """A weight in the library's layout for one direction, made anew when the weight has changed."""

    def __init__(self, *, transposed: bool = False) -> None:
        self.transposed = transposed
        self.made_of: tuple[int, int] | None = None
        self.layout = self.zeros = torch.empty(0)

    def matmul(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, *, gelu: bool = False
    ) -> Tensor:
        """x W' + b, or x W + b if transposed; weight (out, in)."""
        now = weight.data_ptr(), weight._version
        if now != self.made_of:
            self.layout = torch.empty(0)  # the old one goes before the new one comes
            plain = weight.t().contiguous() if self.transposed else weight
            self.layout, self.made_of = torch.ops.mkldnn._reorder_linear_weight(plain), now
            self.zeros = weight.new_zeros(len(plain))
        # A product without a bias would be another kernel, prepared and kept for every new shape.
        return multiply(x, self.layout, self.zeros if bias is None else bias, gelu=gelu)

    def __reduce__(self) -> Any:  # to copy and to pickle: the layout is made anew
        return partial(type(self), transposed=self.transposed), ()


def can_reorder(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether the functions below take these: bf16 on a CPU that has it, and x alone may train.
    torch.compile has products of its own."""
    return (
        HAS_BF16
        and not torch.compiler.is_compiling()
        and x.dtype == weight.dtype == torch.bfloat16
        and x.device.type == "cpu"
        and not weight.requires_grad
        and (bias is None or (bias.dtype == torch.bfloat16 and not bias.requires_grad))
    )


class FrozenLinearFunction(torch.autograd.Function):
    """x W' + b with a gradient for x."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        layouts: tuple[ReorderedWeight, ReorderedWeight],
    ) -> Tensor:
        forward, ctx.backward = layouts
        ctx.save_for_backward(weight)
        return forward.matmul(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,) = ctx.saved_tensors
        return ctx.backward.matmul(gradients[0], weight, None), None, None, None


class Gelu(torch.autograd.Function):
    """GPT-2's gelu. oneDNN's takes a third of the time that torch's does, and is to be had only as
    what follows a product: here one with the identity, which is exact."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        if x.numel() % 16:
            return F.gelu(x, approximate="tanh")
        identity = torch.eye(16, dtype=x.dtype)
        return multiply(x.view(-1, 16), identity, gelu=True).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.gelu_backward(gradients[0], x, approximate="tanh")


def multiply(
    x: Tensor, layout: Tensor, bias: Tensor | None = None, *, gelu: bool = False
) -> Tensor:
    name, algorithm = ("gelu", "tanh") if gelu else ("none", "")
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, layout, bias, name, [], algorithm)
    return product


# Private names of torch's, which a later version may take away: then all is done the plain way.
NAMES = "_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported"
HAS_BF16: bool = (
    torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    and all(hasattr(torch.ops.mkldnn, name) for name in NAMES)
    and torch.ops.mkldnn._is_mkldnn_bf16_supported()
)
