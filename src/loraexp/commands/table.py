"""loraexp table: compare finished runs: intervals, tests, and reasons for doubt."""

import sys
from dataclasses import dataclass

from loraexp.config.keys import key, one_of
from loraexp.results.comparison import findings
from loraexp.results.tables import FORMATS
from loraexp.runtime.escape import markdown_notes, printable, wrapped
from loraexp.sweeps.shown.collect import BASELINES, collect, no_collection


@dataclass
class TableConfig:
    """loraexp table"""

    runs: list[str] = key(["outputs/train"], "folders to look for finished runs in", path=True)
    by: list[str] = key(["method", "lora.rank"], "keys that make a row; other keys are tuned over")
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    baseline: str | None = key(None, "row to compare with, e.g. method=full; the best if null")
    columns: list[str] = key(
        [], "more columns, e.g. [f1,fit_seconds,peak_memory]; a wrong name lists all"
    )
    sort: str = key("name", "name, or a column: test, trainable, p, lr, a key of `by`, ...")
    format: str = one_of("table", *FORMATS)
    baselines: bool = key(False, BASELINES)


def run(config: TableConfig) -> None:
    with no_collection():
        runs = collect(config.runs, config.where, config.baselines)
        result = findings(
            runs.records, config.by, config.baseline, config.sort, runs.beside, config.columns
        )
    table = result.brief(also=config.columns) if config.format == "table" else result.table
    print(FORMATS[config.format](table))
    notes, said = result.notes, [*result.answers, *result.last]
    if config.format != "table":
        notes += said
    if config.format in ("csv", "json"):  # a program reads these: what a person must know beside
        print(*map(printable, notes), sep="\n", file=sys.stderr)
    elif config.format == "latex":
        print(*(f"% {printable(note)}" for note in notes), sep="\n")
    else:
        markdown = config.format == "markdown"
        print()
        print(markdown_notes(notes) if markdown else "\n".join(wrapped(notes)))
        if said and not markdown:
            print("", *wrapped(said), sep="\n")
