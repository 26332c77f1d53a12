"""Named tensors of a network or a file: are they those that are wanted, and which are they?"""

from collections.abc import Mapping, Set
from hashlib import sha256

import torch
from torch import Tensor


def check_layout(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Names and shapes must be exactly those of `own`.

    Raises:
        ValueError: a missing, unexpected or misshaped tensor, by name.
    """
    refuse("lacks", own.keys() - tensors.keys())
    refuse("has an unexpected", tensors.keys() - own.keys())
    refuse("has another shape for", {n for n in own if own[n].shape != tensors[n].shape})


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    refuse("has a non-finite", {n for n, t in tensors.items() if not bool(t.isfinite().all())})


def refuse(problem: str, names: Set[str]) -> None:
    if names:
        raise ValueError(f"{problem} {min(names)} ({len(names)} such tensors)")


def tensors_hash(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes, dtypes and bytes, in the order of names."""
    digest = sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
