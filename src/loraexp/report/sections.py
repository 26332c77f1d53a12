"""A section of a report: what was tested on the same texts, compared, drawn and doubted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from loraexp.records.record import Record
from loraexp.records.record_types import SPLITS
from loraexp.report.chart import Chart
from loraexp.report.charts import charts
from loraexp.report.of_arms import short
from loraexp.report.pages import Page
from loraexp.results.answer import answer
from loraexp.results.arm_keys import SPLIT_KEYS, settings_of, tested
from loraexp.results.beside import Beside
from loraexp.results.classes import Classes, classes
from loraexp.results.comparison import Findings, findings
from loraexp.results.folded import Folded, folded
from loraexp.results.settings import conditions, differs, flat, natural, spelled
from loraexp.results.short_paths import without_folders

KEPT = ("test", "verdict")  # of a comparison also if alike in all rows
MAIN = ("lr", "trainable", "seeds", "test", "over_seeds", "p", "verdict")


@dataclass(frozen=True)
class Section:
    """What was tested on the same texts.

    Args:
        title: what tells its texts from those of other sections; "" where there is one only.
        answer: in a sentence.
        facts: name and value: data, base, texts.
        main: the table beside the figure.
        charts: by their files' names; the first is the main one.
        remarks: what else must be known before it is believed.
    """

    title: str
    answer: str
    facts: Mapping[str, str]
    compared: Findings
    main: Folded
    charts: Mapping[str, Chart]
    classes: Classes
    remarks: Sequence[str]

    @property
    def badge(self) -> str:
        reasons, remarks = len(self.compared.reasons), len(self.remarks)
        words = [f"{remarks} remark{'s' if remarks > 1 else ''}"] if remarks else []
        if reasons:
            words.insert(0, f"not evidence: {reasons} reason{'s' if reasons > 1 else ''}")
        elif len(self.compared.arms) > 1:
            words.insert(0, "evidence")
        return ", ".join(words)


def by_texts(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Runs that were tested on the same texts, under what tells these from the others'."""
    configs = [settings_of(record) for record in records]
    keys = [key for key in SPLIT_KEYS[:-1] if differs(key, configs)]
    splits: dict[str, list[Record]] = {}
    for record in records:
        splits.setdefault(tested(record), []).append(record)
    if len(splits) == 1:
        return {"": [*records]}
    titled = {}
    for split, members in splits.items():
        config = settings_of(members[0])
        name = spelled(keys, [config[key] for key in keys])
        alike = sum(
            [settings_of(others[0])[key] for key in keys] == [config[key] for key in keys]
            for others in splits.values()
        )
        titled[name if name and alike == 1 else f"{name} split {split[:8]}".strip()] = members
    return dict(sorted(titled.items(), key=lambda item: natural(item[0])))


def section(
    title: str,
    records: Sequence[Record],
    asked: Sequence[str],
    baseline: str | None,
    beside: Beside,
    several: bool,
) -> Section:
    """Keys that are alike in all its rows do not name them, where there are other sections."""
    by = [*asked]
    if several:
        configs = [settings_of(record) for record in records]
        by = [key for key in asked if key in configs[0] and differs(key, configs)] or ["method"]
        baseline = baseline and ",".join(
            f"{key}={value}" for key, value in conditions(baseline) if key in by
        )
        own = flat(records[0].config)
        failures = [
            one
            for one in beside.failures
            if all(flat(one.config).get(key) == own[key] for key in SPLIT_KEYS[:-1])
        ]
        beside = replace(beside, failures=failures)
    found = findings(records, by, baseline or None, beside=beside)
    wanted = [*found.by, *MAIN]
    table = found.table.only(wanted)
    if not any(arm.seeds.ends for arm in found.arms):
        table = found.table.only([*wanted, "over_texts"])
    best = max(found.arms, key=lambda arm: arm.chosen.validation)
    return Section(
        title,
        " ".join([answer(found.arms, found.by, found.against, bool(baseline)), *found.last]),
        facts_of_texts(records),
        found,
        folded(table, [*KEPT, *(found.by if len(found.by) == 1 else ())]),
        charts(found.arms, found.by, found.against, beside),
        classes(best.chosen.records),
        [*dict.fromkeys(remarks(records, found))],
    )


def alone(section: Section, page: Page) -> Section:
    """Of a single run: its curves, its scores beside them, and whether it can be believed."""
    drawn: dict[str, Chart] = {"loss": page.chart} if page.chart else {}
    drawn |= {name: own for name, own in section.charts.items() if name == "reliability"}
    return replace(section, main=folded(page.scores), charts=drawn)


def remarks(records: Sequence[Record], found: Findings) -> list[str]:
    warned = [line for record in records for line in record.data.get("warnings", [])]
    lines = [
        line
        for line in found.remarks
        if not line.startswith("Note: 0 of") and not any(line[6:-1] in other for other in warned)
    ]
    lines += map(without_folders, warned)
    if any(record.data["synthetic"] for record in records):
        lines.append("The texts are generated: fit for a first look, not for conclusions.")
    if any(record.config["model"]["weights"] == "random" for record in records):
        lines.append("The base has random weights: it has learnt nothing before.")
    return lines


def facts_of_texts(records: Sequence[Record]) -> dict[str, str]:
    data = dict.fromkeys(without_folders(record.data["note"]) for record in records)
    sizes = dict.fromkeys(
        " + ".join(f"{record.data['n'].get(split, 0):,}" for split in SPLITS) for record in records
    )
    bases: dict[str, list[int]] = {}
    for record in records:
        model = record.config["model"]
        words = f"{model['name']}, weights: {model['weights']}"
        bases.setdefault(words, []).append(int(record.counts["total"]))
    return {
        "data": " | ".join(data),
        "texts": f"{' | '.join(sizes)} (train + validation + test)",
        "base": " | ".join(f"{words}, {sized(totals)}" for words, totals in bases.items()),
    }


def sized(totals: Sequence[int]) -> str:
    sizes = dict.fromkeys(map(short, (min(totals), max(totals))))
    return f"{' to '.join(sizes)} parameters with the adapter"
