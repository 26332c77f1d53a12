"""loraexp merge: a run's adapter folded into its base, and a certificate of what that changed."""

from pathlib import Path

from loraexp.config.schemas import MergeConfig
from loraexp.runtime.escape import printable


def run(config: MergeConfig, sweep: Path | None) -> None:
    from loraexp.tools.merging import merge_run  # heavy: not at start

    certificate = merge_run(config)
    print(
        f"{certificate.texts:,} validation texts: largest change of a logit "
        f"{certificate.logit_change:.2g}, {certificate.labels_changed} labels changed\n"
        f"wrote {printable(config.out)}: transformers' AutoModelForSequenceClassification "
        "opens it, and predict and eval take it as run="
    )
