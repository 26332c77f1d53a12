"""Does a finished run still hold what it says? Everything its card claims is computed again."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from loraexp.adapters.adapter_files import load_adapter, read_card
from loraexp.adapters.inject import count
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import completed
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record import FILE, Record, seal_holds
from loraexp.records.record_types import SPLITS, Scores
from loraexp.runs.card import GOLDEN, golden_logits
from loraexp.runs.load import TRAINED, LoadedModel, model_from_card
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.atomic import read_text
from loraexp.runtime.escape import printable
from loraexp.tools.checks import Check, close, distance, same
from loraexp.training.fit import steps_an_epoch
from loraexp.training.measure import MISTAKES, Evaluator
from loraexp.training.run import describe

TOLERANCE = 1e-4  # of golden logits in float32, between machines
# Of metrics, computed as the run was: bf16 products differ more from machine to machine.
METRICS = {"fp32": TOLERANCE, "bf16": 2e-2}
LARGEST = 2**17  # bytes of a config.yaml: YAML is read slowly


def verify(run: Path) -> Iterator[Check]:
    """Check a run's adapter and record field by field.

    Raises:
        UserError: files that cannot be read at all, are damaged, or do not fit each other; it says
            which and where.
    """
    folder = RunFolder(run)
    record = folder.record() if folder.finished else None  # first: it is refused at once
    card = read_card(folder.adapter)
    yield Check("format, digests of all fields")
    yield config_file(card, folder.config_file)
    model = model_from_card(card, run)
    config = model.config
    for field, now in (
        ("base_sha256", model.base_sha256),
        ("tokenizer_sha256", model.tokenizer.sha256),
        ("pad_id", model.tokenizer.pad),
        ("method", config.method),
        ("pooling", config.head.pooling),
        ("base", config.model.name),
    ):
        yield same(field, card[field], now)
    load_adapter(model.network, folder.adapter)
    yield Check("adapter_sha256, file_sha256, names and shapes of all tensors")
    yield golden(card["golden"], golden_logits(model))
    data = readable(card, config)
    yield from data_checks(card, data)
    if record is None:
        yield from without_record(card)
    else:
        yield from record_checks(record, seal_holds(run), card, model, data)


def without_record(card: dict[str, Any]) -> Iterator[Check]:
    """Only a run that was trained here leaves a record; cards of before do not say who made it."""
    if card.get("made_by") == TRAINED:
        yield Check("record", f"{FILE} is missing: training was cut short, or it was taken away")
    for field in ("versions", "precision", "made_by"):
        if field in card:
            yield Check(field, skipped="there is no record to compare it with")


def config_file(card: dict[str, Any], file: Path) -> Check:
    try:
        written = yaml.safe_load(read_text(file.parent, file.name, LARGEST))
    # The last three: PyYAML on !!int "" and its like.
    except (
        *(OSError, ValueError, yaml.YAMLError, RecursionError),
        *(LookupError, AttributeError, TypeError),
    ) as error:
        reason = printable(" ".join(str(error).split()))
        return Check("config", f"{file.name} is missing or damaged: {reason}")
    return same("config", card["config"], written)


def golden(said: dict[str, Any], now: list[list[float]]) -> Check:
    """The logits of fixed texts: the whole chain from tokenizer to head, once more."""
    if said.get("texts") != [*GOLDEN] or said.keys() != {"texts", "logits"}:
        return Check("golden", "the texts are not those of this version")
    try:
        for text, before, after in zip(GOLDEN, said["logits"], now, strict=True):
            off = distance(before, after)
            if not off <= TOLERANCE:
                return Check("golden", f"logits of {text[:30]!r} differ by {off:.2g}")
    except (TypeError, ValueError, OverflowError):  # the last of an integer of 400 digits
        return Check("golden", f"the logits are not {len(now)} lists of {len(now[0])} numbers")
    return Check("golden")


def readable(card: dict[str, Any], config: TrainConfig) -> TextData | str:
    """The texts it was trained and tested on, or why they cannot be had."""
    if card["split_sha256"] is None:
        return "imported: trained elsewhere"
    try:
        return load_data(config.data)
    except UserError as error:
        return str(error)


def data_checks(card: dict[str, Any], data: TextData | str) -> Iterator[Check]:
    if isinstance(data, str):
        for field in ("data_sha256", "split_sha256", "labels"):
            yield Check(field, skipped=data)
        return
    yield same("data_sha256", card["data_sha256"], data.source_sha256)
    yield same("split_sha256", card["split_sha256"], data.sha256)
    yield same("labels", card["labels"], [*data.labels])


def record_checks(
    record: Record,
    holds: bool | None,
    card: dict[str, Any],
    model: LoadedModel,
    data: TextData | str,
) -> Iterator[Check]:
    """What card and record both say, what is counted, and what is measured; the rest is sealed."""
    if holds is None:
        yield Check("record: seal", skipped="older, not sealed: what is not below is as it says")
    else:
        yield Check("record: seal", None if holds else f"{FILE} is not as it was written")
    if "made_by" in card:
        yield same("made_by", card["made_by"], TRAINED)
    for part in ("adapter", "base", "tokenizer", "data", "split"):
        said = record.hashes.get(part)
        yield same(f"record: hashes.{part}", said, card[f"{part}_sha256"])
    yield same("record: labels", record.labels, card["labels"])
    yield same("record: config", completed(record.config), completed(card["config"]))
    for field in ("versions", "precision"):
        yield same(field, card[field], getattr(record, field))
    counts = count(model.network).as_dict()
    if "low_rank_modules" not in record.counts:  # of before
        del counts["low_rank_modules"]
    yield same("record: counts", record.counts, counts)
    if isinstance(data, TextData) and not {*data.labels} <= {*model.labels}:
        data = "its labels are not the data's"
    if isinstance(data, str):
        for field in ("metrics.validation", "metrics.test", "predictions", "mistakes"):
            yield Check(f"record: {field}", skipped=data)
        return
    yield course(record, model.config, data)
    yield from metric_checks(record, model, data, holds is not None)


def course(record: Record, config: TrainConfig, data: TextData) -> Check:
    """How long it trained: patience may end it early, and which epoch was best is not known."""
    trainer, epochs = config.trainer, config.trainer.max_epochs
    if trainer.patience is not None:
        epochs = min(max(record.epochs, 1), epochs)
    best = epochs if trainer.keep == "last" else min(max(record.best_epoch, 1), epochs)
    steps = epochs * steps_an_epoch(config, len(data.train))
    now = {"epochs": epochs, "best_epoch": best, "steps": steps}
    return same("record: epochs", {key: getattr(record, key) for key in now}, now)


def metric_checks(
    record: Record, model: LoadedModel, data: TextData, sealed: bool
) -> Iterator[Check]:
    """All splits measured again, as `eval` does. Records of before say less of the data, and their
    train metrics may be of other texts."""
    evaluator, tolerance = Evaluator(model, data), METRICS[model.precision]
    facts = describe(evaluator.texts)
    late = {"train_classes"} - record.data.keys()
    known = facts.keys() - {"note"} - late if sealed else {"n"}  # a note may name today's folder
    said = {key: value for key, value in record.data.items() if key in known or sealed}
    said.pop("note", None)
    yield same("record: data", said, {key: facts[key] for key in facts if key in known})
    splits = [split for split in SPLITS if sealed or split != "train"]
    now = {split: evaluator.measure(split) for split in splits}
    for split in splits:
        then, again = record.metrics[split], now[split].metrics
        known = then.keys() | Scores.__required_keys__  # what came later, older records lack
        again = {key: again[key] for key in again if key in known}
        yield close(f"record: metrics.{split}", then, again, tolerance)
    predicted = now["test"].predictions()
    may_move = tolerance * len(data.test)
    yield same("record: predictions.true", record.predictions["test"]["true"], predicted["true"])
    pairs = zip(record.predictions["test"]["predicted"], predicted["predicted"], strict=False)
    moved = sum(before != after for before, after in pairs)
    moved += abs(record.metrics["test"]["n"] - len(predicted["predicted"]))
    off = f"{moved} test texts have another label" if moved > may_move else None
    yield Check("record: predictions.predicted", off)
    wrong = now["test"].mistakes(data.test.texts, len(data.test))
    yield same_mistakes(record.mistakes, wrong, tolerance, may_move)


def same_mistakes(
    said: list[dict[str, Any]], wrong: list[dict[str, Any]], tolerance: float, may_move: float
) -> Check:
    """The most confident of the wrong texts; those of equal confidence may have changed places.

    Args:
        wrong: all that are wrong now, the most confident first.
    """
    field = "record: mistakes"
    kept = min(len(wrong), MISTAKES)
    if abs(len(said) - kept) > may_move:
        return Check(field, f"{len(said)} are told, {kept} are there")
    for then, now in zip(said, wrong, strict=False):
        if distance([then["chance"]], [now["chance"]]) > tolerance:
            return Check(field, f"chance says {then['chance']}, is {now['chance']}")
    before, after = (
        Counter((m["text"], m["true"], m["predicted"]) for m in mistakes)
        for mistakes in (said, wrong)
    )
    moved = (before - after).total()
    return Check(field, f"{moved} are none" if moved > may_move else None)
