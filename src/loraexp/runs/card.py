"""What an adapter's card says: all that puts the adapter back on its base, and shows that it does
there what it did here."""

from pathlib import Path
from typing import Any

import torch

from loraexp.config.stored import plain
from loraexp.data.splits import TextData
from loraexp.runs.load import LoadedModel
from loraexp.runtime.hardware import versions

# What every adapter is asked when it is saved, and again by `verify`.
GOLDEN = (
    "",
    "ok",
    "See you at seven, love x",
    "WINNER!! You have won a prize. Call 09061701461 now to claim",
    "How do I top up my card with another currency?",
    "the cat sat on the mat and the mat was flat " * 3,
    "£1,000 — naïve café 😀",
    "<|endoftext|> is seven letters and some signs",
)


def adapter_card(model: LoadedModel, data: TextData | None, made_by: str) -> dict[str, Any]:
    """The content of adapter.json. Of an imported adapter nobody knows the data; by the verb that
    made it, one knows whether there is a record."""
    return {
        "made_by": made_by,
        **({"init_from": source_of(model)} if model.source_sha256 else {}),
        "method": model.config.method,
        "config": plain(model.config),
        "labels": list(model.labels),
        "pooling": model.config.head.pooling,
        "pad_id": model.tokenizer.pad,
        "precision": model.precision,
        "base": model.config.model.name,
        "base_sha256": model.base_sha256,
        "tokenizer_sha256": model.tokenizer.sha256,
        "data_sha256": data and data.source_sha256,
        "split_sha256": data and data.sha256,
        "versions": versions(),
        "golden": {"texts": list(GOLDEN), "logits": golden_logits(model)},
    }


def source_of(model: LoadedModel) -> dict[str, str | None]:
    """The run that an adapter started from: its name, and what its adapter was then."""
    name = Path(str(model.config.init_from)).resolve().name
    return {"run": name, "adapter_sha256": model.source_sha256}


def golden_logits(model: LoadedModel) -> list[list[float]]:
    """Logits (8, C) of the golden texts, computed in float32 whatever the run computed in."""
    network, rows = model.network, model.encode(GOLDEN)
    device, training = network.wte.weight.device, network.training
    computed, network.execution.dtype = network.execution.dtype, torch.float32
    network.eval()
    with torch.inference_mode():
        logits = [
            network(torch.tensor([row or [model.tokenizer.pad]], device=device)).float().cpu()[0]
            for row in rows
        ]
    network.execution.dtype = computed
    network.train(training)
    return [row.tolist() for row in logits]
