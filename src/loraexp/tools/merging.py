"""A run's adapter folded into its base, certified on the validation texts before it is kept."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from loraexp.adapters.counts import in_head
from loraexp.adapters.inject import merge
from loraexp.adapters.methods import as_method
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_classifier
from loraexp.model.locate import RUN
from loraexp.runs.load import load_run, own_data
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


def merge_run(run: str, out: str, dtype: str, tolerance: float, force: bool) -> Certificate:
    """Write the merged checkpoint of a run, for transformers and as a run of ours; nothing is
    written if it is not what was trained.

    The adapter goes onto the base in float32, whatever the run computed in; the weights are summed
    in float64 and rounded once.

    Raises:
        UserError: a run that cannot be restored or merged, an `out` that is taken, or logits that
            change by more than the tolerance.
    """
    folder, target = Path(run), Path(out)
    check_free(target)
    model = load_run(folder, "fp32")
    check_expressible(model.config)
    data = own_data(folder, model.config)
    texts = data.validation.texts
    model.network.eval()
    before = model.logits(texts, BATCH)
    merge(model.network)
    stored = {name: t.to(DTYPES[dtype]) for name, t in model.network.state_dict().items()}
    model.network.load_state_dict(stored)  # as the file will give them back
    certificate = compare(before, model.logits(texts, BATCH))
    # Not `> tolerance`: a NaN is no proof of anything.
    if not certificate.logit_change <= tolerance and not force:
        raise UserError(
            f"merging changes a logit by {certificate.logit_change:.2g} and "
            f"{certificate.labels_changed} of {len(texts)} labels, more than "
            f"tolerance={tolerance:g}; nothing was written (force=true writes it)"
        )
    save_classifier(stored, model.config.model, model.tokenizer, model.labels, target)
    head = {name: tensor for name, tensor in stored.items() if in_head(name)}
    write_run(target, on_itself(model.config), model.labels, head, data, made_by="merge")
    return certificate


def on_itself(config: TrainConfig) -> TrainConfig:
    """The config under which a merged folder is a run, wherever it lies: its weights are the base,
    and all that is left to adapt is the head."""
    model = replace(config.model, weights=RUN, tokenizer="auto", repo="", revision="", sha256="")
    return as_method(replace(config, model=model, output_dir=TrainConfig.output_dir), "head")


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


def compare(before: Tensor, after: Tensor) -> Certificate:
    changed = (before.argmax(1) != after.argmax(1)).sum()
    return Certificate(len(before), float((after - before).abs().max()), int(changed))
