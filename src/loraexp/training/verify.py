"""Does a finished run still hold what it says? Everything its card claims is computed again."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from reprlib import repr as short
from typing import Any

import yaml

from loraexp.adapters.files import load_adapter, read_card
from loraexp.adapters.inject import count
from loraexp.config import TrainConfig
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.results.record import Record, is_finished, read_record
from loraexp.rules import completed
from loraexp.training.assemble import ADAPTER, GOLDEN, Assembled, golden_logits, rebuild
from loraexp.training.measure import measured

TOLERANCE = 1e-4  # of golden logits in float32, between machines
# Of metrics, computed as the run was: bf16 products differ more from machine to machine.
METRICS = {"fp32": TOLERANCE, "bf16": 2e-2}
MEASURED = ("validation", "test")
SHOWN = 5  # differing keys of a dict


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
    yield config_file(card, run / "config.yaml")
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
    yield Check("adapter_sha256, file_sha256, names and shapes of all tensors")
    yield golden(card["golden"], golden_logits(made))
    data, why = readable(card, config)
    yield from data_checks(card, data, why)
    if not is_finished(run):
        for field in ("versions", "precision"):
            yield Check(field, skipped="there is no record to compare it with")
        return
    record = read_record(run)
    yield from record_checks(card, record, made)
    yield from metric_checks(record, config, made, data, why)


def same(field: str, said: object, now: object) -> Check:
    found = list(differing(said, now))
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return Check(field, "; ".join(found[:SHOWN]) + more if found else None)


def differing(said: object, now: object, key: str = "") -> Iterator[str]:
    """A phrase for each difference; of dicts only the keys that differ."""
    if isinstance(said, dict) and isinstance(now, dict):
        for name in [*said, *(name for name in now if name not in said)]:
            path = f"{key}.{name}" if key else str(name)
            if name in said and name in now:
                yield from differing(said[name], now[name], path)
            else:
                yield f"{path} is {'missing' if name in now else 'too much'}"
    elif said != now:
        yield f"{key} says {short(said)}, is {short(now)}".lstrip()


def config_file(card: dict[str, Any], file: Path) -> Check:
    try:
        written = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        return Check("config", f"{file.name} is missing or damaged: {error}")
    return same("config", card["config"], written)


def golden(said: dict[str, Any], now: list[list[float]]) -> Check:
    """The logits of fixed texts: the whole chain from tokenizer to head, once more."""
    if said.get("texts") != list(GOLDEN) or said.keys() != {"texts", "logits"}:
        return Check("golden", "the texts are not those of this version")
    try:
        for text, before, after in zip(GOLDEN, said["logits"], now, strict=True):
            off = distance(before, after)
            if not off <= TOLERANCE:
                return Check("golden", f"logits of {text[:30]!r} differ by {off:.2g}")
    except (TypeError, ValueError):
        return Check("golden", f"the logits are not {len(now)} lists of {len(now[0])} numbers")
    return Check("golden")


def distance(before: list[float], after: list[float]) -> float:
    """The largest difference, relative to the larger of what it was and 1."""
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(after, before, strict=True))


def readable(card: dict[str, Any], config: TrainConfig) -> tuple[TextData | None, str | None]:
    """The texts it was trained and tested on, or why they cannot be had."""
    if card["split_sha256"] is None:
        return None, "imported: trained elsewhere"
    try:
        return load_data(config.data), None
    except UserError as error:
        return None, str(error)


def data_checks(card: dict[str, Any], data: TextData | None, why: str | None) -> Iterator[Check]:
    now = data and {
        "data_sha256": data.source_sha256,
        "split_sha256": data.sha256,
        "labels": list(data.labels),
    }
    for field in ("data_sha256", "split_sha256", "labels"):
        yield same(field, card[field], now[field]) if now else Check(field, skipped=why)


def record_checks(card: dict[str, Any], record: Record, made: Assembled) -> Iterator[Check]:
    """What card and record both say, and what is counted."""
    for part in ("adapter", "base", "tokenizer", "data", "split"):
        said = record.hashes.get(part)
        yield same(f"record: hashes.{part}", said, card[f"{part}_sha256"])
    yield same("record: labels", record.labels, card["labels"])
    yield same("record: config", record.config, completed(card["config"]))
    for field in ("versions", "precision"):
        yield same(field, card[field], getattr(record, field))
    yield same("record: counts", record.counts, count(made.network).as_dict())


def metric_checks(
    record: Record, config: TrainConfig, made: Assembled, data: TextData | None, why: str | None
) -> Iterator[Check]:
    """Validation and test texts measured again, as `eval` does."""
    fields = [*(f"record: metrics.{split}" for split in MEASURED), "record: predictions"]
    if data is None or not {*data.labels} <= {*made.labels}:
        for field in fields:
            yield Check(field, skipped=why or "its labels are not the data's")
        return
    yield same("record: data.n", record.data["n"], {s: len(data[s]) for s in record.data["n"]})
    now, tolerance = measured(config, made, data, MEASURED), METRICS[made.precision]
    for split, field in zip(MEASURED, fields, strict=False):
        yield close(field, record.metrics[split], now[split].metrics, tolerance)
    said, is_now = record.predictions["test"], now["test"].predictions()
    yield same("record: predictions.true", said["true"], is_now["true"])
    moved = sum(a != b for a, b in zip(said["predicted"], is_now["predicted"], strict=False))
    moved += abs(len(said["predicted"]) - len(is_now["predicted"]))
    off = f"{moved} test texts have another label" if moved > tolerance * len(data.test) else None
    yield Check("record: predictions.predicted", off)


def close(field: str, said: dict[str, Any], now: dict[str, Any], tolerance: float) -> Check:
    """As `same`, but numbers may differ by the tolerance, and counts by that share of the texts."""

    def settled(key: str) -> bool:
        one, other = said.get(key), now[key]
        if key == "confusion" and isinstance(one, list):
            moved = sum(abs(a - b) for a, b in zip_longest(flat(one), flat(other), fillvalue=0))
            return moved <= 2 * tolerance * now["n"]
        if isinstance(one, float) and isinstance(other, float):
            return distance([one], [other]) <= tolerance
        return one == other

    rest = {key: value for key, value in said.items() if key not in now or not settled(key)}
    return same(field, rest, {key: value for key, value in now.items() if not settled(key)})


def flat(rows: list[list[int]]) -> list[int]:
    return [cell for row in rows for cell in row]
