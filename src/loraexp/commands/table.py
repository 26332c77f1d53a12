"""loraexp table: finished runs as arms, with intervals, tests and the reasons for doubt."""

from pathlib import Path

from loraexp.results.collect import collect
from loraexp.results.comparison import findings
from loraexp.results.tables import FORMATS
from loraexp.schemas import TableConfig


def run(config: TableConfig, sweep: Path | None) -> None:
    records = [*collect(config.runs, config.where).values()]
    result = findings(records, config.by, config.baseline, config.sort)
    if config.format != "table":
        print(FORMATS[config.format](result.table))
        return
    print(FORMATS["table"](result.brief()))
    for note in ("", *result.notes):
        print(note)
