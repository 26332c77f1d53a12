"""loraexp import: an adapter in PEFT's format as the folder of a run."""

from pathlib import Path

from loraexp.config.schemas import ImportConfig
from loraexp.runtime.escape import printable


def run(config: ImportConfig, sweep: Path | None) -> None:
    from loraexp.tools.peft.from_peft import import_adapter  # heavy: not at start

    tensors = import_adapter(config)
    wrote = f"wrote {config.out}: {tensors} tensors"
    print(printable(f"{wrote}; predict, eval, merge and export take it as run="))
