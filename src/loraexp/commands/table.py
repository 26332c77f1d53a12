"""loraexp table: finished runs as arms, with intervals, tests and the reasons for doubt."""

import sys
from pathlib import Path

from loraexp.config.schemas import TableConfig
from loraexp.results.comparison import findings
from loraexp.results.tables import FORMATS
from loraexp.runtime.escape import markdown_notes, printable
from loraexp.sweeps.collect import collect


def run(config: TableConfig, sweep: Path | None) -> None:
    found = collect(config.runs, config.where)
    result = findings(found.records, config.by, config.baseline, config.sort, found.failures)
    table = result.brief() if config.format == "table" else result.table
    print(FORMATS[config.format](table))
    if config.format in ("csv", "json"):  # a program reads these: what a person must know beside
        print(*map(printable, result.notes), sep="\n", file=sys.stderr)
    elif config.format == "latex":
        print(*(f"% {printable(note)}" for note in result.notes), sep="\n")
    else:
        markdown = config.format == "markdown"
        print()
        print(markdown_notes(result.notes) if markdown else "\n".join(map(printable, result.notes)))
