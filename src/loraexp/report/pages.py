"""The page of a run: what it scored, where it errs, and in what it differs from the other runs."""

import itertools
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path
from typing import Any

import yaml

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.records.record import Record
from loraexp.report.chart import Lines
from loraexp.report.curves import CURVES, curve_chart
from loraexp.report.lineage import DIGITS, Step, lineages
from loraexp.results.arm_keys import NO_CHOICE
from loraexp.results.classes import Classes, classes
from loraexp.results.notes import apart
from loraexp.results.settings import NO_RESULT, by_name, differs, flat, spelled, uses
from loraexp.results.short_paths import without_folders
from loraexp.results.tables import Column, Table, ends, percent
from loraexp.stats.significance import wilson_interval

RATES = ("optim.lr", "optim.lr_factor")
MOST = 500  # runs with a page each: of more a browser opens them late, and nobody reads them
DEFAULTS = flat(plain(TrainConfig()))
MISTAKES = [
    Column("text", "text", words=True),
    Column("true", "true", words=True),
    Column("predicted", "predicted", words=True),
    Column("chance", "probability", lambda p: f"{p:.3f}"),
]
SCORES = [
    Column("texts", "split", words=True),
    Column("n", "n"),
    Column("loss", "loss", lambda loss: f"{loss:.4f}"),
    Column("accuracy", "accuracy", percent(1)),
    Column("accuracy_95", "95 % texts", ends, ends=True),
    *(Column(s, s, percent(1)) for s in ("f1", "precision", "recall", "auroc")),
    Column("ece", "ECE", percent(1)),
    Column("brier", "Brier", lambda score: f"{score:.3f}"),
]


@dataclass(frozen=True)
class Line:
    """A run in a line.

    Args:
        anchor: its name in links and files; no other run has it.
        about: what tells it from the other runs, in words.
        figures: learning rate and accuracies, name and value.
        lineage: the runs that it comes from, the nearest first.
    """

    name: str
    anchor: str
    about: str
    figures: Mapping[str, str]
    lineage: Sequence[Step]


@dataclass(frozen=True)
class Page(Line):
    """All that is told of a run.

    Args:
        facts: name and value of what is not alike in all runs.
        settings: what differs from the defaults and is not alike in all runs.
        scores: a row a split.
        mistakes: wrong test texts, the most confident first.
    """

    facts: Mapping[str, str]
    settings: Mapping[str, str]
    scores: Table
    classes: Classes
    mistakes: Table
    chart: Lines | None


@dataclass(frozen=True)
class Pages:
    """
    Args:
        lines: every run, at most MOST of them with their pages.
        facts: name and value of what is alike in all runs.
        settings: what is alike in all runs and differs from the defaults.
        config: every key that is alike in all runs, as YAML.
    """

    lines: Sequence[Line]
    facts: Mapping[str, str]
    settings: Mapping[str, str]
    config: str

    @property
    def each(self) -> list[Page]:
        return [line for line in self.lines if isinstance(line, Page)]

    @property
    def note(self) -> str:
        """That not every run has a page, where it is so."""
        count = len(self.each)
        if count == len(self.lines):
            return ""
        return f"Of {len(self.lines):,} runs {count:,} have a page: the first ones of each row."


def pages(folders: Sequence[Path], records: Sequence[Record]) -> Pages:
    """Of runs in the order in which they are to stand."""
    configs = [flat(record.config) for record in records]
    choices = [key for key in configs[0] if not key.startswith(NO_CHOICE)]
    varying = [key for key in configs[0] if differs(key, configs)]
    told_by = by_name([key for key in varying if key in choices and key not in RATES])
    told_by += ["seed"] if "seed" in varying else []
    own_facts = [facts_of(record) for record in records]
    alike = {
        name: v for name, v in own_facts[0].items() if all(f.get(name) == v for f in own_facts)
    }
    rows = [tuple(str(config[k]) for k in told_by if k != "seed") for config in configs]
    whole = first_ones(rows, MOST)
    made: list[Line] = []
    places = anchors(records)
    origins = lineages(records, places)
    for at, (record, config, anchor) in enumerate(zip(records, configs, places, strict=True)):
        about = spelled(told_by, [config[k] if uses(record, k) else None for k in told_by])
        line = Line(record.name, anchor, about or record.name, summary(record), origins[at])
        if at in whole:
            facts = {n: v for n, v in own_facts[at].items() if len(records) == 1 or n not in alike}
            own = {k: v for k, v in unusual(config).items() if k in varying or len(records) == 1}
            line = page(line, folders[at], record, facts, own)
        made.append(line)
    if len(records) == 1:
        alike = {}
    shared = {key: v for key, v in unusual(configs[0]).items() if key not in varying}
    common = {k: v for k, v in configs[0].items() if k in choices and k not in varying}
    config = yaml.safe_dump(nested(common), sort_keys=False, allow_unicode=True)
    return Pages(made, alike, shared if len(records) > 1 else {}, config)


def page(
    line: Line, folder: Path, record: Record, facts: Mapping[str, str], own: Mapping[str, str]
) -> Page:
    return Page(
        **vars(line),
        facts=facts,
        settings=own,
        scores=scores(record.metrics),
        classes=classes([record]),
        mistakes=mistakes(record),
        chart=curve_chart(folder / CURVES) if lexists(folder / CURVES) else None,
    )


def first_ones(rows: Sequence[Hashable], most: int) -> set[int]:
    """At most so many places, of each row as many as of the others as far as it has them."""
    seen = Counter[Hashable]()
    ranked = []
    for at, row in enumerate(rows):
        ranked.append((seen[row], at))
        seen[row] += 1
    return {at for _, at in sorted(ranked)[:most]}


def unusual(config: Mapping[str, Any]) -> dict[str, str]:
    """The settings that are not at their default; of a model its name says the rest."""
    return {
        key: str(value)
        for key, value in config.items()
        if not key.startswith(NO_RESULT)
        and (not key.startswith("model.") or key in ("model.name", "model.weights"))
        and value != DEFAULTS.get(key)
    }


def nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys as groups."""
    made: dict[str, Any] = {}
    for key, value in config.items():
        *groups, last = key.split(".")
        place = made
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return made


def anchors(records: Sequence[Record]) -> list[str]:
    """A name for links and files for each: of its own what needs no escape, and a number where
    another has that already."""
    names: dict[str, str] = {}  # by what a disk that knows no case takes it for
    for record in records:
        own = re.sub(r"[^A-Za-z0-9._-]+", "-", record.name).strip(".-")[:120] or "run"
        numbered = (f"{own}-{n}" if n else own for n in itertools.count())
        anchor = next(name for name in numbered if name.lower() not in names)
        names[anchor.lower()] = anchor
    return [*names.values()]


def summary(record: Record) -> dict[str, str]:
    optim = record.config["optim"]
    accuracies = {split: record.metrics[split]["accuracy"] for split in ("validation", "test")}
    shown = {split: f"{100 * accuracy:.1f} %" for split, accuracy in accuracies.items()}
    return {"lr": f"{optim['lr'] * optim['lr_factor']:g}", **shown}


def scores(of_splits: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row a split."""
    rows = []
    for split, metrics in of_splits.items():
        interval = wilson_interval(metrics["accuracy"], metrics["n"]).ends
        cells = {**metrics, "accuracy_95": interval}
        rows.append([split, *(cells.get(column.name) for column in SCORES[1:])])
    return Table(SCORES, rows)


def mistakes(record: Record) -> Table:
    labels = record.labels
    rows = [
        [m["text"], labels[m["true"]], labels[m["predicted"]], m["chance"]] for m in record.mistakes
    ]
    return Table(MISTAKES, rows)


def facts_of(record: Record) -> dict[str, str]:
    speed = record.texts_per_second
    warned = [*record.data.get("warnings", []), *apart([record])]
    facts = {
        "data": record.data["note"],
        **{f"warning {n}": line for n, line in enumerate(warned, 1)},
        "trainable": f"{record.counts['trainable']:,} of {record.counts['total']:,}",
        "epochs": f"{record.epochs}, the adapter is that of epoch {record.best_epoch}",
        "time": f"{record.seconds['total']:.0f} s" + (f", {speed:.0f} texts/s" if speed else ""),
        "peak memory": f"{record.peak_memory_bytes / 1e9:.2f} GB",
        "device": f"{record.device}, products in {record.precision}",
        "versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        "commit": record.git_commit or "not known",
        "finished": record.finished,
        **{
            f"sha256 of {name}": digest[:DIGITS]
            for name, digest in record.hashes.items()
            if name != "init_from"  # the lineage has it
        },
    }
    return {name: without_folders(value) for name, value in facts.items()}
