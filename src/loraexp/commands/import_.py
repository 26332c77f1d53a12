"""loraexp import: take an adapter that PEFT trained as a run's."""

from dataclasses import dataclass

from loraexp.config.keys import key
from loraexp.config.schema import Model
from loraexp.runtime.escape import printable


@dataclass
class ImportConfig:
    """loraexp import"""

    peft: str = key(
        "???", "folder with adapter_config.json and adapter_model.safetensors", path=True, text=True
    )
    out: str = key("???", "new folder for it as a run", path=True, text=True)
    labels: list[str] = key(
        [], "names of the classes, in order; if empty those of our own export, else LABEL_0, ..."
    )
    model: Model = key(Model(), "")  # of our own export, if none is typed, its base


def run(config: ImportConfig) -> None:
    from loraexp.tools.peft.from_peft import import_adapter  # heavy: not at start

    tensors = import_adapter(**vars(config))
    wrote = f"wrote {config.out}: {tensors} tensors"
    print(printable(f"{wrote}; predict, eval, merge and export take it as run="))
