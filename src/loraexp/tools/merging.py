"""A run's adapter folded into its base, certified on the validation texts before it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from loraexp.adapters.adapter_files import load_adapter, read_card
from loraexp.adapters.counts import in_head
from loraexp.adapters.inject import merge
from loraexp.adapters.methods import as_method
from loraexp.config.schema import TrainConfig
from loraexp.config.schemas import MergeConfig
from loraexp.errors import UserError
from loraexp.inference.predictor import encode
from loraexp.model.checkpoint import save_classifier
from loraexp.model.locate import RUN
from loraexp.runs.load import ADAPTER, Assembled, own_data, rebuild, restore
from loraexp.runtime.hardware import DTYPES
from loraexp.tools.write_run import check_free, write_run

BATCH = 32


@dataclass(frozen=True)
class Certificate:
    """What merging changed.

    Args:
        texts: validation texts that were compared.
        logit_change: largest absolute change of a logit, in float32.
        labels_changed: texts whose largest logit is another one.
    """

    texts: int
    logit_change: float
    labels_changed: int


def merge_run(config: MergeConfig) -> Certificate:
    """Write the merged checkpoint of a run, for transformers and as a run of ours; nothing is
    written if it is not what was trained.

    The adapter goes onto the base in float32, whatever the run computed in; the weights are summed
    in float64 and rounded once.

    Raises:
        UserError: a run that cannot be restored or merged, an `out` that is taken, or logits that
            change by more than the tolerance.
    """
    run, out = Path(config.run), Path(config.out)
    check_free(out)
    restore(run)  # all its checks
    card = read_card(run / ADAPTER)
    trained, made = rebuild({**card, "precision": "fp32"}, run)
    check_expressible(trained)
    load_adapter(made.network, run / ADAPTER)
    data = own_data(run, trained)
    texts = data.validation.texts
    before = logits(trained, made, texts)
    merge(made.network)
    stored = {name: t.to(DTYPES[config.dtype]) for name, t in made.network.state_dict().items()}
    made.network.load_state_dict(stored)  # as the file will give them back
    certificate = compare(before, logits(trained, made, texts))
    # Not `> tolerance`: a NaN is no proof of anything.
    if not certificate.logit_change <= config.tolerance and not config.force:
        raise UserError(
            f"merging changes a logit by {certificate.logit_change:.2g} and "
            f"{certificate.labels_changed} of {len(texts)} labels, more than "
            f"tolerance={config.tolerance:g}; nothing was written (force=true writes it)"
        )
    save_classifier(stored, trained.model, made.tokenizer, made.labels, out)
    merged = on_itself(trained, card["precision"])
    write_run(out, merged, made.labels, head_of(stored), data, made_by="merge")
    return certificate


def on_itself(config: TrainConfig, precision: str) -> TrainConfig:
    """The config under which a merged folder is a run, wherever it lies: its weights are the base,
    and all that is left to adapt is the head."""
    model = replace(config.model, weights=RUN, tokenizer="auto", repo="", revision="", sha256="")
    trainer = replace(config.trainer, precision=precision)
    merged: TrainConfig = as_method(
        replace(config, model=model, trainer=trainer, output_dir=TrainConfig.output_dir), "head"
    )
    return merged


def head_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if in_head(name)}


def check_expressible(config: TrainConfig) -> None:
    """transformers' classifier pools the last real token and has no bias in its head."""
    for key, value, wanted in (
        ("head.pooling", config.head.pooling, "last_token"),
        ("head.bias", config.head.bias, False),
        ("model.causal", config.model.causal, True),
        ("data.pad_to", config.data.pad_to, None),
    ):
        if value != wanted:
            raise UserError(
                f"transformers' classifier cannot do {key}={value} (only {wanted}), so this run "
                "cannot be written as one"
            )


@torch.inference_mode()
def logits(config: TrainConfig, made: Assembled, texts: list[str]) -> Tensor:
    """(N, C) in float32."""
    made.network.eval()
    result = torch.empty(len(texts), len(made.labels))
    for batch, tokens, lengths in encode(made, config, texts, BATCH):
        result[batch] = made.network(tokens, lengths).float()
    return result


def compare(before: Tensor, after: Tensor) -> Certificate:
    changed = (before.argmax(1) != after.argmax(1)).sum()
    return Certificate(len(before), float((after - before).abs().max()), int(changed))
