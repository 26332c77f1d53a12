"""What docs/regret.md shows of "LoRA Without Regret", from what `make regret` stored."""

import math
from collections.abc import Mapping
from typing import Any

from loraexp.results.regret.claims import findings
from loraexp.results.regret.finding import Finding
from loraexp.results.regret.rows import Row, arms_of
from loraexp.results.tables import Column, Table, to_markdown, to_terminal
from loraexp.stats.verdicts import Quantity, deciding

Stored = Mapping[str, Any]


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


def verdicts(stored: Stored) -> Table:
    """A row a claim: what decides it."""
    rows = []
    for finding in of(stored):
        if finding.quantities:
            one = deciding(finding.quantities)
            cells = [len(one.values), one.name, measured(one, finding), region(one, finding)]
        else:
            cells = [None, finding.remark, None, None]
        rows.append([finding.letter, finding.claim, finding.verdict, *cells])
    headings = ("claim", "verdict", "seeds", "decided by", "measured (95 %)", "holds within")
    columns = [Column("letter", "", words=True)]
    columns += [Column(name, name, words=name != "seeds") for name in headings]
    return Table(columns, rows)


def quantities(stored: Stored) -> Table:
    """All that each verdict rests on."""
    rows = [
        [finding.letter, one.name, len(one.values), measured(one, finding), region(one, finding)]
        for finding in of(stored)
        for one in finding.quantities
    ]
    headings = ("", "quantity", "seeds", "measured (95 %)", "holds within")
    return Table([Column(name, name, words=name != "seeds") for name in headings], rows)


def rules(stored: Stored) -> str:
    lines = []
    for finding in of(stored):
        remark = f" {finding.remark[0].upper()}{finding.remark[1:]}." if finding.remark else ""
        lines.append(f"- **{finding.letter}** holds if {finding.rule}.{remark}")
    return "\n".join([*lines, "", theory(stored), "", bits(stored)])


def theory(stored: Stored) -> str:
    """Section "Optimal learning rates for LoRA vs. FullFT" of Schulman et al. 2025."""
    ratio = stored["width"] / (2 * stored["alpha"])
    return (
        f"Of **a** the source says that theory would lead one to expect the width over 2 alpha, "
        f"here {ratio:g}, and that it did not fit what they measured."
    )


def bits(stored: Stored) -> str:
    """Section "How much capacity is needed by supervised and reinforcement learning?" there: a text
    is as many bits as its loss before it is trained on, a parameter stores two."""
    rows = [row for row in map(Row.of, stored["rows"]) if row.losses and row.arm.rank]
    least = min(rows, key=lambda row: row.arm.rank)
    best = min(rows, key=lambda row: row.loss or math.inf)
    needed = sum(best.losses) / len(best.losses) / math.log(2) * stored["texts"]["train"]
    return (
        f"Of **f** it says that small ranks run out of capacity. At its two bits a parameter rank "
        f"{least.arm.rank} has room for {2 * least.trainable:,} bits, head included; the training "
        f"texts are {round(needed, -2):,.0f} bits, their loss summed over the epoch."
    )


def setting(stored: Stored) -> str:
    texts, seconds, runs = stored["texts"], stored["seconds"], stored["rows"]
    least, device = math.log(stored["classes"]), stored["device"].replace(" 1 threads", " 1 thread")
    nothing = sum(row["loss"] is None or row["loss"] > least for row in runs)
    return (
        f"`{stored['model']}`, {texts['train']:,} training texts and {texts['validation']:,} "
        f"validation texts of {stored['classes']} classes, one epoch, {stored['precision']}; "
        f"{len(runs)} runs, {nothing} of which end no better than by chance; "
        f"{seconds['processor'] / 60:.0f} minutes of processor time ({device} each; "
        "`make regret`)."
    )


def page(stored: Stored) -> str:
    return f"{count(stored)}\n\n{to_markdown(verdicts(stored))}\n\n{setting(stored)}"


def count(stored: Stored) -> str:
    found = [one.verdict for one in of(stored)]
    numbers = [found.count(one) for one in ("holds", "does not hold", "cannot be told")]
    return "Of {} claims {} hold, {} do not, {} cannot be told here.".format(len(found), *numbers)


def terminal(stored: Stored) -> str:
    """Verdicts, and below them what they rest on."""
    lines = [f"{one.letter}  {one.claim}: {one.verdict}" for one in of(stored)]
    return "\n".join(
        [count(stored), "", *lines, "", setting(stored), "", to_terminal(quantities(stored), 80)]
    )
