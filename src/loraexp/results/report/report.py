"""A report: the question, what the records say to it, and a page of every run."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import lexists
from pathlib import Path

import yaml
from matplotlib.figure import Figure

from loraexp.records.record import Failure, Record
from loraexp.results.arm_keys import naming, varied
from loraexp.results.arms import Arm, Comparison, arms, compare, label
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.comparison import Findings, findings
from loraexp.results.fairness import caveats
from loraexp.results.notes import apart, failed_lines, of_label
from loraexp.results.report.figures import MOST_LABELS, figures
from loraexp.results.report.plots import CURVES, loss_figure
from loraexp.results.sequential import at_looks
from loraexp.results.settings import heading
from loraexp.results.tables import Column, Table, percent, runs_table

QUESTIONS: dict[tuple[str, ...], str] = {
    ("lora.rank",): "Which rank is enough?",
    ("method",): "Which method is better?",
    ("lora.target_modules",): "Which modules should be adapted?",
    ("lora.alpha",): "Which alpha is right?",
}
CAPTIONS = {
    "rank": "Test accuracy over the rank; bars are 95 % intervals over the seeds.",
    "parameters": "Test accuracy over trainable parameters; the line is the best so far.",
    "lr": "Validation loss over the learning rate: the best should not be at an end.",
    "confusion": "Test texts by true and predicted label, all seeds of the arm validation prefers.",
    "loss": "Loss and accuracy while it trained.",
}
MISTAKES = [
    Column("text", "text", words=True),
    Column("true", "true", words=True),
    Column("predicted", "predicted", words=True),
    Column("chance", "probability", lambda p: f"{p:.3f}"),
]
SCORES = [
    Column("split", "split", words=True),
    Column("n", "n"),
    Column("loss", "loss", lambda loss: f"{loss:.4f}"),
    *(Column(s, s, percent(1)) for s in ("accuracy", "f1", "precision", "recall", "auroc")),
]


@dataclass(frozen=True)
class Page:
    """One run.

    Args:
        anchor: its name in links and files; no other page has it.
        facts: name and value of what else a reader may ask for.
        scores: a row a split.
        confusion: test texts, a row a true label, a column a predicted one.
        mistakes: wrong test texts, the most confident first.
        config: every key, as YAML.
    """

    name: str
    anchor: str
    facts: Mapping[str, str]
    scores: Table
    confusion: Table
    mistakes: Table
    figures: Mapping[str, Figure]
    config: str


@dataclass(frozen=True)
class Report:
    """All that a report says, in the order it says it."""

    question: str
    answer: Sequence[str]
    compared: Findings
    figures: Mapping[str, Figure]
    runs: Table
    pages: Sequence[Page]


def report(
    runs: Mapping[Path, Record],
    by: Sequence[str],
    baseline: str | None = None,
    question: str | None = None,
    beside: Beside = NOTHING,
) -> Report:
    """What these runs, by their folders, say of the arms that `by` names (what varies, if empty).

    Raises:
        UserError: as findings.
    """
    records = [*runs.values()]
    by = [*by] or varied(records)
    asked = question or QUESTIONS.get(tuple(by), f"How do {', '.join(map(heading, by))} compare?")
    by = naming(records, by)
    outcomes: list[Record | Failure] = [*records, *beside.failures]
    table = runs_table(outcomes)
    names = Column("run", "run", words=True)
    rows = [[outcome.name, *row] for outcome, row in zip(outcomes, table.rows, strict=True)]
    return Report(
        asked,
        answer(records, by, beside),
        findings(records, by, baseline, beside=beside),
        figures(records, by, beside.trials),
        Table([names, *table.columns], rows),
        [*map(page, runs.keys(), records, anchors(records))],
    )


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


def answer(
    records: Sequence[Record],
    by: Sequence[str],
    beside: Beside = NOTHING,
) -> list[str]:
    """The findings in words: the best arm, what cannot be told from it, and whether to believe."""
    compared, lines = arms(records, by, beside.trials), []
    if len(compared) == 1:
        share = compared[0].seeds.mean
        lines.append(f"One arm only: {share:.1%} of the test texts are labelled rightly.")
    else:
        against = compare(compared)
        if beside.looks:
            against = at_looks(compared, against, beside.looks, None)
        tests: dict[str, list[tuple[Arm, Comparison | None]]] = {}  # by split
        for arm, comparison in zip(compared, against, strict=True):
            tests.setdefault(arm.split, []).append((arm, comparison))
        if len(tests) > 1:
            lines.append("Not all were tested on the same texts, so none is the best of all.")
        for members in tests.values():
            lines += best_of(members, by) if len(members) > 1 else []
        lines.append(
            "This is not evidence of which is better; the reasons are below the table."
            if caveats(compared, by, beside.looks)
            else "Settings were chosen on validation texts, each inside its grid, at equal budgets."
        )
    return [*lines, *map("{}.".format, failed_lines(beside.failures))]


def best_of(members: Sequence[tuple[Arm, Comparison | None]], by: Sequence[str]) -> list[str]:
    """Of arms that were tested on the same texts."""
    (first,) = (arm for arm, comparison in members if comparison is None)
    others = [(arm, comparison) for arm, comparison in members if comparison is not None]
    interval = ""
    if first.seeds.ends:
        low, high = first.seeds.ends
        interval = f" (95 % over {len(first.accuracies)} seeds: {low:.1%} to {high:.1%})"
    lines = [f"Best on the test texts: {label(first, by)}, {first.seeds.mean:.1%}{interval}."]
    tied = [arm for arm, against in others if against.p is not None and not against.significant]
    if tied:
        lines.append(f"Not told apart from it: {'; '.join(label(arm, by) for arm in tied)}.")
    elif all(against.significant for _, against in others):
        lines.append("All others are worse by more than chance.")
    if any(against.untested == "one seed" for _, against in others):
        lines.append("With one seed this may be chance alone: it was not tested.")
    alike = [arm for arm, _ in members if arm is first or arm in tied]
    cheapest = min(alike, key=lambda arm: arm.trainable)
    if cheapest is not first:
        size = cheapest.trainable
        lines.append(f"The cheapest of these: {label(cheapest, by)}, {size:,} parameters train.")
    return lines


def page(folder: Path, record: Record, anchor: str) -> Page:
    labels, curves = record.labels, folder / CURVES
    scores = [
        [split, *(metrics[column.name] for column in SCORES[1:])]
        for split, metrics in record.metrics.items()
    ]
    mistakes = [
        [m["text"], labels[m["true"]], labels[m["predicted"]], m["chance"]] for m in record.mistakes
    ]
    return Page(
        record.name,
        anchor,
        facts_of(record),
        Table(SCORES, scores),
        confusion(record),
        Table(MISTAKES, mistakes),
        {"loss": loss_figure(curves)} if lexists(curves) else {},
        yaml.safe_dump(record.config, sort_keys=False, allow_unicode=True),
    )


def confusion(record: Record) -> Table:
    """Numbers in place of a picture: a report of 200 runs is to open at once."""
    labels = record.labels
    if len(labels) > MOST_LABELS:
        return Table([], [])
    columns = [Column("true", "true \\ predicted", words=True)]
    columns += [Column(name, name) for name in labels]
    counts = record.metrics["test"]["confusion"]
    return Table(columns, [[name, *row] for name, row in zip(labels, counts, strict=True)])


def facts_of(record: Record) -> dict[str, str]:
    speed = record.texts_per_second
    warned = [*record.data.get("warnings", []), *apart([record])]
    return {
        "data": record.data["note"],
        "F1, precision, recall": of_label(record.labels),
        **{f"warning {n}": line for n, line in enumerate(warned, 1)},
        "trainable": f"{record.counts['trainable']:,} of {record.counts['total']:,}",
        "epochs": f"{record.epochs}, the adapter is that of epoch {record.best_epoch}",
        "time": f"{record.seconds['total']:.0f} s" + (f", {speed:.0f} texts/s" if speed else ""),
        "peak memory": f"{record.peak_memory_bytes / 1e9:.2f} GB",
        "device": f"{record.device}, products in {record.precision}",
        "versions": ", ".join(f"{name} {number}" for name, number in record.versions.items()),
        "commit": record.git_commit or "not known",
        "finished": record.finished,
        **{f"sha256 of {name}": digest[:16] for name, digest in record.hashes.items()},
    }
