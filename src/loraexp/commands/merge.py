"""loraexp merge: fold a run's adapter into its base: a checkpoint for transformers."""

from dataclasses import dataclass

from loraexp.config.keys import key
from loraexp.runtime.escape import printable


@dataclass
class MergeConfig:
    """loraexp merge"""

    run: str = key("???", "folder of a finished run", path=True, text=True)
    out: str = key(
        "???", "new folder for the merged checkpoint, in Hugging Face format", path=True, text=True
    )
    dtype: str = key(
        "fp32", "fp32 | bf16: what the weights are stored in", choices=("fp32", "bf16")
    )
    tolerance: float = key(1e-3, "largest change of a validation text's logits", least=0)
    force: bool = key(False, "write the checkpoint also when the change is larger")


def run(config: MergeConfig) -> None:
    from loraexp.tools.merging import merge_run  # heavy: not at start

    certificate = merge_run(**vars(config))
    print(
        f"{certificate.texts:,} validation texts: largest change of a logit "
        f"{certificate.logit_change:.2g}, {certificate.labels_changed} labels changed\n"
        f"wrote {printable(config.out)}: transformers' AutoModelForSequenceClassification "
        "opens it, and predict and eval take it as run="
    )
