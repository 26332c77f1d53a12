"""Adapters for the tests of their files: one that was moved from its start, and fresh ones."""

from typing import Any

import torch
from torch import nn

from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.adapters.methods import as_method
from loraexp.config.schema import Adaptation, Head, Model
from loraexp.model.weights import load_classifier

CONTENT: dict[str, Any] = {
    **dict.fromkeys(("base_sha256", "tokenizer_sha256", "data_sha256", "split_sha256"), "0" * 64),
    **{"method": "lora", "pooling": "last_token", "precision": "fp32", "base": "tiny"},
    **{"config": {}, "versions": {}, "golden": {}, "labels": ["ham", "spam"], "pad_id": 256},
}


def trained(network: nn.Module, config: Adaptation) -> nn.Module:
    """Injected, and moved away from its start."""
    inject(network, config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network


def fresh(tiny: Model, method: str = "lora") -> nn.Module:
    return inject(
        load_classifier(tiny, Head(bias=True), 2, seed=5), as_method(Adaptation(), method), seed=6
    )
