"""A report: the question, what the records say to it, a section a data set, and every run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loraexp.records.record import Failure, Record
from loraexp.report.pages import Pages, pages
from loraexp.report.sections import Section, alone, by_texts, section
from loraexp.results.arm_keys import SPLIT_KEYS, naming, settings_of, varied
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.decision import name
from loraexp.results.runs_table import runs_table
from loraexp.results.settings import heading, natural
from loraexp.results.short_paths import names_in, shortened, without_folders
from loraexp.results.tables import Column, Table

QUESTIONS: dict[tuple[str, ...], str] = {
    ("lora.rank",): "Which rank is enough?",
    ("method",): "Which method is better?",
    ("lora.target_modules",): "Which modules should be adapted?",
    ("lora.alpha",): "Which alpha is right?",
    ("data.per_class",): "How many labels are enough?",
    ("init_from",): "Which start is better?",
}


@dataclass(frozen=True)
class Report:
    """All that a report says, in the order it says it.

    Args:
        facts: name and value: runs, date, device, command.
        failures: name and reason of jobs that left no record.
        runs: a row a run.
    """

    question: str
    facts: Mapping[str, str]
    sections: Sequence[Section]
    runs: Table
    pages: Pages
    failures: Sequence[tuple[str, str]]

    @property
    def answer(self) -> list[str]:
        """A line a section."""
        return [
            f"{section.title}: {section.answer}" if section.title else section.answer
            for section in self.sections
        ]


def report(
    runs: Mapping[Path, Record],
    by: Sequence[str],
    baseline: str | None = None,
    question: str | None = None,
    beside: Beside = NOTHING,
    command: str = "",
) -> Report:
    """What these runs, by their folders, say of the arms that `by` names (what varies, if empty).

    Args:
        command: what made the report, to be shown in it.

    Raises:
        UserError: as findings.
    """
    paths = names_in([*runs.values(), *beside.trials, *beside.failures])
    records = shortened([*runs.values()], paths)
    failures = [
        replace(failure, reason=without_folders(failure.reason))
        for failure in shortened(beside.failures, paths)
    ]
    trials = shortened(beside.trials, paths)
    beside = replace(beside, failures=failures, trials=trials)
    for key, short in paths.items():
        for path, own in short.items():
            baseline = baseline and baseline.replace(f"{key}={path}", f"{key}={own}")
    asked = [*by] or varied(records)
    order = [*naming(records, asked), "optim.lr", "optim.lr_factor", "seed"]

    def place(pair: tuple[Path, Record]) -> Any:
        config = settings_of(pair[1])
        return [natural(config[key]) for key in order]

    ordered = sorted(zip(runs, records, strict=True), key=place)
    texts = by_texts([record for _, record in ordered])
    sections = [
        section(title, members, asked, baseline, beside, bool(title))
        for title, members in texts.items()
    ]
    records = [record for members in texts.values() for record in members]
    folders = {id(record): folder for folder, record in ordered}
    made = pages([folders[id(record)] for record in records], records)
    if len(records) == 1:
        sections = [alone(sections[0], made.each[0])]
    arms = [arm for one in sections for arm in one.compared.arms]
    if len(arms) == 1:
        question = question or f"How good is {name(arms[0])}?"
    told = tuple(key for key in asked if key not in SPLIT_KEYS or len(sections) == 1) or tuple(
        asked
    )
    return Report(
        question or QUESTIONS.get(told, f"How do {', '.join(map(heading, told))} compare?"),
        facts(records, beside, command),
        sections,
        table_of([*records, *failures]),
        made,
        [(failure.name, failure.reason) for failure in failures],
    )


def facts(records: Sequence[Record], beside: Beside, command: str) -> dict[str, str]:
    seeds = len({record.config["seed"] for record in records})
    days = sorted({record.finished[:10] for record in records})
    devices = dict.fromkeys(f"{record.device}, {record.precision}" for record in records)
    trials = (
        f", {len(beside.trials):,} more that looked for learning rates" if beside.trials else ""
    )
    failed = f", {len(beside.failures):,} failed" if beside.failures else ""
    count = f"{len(records):,} run{'s' if len(records) > 1 else ''}"
    return {
        "runs": f"{count} ({seeds} seed{'s' if seeds > 1 else ''}){failed}{trials}",
        "date": " to ".join(dict.fromkeys([days[0], days[-1]])),
        "device": without_folders(" | ".join(devices)),
        **({"command": command} if command else {}),
    }


def table_of(outcomes: Sequence[Record | Failure]) -> Table:
    table = runs_table(outcomes)
    rows = [[outcome.name, *row] for outcome, row in zip(outcomes, table.rows, strict=True)]
    return Table([Column("run", "run", words=True), *table.columns], rows)
