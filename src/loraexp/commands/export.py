"""loraexp export: a run's adapter as PEFT reads it."""

from pathlib import Path

from loraexp.results.escape import printable
from loraexp.schemas import ExportConfig


def run(config: ExportConfig, sweep: Path | None) -> None:
    from loraexp.training.peft_format import export  # heavy: not at start

    tensors = export(Path(config.run), Path(config.out))
    print(printable(f"wrote {config.out}: {tensors} tensors; its README.md says how peft opens it"))
