"""A network with its method attached and its tokenizer: fresh from a config, or back from a run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from loraexp.adapters.adapter_files import load_adapter, read_card
from loraexp.adapters.inject import inject
from loraexp.config.rules import check, keys
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed, from_dict, plain
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError, unknown
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.model.locate import RUN
from loraexp.model.tokenizer import Tokenizer
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer
from loraexp.records.typed_json import fits, found
from loraexp.runs.memory import check_memory
from loraexp.runtime.hardware import DTYPES, pick_precision, versions

ADAPTER = "adapter"
TRAINED = "train"  # the one verb that leaves a record
# What every adapter is asked when it is saved, and again by `verify`.
GOLDEN = (
    "",
    "ok",
    "See you at seven, love x",
    "WINNER!! You have won a prize. Call 09061701461 now to claim",
    "How do I top up my card with another currency?",
    "the cat sat on the mat and the mat was flat " * 3,
    "£1,000 — naïve café 😀",
    "<|endoftext|> is seven letters and some signs",
)


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
    check_memory(config, len(labels))
    tokenizer = load_tokenizer(config.model)
    network = load_classifier(config.model, config.head, len(labels), config.seed)
    base_sha256 = base_hash(network)
    precision = pick_precision(config.trainer.precision, config.trainer.accelerator)
    inject(network, config, config.seed).compute_in(DTYPES[precision])
    network.execution.checkpointing = config.trainer.gradient_checkpointing
    network.execution.compiled = config.trainer.compile
    return Assembled(network, tokenizer, labels, base_sha256, precision, longest(config))


def longest(config: TrainConfig) -> int:
    limits = (config.model.context, config.data.max_length, config.data.pad_to)
    return min(limit for limit in limits if limit is not None)


def adapter_card(
    config: TrainConfig, made: Assembled, data: TextData | None, made_by: str
) -> dict[str, Any]:
    """What adapter.json says: all that is needed to put the adapter back on its base, and to see
    that it does there what it did here. Of an imported adapter nobody knows the data; by the verb
    that made it, one knows whether there is a record."""
    return {
        "made_by": made_by,
        "method": config.method,
        "config": plain(config),
        "labels": list(made.labels),
        "pooling": config.head.pooling,
        "pad_id": made.tokenizer.pad,
        "precision": made.precision,
        "base": config.model.name,
        "base_sha256": made.base_sha256,
        "tokenizer_sha256": made.tokenizer.sha256,
        "data_sha256": data and data.source_sha256,
        "split_sha256": data and data.sha256,
        "versions": versions(),
        "golden": {"texts": list(GOLDEN), "logits": golden_logits(made)},
    }


def golden_logits(made: Assembled) -> list[list[float]]:
    """Logits (8, C) of the golden texts, computed in float32 whatever the run computed in."""
    network, rows = made.network, made.tokenizer.encode([*GOLDEN], made.max_length)
    device, training = network.wte.weight.device, network.training
    computed, network.execution.dtype = network.execution.dtype, torch.float32
    network.eval()
    with torch.inference_mode():
        logits = [
            network(torch.tensor([row or [made.tokenizer.pad]], device=device)).float().cpu()[0]
            for row in rows
        ]
    network.execution.dtype = computed
    network.train(training)
    return [row.tolist() for row in logits]


def read_config(card: dict[str, Any], run: Path) -> TrainConfig:
    """The config that a card holds, with the precision that was used and the base in its place.

    Raises:
        UserError: a damaged card.
    """
    try:
        content = {"rerun": False} | completed(
            card["config"]
        )  # cards of before are read as what they meant
        config = from_dict(TrainConfig, content)
        for name, field in keys(TrainConfig):
            if not fits(found(content, name), field.type):
                raise TypeError(f"config.{name} is no {field.type}")
        check(config)
        if card["precision"] not in DTYPES:
            raise unknown("precision", card["precision"], DTYPES)
    except (TypeError, AttributeError, KeyError, UserError) as error:
        raise UserError(f"{run / ADAPTER}: adapter.json is damaged: {error}") from None
    config.trainer.precision = card["precision"]
    return placed(config, run)


def placed(config: TrainConfig, run: Path) -> TrainConfig:
    """The config with its base where it is: model.weights=run is the folder of the run itself, so
    that a merged one may be moved."""
    if config.model.weights != RUN:
        return config
    return replace(config, model=replace(config.model, weights=str(run.resolve())))


def rebuild(card: dict[str, Any], run: Path) -> tuple[TrainConfig, Assembled]:
    """The config and the network that a card describes, with a fresh adapter.

    Raises:
        UserError: a damaged card, or a base that is not there.
    """
    config = read_config(card, run)
    return config, assemble(config, tuple(card["labels"]))


def restore(run: Path) -> tuple[TrainConfig, Assembled]:
    """The config and the trained network of a finished run.

    Raises:
        UserError: no adapter there, a damaged one, or not the base or tokenizer it was trained on.
    """
    card = read_card(run / ADAPTER)
    config, made = rebuild(card, run)
    for part, now in (("base", made.base_sha256), ("tokenizer", made.tokenizer.sha256)):
        if (digest := card[f"{part}_sha256"]) != now:
            raise UserError(
                f"run={run}: trained on another {part} than model.weights={config.model.weights} "
                f"gives now (sha256 {digest[:12]} then, {now[:12]} now)"
            )
    load_adapter(made.network, run / ADAPTER)
    return config, made


def own_data(run: Path, config: TrainConfig) -> TextData:
    """The texts that a run was trained and tested on.

    Raises:
        UserError: they cannot be read, or are others now.
    """
    data, said = load_data(config.data), read_card(run / ADAPTER)["split_sha256"]
    if said not in (None, data.sha256):
        raise UserError(
            f"run={run}: data={config.data.path or config.data.name} holds other texts than it was "
            f"trained on (sha256 {said[:12]} then, {data.sha256[:12]} now); eval data=... measures "
            "it on other texts"
        )
    return data
