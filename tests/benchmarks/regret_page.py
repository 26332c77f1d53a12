"""What docs/regret.md shows of "LoRA Without Regret", from what `make regret` stored."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from loraexp.results.regret.claims import findings
from loraexp.results.regret.finding import Finding
from loraexp.results.regret.rows import Row, arms_of
from loraexp.results.tables import Column, Table, to_markdown, to_terminal
from loraexp.stats.verdicts import Quantity, deciding

Stored = Mapping[str, Any]
MEASURED = ("measured (95 %)", "holds within")


def of(stored: Stored) -> list[Finding]:
    return findings(arms_of(map(Row.of, stored["rows"])))


def measured(one: Quantity, finding: Finding) -> str:
    found = one.interval()
    ends = "" if found.ends is None else f" ({' to '.join(map(finding.show, found.ends))})"
    return f"{finding.show(found.mean)}{ends}"


def region(one: Quantity, finding: Finding) -> str:
    if math.isinf(one.high):
        return f"above {finding.show(one.low)}"
    if math.isinf(one.low):
        return f"below {finding.show(one.high)}"
    return f"{finding.show(one.low)} to {finding.show(one.high)}"


def verdicts(sets: Mapping[str, Stored]) -> Table:
    """A row a claim and data set: what decides it."""
    rows = []
    for same in zip(*map(of, sets.values()), strict=True):
        for at, (name, finding) in enumerate(zip(sets, same, strict=True)):
            claim = ["", ""] if at else [finding.letter, finding.claim]
            if finding.quantities:
                one = deciding(finding.quantities)
                cells = [len(one.values), one.name, measured(one, finding), region(one, finding)]
            else:
                cells = [None, finding.remark, None, None]
            rows.append([*claim, name, finding.verdict, *cells])
    headings = (
        "claim",
        "data",
        "verdict",
        "seeds",
        "decided by",
        "measured (95 %)",
        "holds within",
    )
    columns = [Column("letter", "", words=True)]
    columns += [Column(name, name, words=name != "seeds") for name in headings]
    return Table(columns, rows)


def quantities(sets: Mapping[str, Stored]) -> Table:
    """All that each verdict rests on."""
    rows = [
        [name, finding.letter, one.name, len(one.values), *cells]
        for name, stored in sets.items()
        for finding in of(stored)
        for one in finding.quantities
        for cells in [[measured(one, finding), region(one, finding)]]
    ]
    headings = ("data", "", "quantity", "seeds", *MEASURED)
    return Table([Column(name, name, words=name != "seeds") for name in headings], rows)


def rules(sets: Mapping[str, Stored]) -> str:
    lines = []
    for same in zip(*map(of, sets.values()), strict=True):
        lines.append(f"- **{same[0].letter}** holds if {same[0].rule}.")
        for name, finding in zip(sets, same, strict=True):
            if finding.remark:
                remark = f"{finding.remark[0].upper()}{finding.remark[1:]}"
                lines.append(f"    - {name}: {remark}.")
    first, *_ = sets.values()
    return "\n".join([*lines, "", theory(first), "", *bits(sets)])


def theory(stored: Stored) -> str:
    """Section "Optimal learning rates for LoRA vs. FullFT" of Schulman et al. 2025."""
    ratio = stored["width"] / (2 * stored["alpha"])
    return (
        f"Of **a** the source says that theory would lead one to expect the width over 2 alpha, "
        f"here {ratio:g}, and that it did not fit what they measured."
    )


def bits(sets: Mapping[str, Stored]) -> Iterator[str]:
    """Section "How much capacity is needed by supervised and reinforcement learning?" there: a text
    is as many bits as its loss before it is trained on, a parameter stores two."""
    yield "Of **f** it says that small ranks run out of capacity. At its two bits a parameter:"
    yield ""
    for name, stored in sets.items():
        rows = [row for row in map(Row.of, stored["rows"]) if row.losses and row.arm.rank]
        least = min(rows, key=lambda row: row.arm.rank)
        best = min(rows, key=lambda row: row.loss or math.inf)
        needed = sum(best.losses) / len(best.losses) / math.log(2) * stored["texts"]["train"]
        yield (
            f"- {name}: rank {least.arm.rank} has room for {2 * least.trainable:,} bits, head "
            f"included; the training texts are {round(needed, -2):,.0f} bits, their loss summed "
            "over the epoch."
        )


def setting(stored: Stored) -> str:
    texts, seconds, runs = stored["texts"], stored["seconds"], stored["rows"]
    least, device = math.log(stored["classes"]), stored["device"].replace(" 1 threads", " 1 thread")
    nothing = sum(row["loss"] is None or row["loss"] > least for row in runs)
    return (
        f"`{stored['model']}`, {texts['train']:,} training texts and {texts['validation']:,} "
        f"validation texts of {stored['classes']} classes, one epoch, {stored['precision']}; "
        f"{len(runs)} runs, {nothing} of which end no better than by chance; "
        f"{seconds['processor'] / 60:.0f} minutes of processor time ({device}; "
        "`make regret`)."
    )


def page(sets: Mapping[str, Stored]) -> str:
    lines = [f"- {name}: {setting(stored)}" for name, stored in sets.items()]
    return "\n".join([count(sets), "", to_markdown(verdicts(sets)), "", *lines])


def count(sets: Mapping[str, Stored]) -> str:
    """How often which verdict."""
    said = []
    for name, stored in sets.items():
        found = [one.verdict for one in of(stored)]
        numbers = [found.count(one) for one in ("holds", "does not hold", "cannot be told")]
        counts = "{} hold, {} do not, {} cannot be told".format(*numbers)
        said.append(f"on {name} {counts}")
    return f"Of {len(found)} claims {'; '.join(said)}."


def terminal(name: str, stored: Stored) -> str:
    """Verdicts, and below them what they rest on."""
    lines = [f"{one.letter}  {one.claim}: {one.verdict}" for one in of(stored)]
    table = to_terminal(quantities({name: stored}), 80)
    return "\n".join([count({name: stored}), "", *lines, "", setting(stored), "", table])
