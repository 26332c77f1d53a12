"""loraexp export: write a run's adapter in PEFT's format."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.runtime.escape import printable


@dataclass
class ExportConfig:
    """loraexp export"""

    run: str = key("???", "folder of a finished run", path=True, text=True)
    out: str = key("???", "new folder for the adapter in PEFT's format", path=True, text=True)
    format: str = one_of("peft", "peft")


def run(config: ExportConfig) -> None:
    from loraexp.tools.peft.to_peft import export  # heavy: not at start

    tensors = export(Path(config.run), Path(config.out))
    print(printable(f"wrote {config.out}: {tensors} tensors; its README.md says how peft opens it"))
