"""loraexp export: a run's adapter as PEFT reads it."""

from pathlib import Path

from loraexp.config.schemas import ExportConfig
from loraexp.runtime.escape import printable


def run(config: ExportConfig, sweep: Path | None) -> None:
    from loraexp.tools.peft.to_peft import export  # heavy: not at start

    tensors = export(Path(config.run), Path(config.out))
    print(printable(f"wrote {config.out}: {tensors} tensors; its README.md says how peft opens it"))
