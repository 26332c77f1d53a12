"""init_from: a run that starts from the adapter of a finished one, which is no resuming."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from loraexp.adapters.adapter_files import load_adapter, read_card
from loraexp.adapters.learning import controller
from loraexp.adapters.methods import find_method
from loraexp.config.keys import walk
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError, cut
from loraexp.runs.load import LoadedModel, read_config
from loraexp.runs.run_folder import RunFolder

# Of the keys that decide what an adapter is, those that leave its tensors their meaning. Which base
# it is on, hashes say and no names.
FREE = ("lora.dropout", "lora.lr_ratio")
DECIDING = ("method", "lora.", "last_block.", "adalora.", "head.")


def source_hash(init_from: str) -> str:
    """Of the tensors that a run starts from.

    Raises:
        UserError: no adapter there, or a damaged card.
    """
    return str(read_card(RunFolder(Path(init_from)).adapter)["adapter_sha256"])


def check_source(config: TrainConfig, labels: tuple[str, ...]) -> None:
    """What can be said before a model is loaded.

    Raises:
        UserError: another method, shape, head or label than the source's.
    """
    run = Path(str(config.init_from))
    card = read_card(RunFolder(run).adapter)
    own, its = deciding(config), deciding(read_config(card, run))
    for key in own.keys() | its.keys():
        if own.get(key) != its.get(key):
            raise differs(run, key, its.get(key), own.get(key))
    if (there := tuple(card["labels"])) != labels:
        raise differs(run, "labels", ", ".join(there), ", ".join(labels))


def deciding(config: TrainConfig) -> dict[str, Any]:
    unused = () if find_method(config.method).has_rank else ("lora.", "adalora.")
    targets = "lora.target_modules" if find_method(config.method).branch else "method"
    return {
        key: value
        for key, value, _ in walk(config)
        if key.startswith(DECIDING) and key not in FREE
        if key == targets or not key.startswith(unused)
    }


def differs(run: Path, what: str, its: object, own: object) -> UserError:
    return UserError(
        f"init_from={run} has another {what}: {cut(str(its), 200)}, here {cut(str(own), 200)}"
    )


def started_from(model: LoadedModel) -> LoadedModel:
    """The model with the tensors of the run that its config names, and their hash.

    Raises:
        UserError: another base or tokenizer than the source's, a damaged adapter, or a method that
            follows a schedule from its first step on.
    """
    run = Path(str(model.config.init_from))
    card = read_card(RunFolder(run).adapter)
    for part, now in (("base", model.base_sha256), ("tokenizer", model.tokenizer.sha256)):
        if (digest := str(card[f"{part}_sha256"])) != now:
            raise differs(run, f"{part} (sha256)", digest[:12], now[:12])
    if controller(model.network, model.config):
        raise UserError(
            f"init_from={run}: method={model.config.method} changes its tensors by a schedule of "
            "its own, which begins with a new adapter"
        )
    load_adapter(model.network, RunFolder(run).adapter)
    return replace(model, source_sha256=str(card["adapter_sha256"]))
