"""A network with its method attached and its tokenizer: fresh from a config, or back from a run."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loraexp.adapters.adapter_files import load_adapter, read_card
from loraexp.adapters.inject import inject
from loraexp.config.keys import keys
from loraexp.config.rules import check
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed, from_dict
from loraexp.data.batching import LengthGrouped, collate
from loraexp.data.splits import TextData, load_data
from loraexp.data.truncation import WHOLE, cut
from loraexp.errors import UserError, unknown
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.locate import RUN
from loraexp.model.tokenizer import Tokenizer
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer
from loraexp.records.typed_json import fits, value_at
from loraexp.runs.memory import check_memory
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.hardware import DTYPES, pick_precision

TRAINED = "train"  # the one verb that leaves a record


@dataclass(frozen=True)
class LoadedModel:
    """A network ready to train or to predict, and what it was made of."""

    config: TrainConfig
    network: GPT2Classifier
    tokenizer: Tokenizer
    labels: tuple[str, ...]
    base_sha256: str
    precision: str
    source_sha256: str | None = None  # of the adapter that it started from

    @property
    def max_length(self) -> int:
        """Of the longest text, in tokens."""
        data = self.config.data
        limits = (self.config.model.context, data.max_length, data.pad_to)
        return min(limit for limit in limits if limit is not None)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, cut as the run's own texts were."""
        side = self.config.data.truncation
        rows = self.tokenizer.encode(texts, self.max_length if side == "end" else WHOLE)
        return [cut(row, self.max_length, side) for row in rows]

    @torch.inference_mode()
    def logits(
        self, texts: Sequence[str], batch_size: int, forward: Callable[..., Tensor] | None = None
    ) -> Tensor:
        """(N, C) in float32, in the texts' order. Texts are stripped if those that the run learnt
        from were.

        Args:
            forward: of tokens and lengths, in place of the network's own.
        """
        device = self.network.wte.weight.device
        read = [text.strip() for text in texts] if self.config.data.strip else [*texts]
        rows = self.encode(read)
        result = torch.empty(len(texts), len(self.labels))
        for batch in LengthGrouped([len(row) for row in rows], batch_size, seed=None):
            items = [(rows[index], 0) for index in batch]
            tokens, lengths, _ = collate(items, self.tokenizer.pad, self.config.data.pad_to)
            logits = (forward or self.network)(tokens.to(device), lengths.to(device))
            result[batch] = logits.float().cpu()
        return result


def build_model(
    config: TrainConfig, labels: tuple[str, ...], *, empty: bool = False
) -> LoadedModel:
    """Base, head and a fresh adapter as `config` says, or an empty one for a file to fill."""
    check_memory(config, len(labels))
    tokenizer = load_tokenizer(config.model)
    network = load_classifier(config.model, config.head, len(labels), config.seed)
    base_sha256 = base_hash(network)
    precision = pick_precision(config.trainer.precision, config.trainer.accelerator)
    inject(network, config, None if empty else config.seed).compute_in(DTYPES[precision])
    network.execution.checkpointing = config.trainer.gradient_checkpointing
    network.execution.compiled = config.trainer.compile
    return LoadedModel(config, network, tokenizer, labels, base_sha256, precision)


def read_config(card: dict[str, Any], run: Path) -> TrainConfig:
    """The config that a card holds, with the precision that was used and the base in its place.

    Raises:
        UserError: a damaged card.
    """
    try:
        content = completed(card["config"])  # cards of before are read as what they meant
        config = from_dict(TrainConfig, content)
        for name, field in keys(TrainConfig):
            if not fits(value_at(content, name), field.type):
                raise TypeError(f"config.{name} is no {field.type}")
        check(config)
        if card["precision"] not in DTYPES:
            raise unknown("precision", card["precision"], DTYPES)
    except (TypeError, AttributeError, KeyError, UserError) as error:
        raise UserError(f"{RunFolder(run).adapter}: adapter.json is damaged: {error}") from None
    config.trainer.precision = card["precision"]
    return placed(config, run)


def placed(config: TrainConfig, run: Path) -> TrainConfig:
    """The config with its base where it is: model.weights=run is the folder of the run itself, so
    that a merged one may be moved."""
    if config.model.weights != RUN:
        return config
    return replace(config, model=replace(config.model, weights=str(run.resolve())))


def model_from_card(card: dict[str, Any], run: Path, precision: str | None = None) -> LoadedModel:
    """The network that a card describes, with an empty adapter.

    Args:
        precision: of its products, in place of the run's own.

    Raises:
        UserError: a damaged card, or a base that is not there.
    """
    config = read_config(card, run)
    trainer = replace(config.trainer, precision=precision or config.trainer.precision)
    model = build_model(replace(config, trainer=trainer), tuple(card["labels"]), empty=True)
    return replace(model, config=config)


def load_run(run: Path, precision: str | None = None) -> LoadedModel:
    """The trained network of a finished run.

    Args:
        precision: of its products, in place of the run's own.

    Raises:
        UserError: no adapter there, a damaged one, or not the base or tokenizer it was trained on.
    """
    card = read_card(RunFolder(run).adapter)
    model = model_from_card(card, run, precision)
    for part, now in (("base", model.base_sha256), ("tokenizer", model.tokenizer.sha256)):
        if (digest := card[f"{part}_sha256"]) != now:
            raise UserError(
                f"run={run}: trained on another {part} than model.weights="
                f"{model.config.model.weights} gives now (sha256 {digest[:12]} then, "
                f"{now[:12]} now)"
            )
    load_adapter(model.network, RunFolder(run).adapter)
    return model


def own_data(run: Path, config: TrainConfig) -> TextData:
    """The texts that a run was trained and tested on.

    Raises:
        UserError: they cannot be read, or are others now.
    """
    data, said = load_data(config.data), read_card(RunFolder(run).adapter)["split_sha256"]
    if said not in (None, data.sha256):
        raise UserError(
            f"run={run}: data={config.data.path or config.data.name} holds other texts than it was "
            f"trained on (sha256 {said[:12]} then, {data.sha256[:12]} now); eval data=... measures "
            "it on other texts"
        )
    return data
