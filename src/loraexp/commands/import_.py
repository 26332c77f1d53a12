"""loraexp import: an adapter in PEFT's format as the folder of a run."""

from pathlib import Path

from loraexp.schemas import ImportConfig


def run(config: ImportConfig, sweep: Path | None) -> None:
    from loraexp.training.peft_import import import_adapter  # heavy: not at start

    tensors = import_adapter(config)
    print(f"wrote {config.out}: {tensors} tensors; predict, eval, merge and export take it as run=")
