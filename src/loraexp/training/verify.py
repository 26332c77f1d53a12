"""Does a finished run still hold what it says? Everything its card claims is computed again."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loraexp.adapters.files import load_adapter, read_card
from loraexp.config import Data
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.results.record import is_finished, read_record
from loraexp.training.assemble import ADAPTER, GOLDEN, golden_logits, rebuild

TOLERANCE = 1e-4  # of golden logits in float32, between machines


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        field: of adapter.json or record.json.
        off: what is wrong with it; None if nothing is.
        skipped: why it could not be looked at; None if it was.
    """

    field: str
    off: str | None = None
    skipped: str | None = None


def verify(run: Path) -> Iterator[Check]:
    """Check a run's adapter and record field by field.

    Raises:
        UserError: files that cannot be read at all, are damaged, or do not fit each other; it says
            which and where.
    """
    card = read_card(run / ADAPTER)
    yield Check("format, digests of all fields")
    config, made = rebuild(card, run)
    for field, now in (
        ("base_sha256", made.base_sha256),
        ("tokenizer_sha256", made.tokenizer.sha256),
        ("pad_id", made.tokenizer.pad),
        ("method", config.method),
        ("pooling", config.head.pooling),
        ("base", config.model.name),
    ):
        yield same(field, card[field], now)
    load_adapter(made.network, run / ADAPTER)
    yield Check("adapter_sha256, names and shapes of all tensors")
    yield golden(card["golden"], golden_logits(made))
    yield from data_checks(card, config.data)
    if is_finished(run):
        record = read_record(run)
        yield same("record: hashes.adapter", record.hashes["adapter"], card["adapter_sha256"])
        yield same("record: hashes.base", record.hashes["base"], card["base_sha256"])
        yield same("record: labels", record.labels, card["labels"])
        yield same("record: config", record.config, asdict(config))


def same(field: str, said: object, now: object) -> Check:
    return Check(field, None if said == now else f"says {said}, is {now}")


def golden(said: dict[str, Any], now: list[list[float]]) -> Check:
    """The logits of fixed texts: the whole chain from tokenizer to head, once more."""
    if said["texts"] != list(GOLDEN):
        return Check("golden", "the texts are not those of this version")
    for text, before, after in zip(GOLDEN, said["logits"], now, strict=True):
        off = max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(after, before, strict=True))
        if not off <= TOLERANCE:
            return Check("golden", f"logits of {text[:30]!r} differ by {off:.2g}")
    return Check("golden")


def data_checks(card: dict[str, Any], data: Data) -> Iterator[Check]:
    """The texts it was trained and tested on, if they can still be read."""
    if card["split_sha256"] is None:
        yield Check("split_sha256, labels", skipped="imported: trained elsewhere")
        return
    try:
        texts = load_data(data)
    except UserError as error:
        for field in ("split_sha256", "labels"):
            yield Check(field, skipped=str(error))
        return
    yield same("split_sha256", card["split_sha256"], texts.sha256)
    yield same("labels", card["labels"], list(texts.labels))
