"""A network with its method attached and its tokenizer: fresh from a config, or back from a run."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loraexp.adapters.files import load_adapter, read_card
from loraexp.adapters.inject import inject
from loraexp.config import TrainConfig
from loraexp.errors import UserError
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.model.tokenizer import Tokenizer
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer
from loraexp.rules import from_dict
from loraexp.training.hardware import DTYPES, pick_precision

ADAPTER = "adapter"


@dataclass(frozen=True)
class Assembled:
    """A network ready to train or to predict, and what it was made of."""

    network: GPT2Classifier
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    base_sha256: str
    precision: str
    max_length: int  # longest text in tokens


def assemble(config: TrainConfig, labels: tuple[str, ...]) -> Assembled:
    """Base, head and a fresh adapter as `config` says."""
    tokenizer = load_tokenizer(config.model)
    network = load_classifier(config.model, config.head, len(labels), config.seed)
    base_sha256 = base_hash(network)
    precision = pick_precision(config.trainer.precision, config.trainer.accelerator)
    inject(network, config, config.seed).compute_in(DTYPES[precision])
    network.checkpointing = config.trainer.gradient_checkpointing
    return Assembled(network, tokenizer, labels, base_sha256, precision, longest(config))


def longest(config: TrainConfig) -> int:
    limits = (config.model.context, config.data.max_length, config.data.pad_to)
    return min(limit for limit in limits if limit is not None)


def adapter_card(config: TrainConfig, made: Assembled) -> dict[str, Any]:
    """What adapter.json says: all that is needed to put the adapter back on its base."""
    return {
        "config": asdict(config),
        "labels": list(made.labels),
        "precision": made.precision,
        "base_sha256": made.base_sha256,
        "tokenizer_sha256": made.tokenizer.sha256,
    }


def restore(run: Path) -> tuple[TrainConfig, Assembled]:
    """The config and the trained network of a finished run.

    Raises:
        UserError: no adapter there, a damaged one, or not the base or tokenizer it was trained on.
    """
    card = read_card(run / ADAPTER)
    try:
        config, labels = from_dict(TrainConfig, card["config"]), tuple(card["labels"])
        config.trainer.precision = card["precision"]
        expected = {"base": card["base_sha256"], "tokenizer": card["tokenizer_sha256"]}
    except (KeyError, TypeError) as error:
        raise UserError(f"{run / ADAPTER}: adapter.json is damaged: {error}") from None
    made = assemble(config, labels)
    found = {"base": made.base_sha256, "tokenizer": made.tokenizer.sha256}
    for part, digest in expected.items():
        if found[part] != digest:
            raise UserError(
                f"run={run}: trained on another {part} than model.weights={config.model.weights} "
                f"gives now (sha256 {digest[:12]} then, {found[part][:12]} now)"
            )
    load_adapter(made.network, run / ADAPTER)
    return config, made
