"""loraexp inspect: measure what finished runs changed in their base, and what it forgot."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.errors import UserError
from loraexp.records.inspection import Inspection
from loraexp.records.record import Record
from loraexp.results.tables import FORMATS, Cell, Column, Table, percent
from loraexp.runtime.escape import printable
from loraexp.sweeps.shown.collect import collect
from loraexp.sweeps.sweep_folder import Sweep

log = logging.getLogger("loraexp")
SHAPE = (
    Column("rank90", "rank 90 %", lambda rank: f"{rank:.1f}"),
    Column("update", "size %", percent(2)),
    Column("intruders", "intruders", lambda count: f"{count:.1f}"),
)
RUNS = (
    Column("run", "run", words=True),
    *SHAPE,
    Column("before", "base loss", lambda loss: f"{loss:.4f}"),
    Column("forgetting", "forgetting", lambda change: f"{change:+.4f}"),
    Column("standard_error", "+-", lambda error: f"{error:.4f}"),
)
TARGETS = (
    Column("target", "matrix", words=True),
    Column("rank", "rank"),
    Column("rank90", "90 %"),
    Column("update", "size %", percent(2)),
    Column("intruders", "intruders"),
)
NOTES = """rank 90 %: singular values of the update that hold 90 % of the squares of all;
size: its Frobenius norm beside the base's; intruders: of the first 10 singular
vectors of a trained matrix those like none of the base's; means over matrices.
forgetting: what training added to the base's loss on general text, in nats a
token, and its standard error."""


@dataclass
class InspectConfig:
    """loraexp inspect"""

    runs: list[str] = key(["outputs/train"], "folders to look for finished runs in", path=True)
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    text: str | None = key(
        None,
        "file of general text, to measure forgetting on; if null the 15 kB that come along, "
        "which nano did not learn from",
        path=True,
        text=True,
    )
    again: bool = key(False, "also runs that were measured before")
    format: str = one_of("table", *FORMATS)


def run(config: InspectConfig) -> None:
    runs = collect(config.runs, config.where).runs
    from loraexp.tools.inspecting import Inspector  # heavy: not at start

    inspector = Inspector(config.text)
    found: dict[Path, Inspection] = {}
    wrong = []
    for number, folder in enumerate(runs, 1):
        try:
            known = None if config.again else inspector.known(folder)
            if known is None and len(runs) > 1:
                log.info(printable(f"{number} of {len(runs)}: {folder.name}"))
            found[folder] = known or inspector.inspect(folder)
        except UserError as error:  # the others may be whole
            wrong.append(f"{folder.name}: {error}")
    show({folder: runs[folder] for folder in found}, found, config.format)
    pictures = [one for folder in config.runs for one in draw(Path(folder))]
    if config.format == "table":
        for picture in pictures:
            print("", printable(f"Figure: {picture}, also as SVG and PDF"), sep="\n")
    if wrong:
        raise UserError("\n".join(wrong))


def show(runs: Mapping[Path, Record], found: Mapping[Path, Inspection], format: str) -> None:
    """A row a run, and of a single one a row a matrix before it."""
    if not found:
        return
    names = in_words([*runs.values()]) if format == "table" else [run.name for run in runs]
    rows = [row_of(name, one) for name, one in zip(names, found.values(), strict=True)]
    table = FORMATS[format](Table(RUNS, rows))
    (first, *others) = found.values()
    if format != "table":
        print(table)
        return
    if first.targets and not others:
        print(FORMATS[format](targets(first)), end="\n\n")
    print(table, NOTES, sep="\n\n")


def draw(folder: Path) -> list[Path]:
    """What was learnt over what was forgotten, beside the other figures of a sweep; none where the
    folder is no sweep's, or all rows forgot alike."""
    from loraexp.sweeps.shown.summary import Summary  # pandas: not at start

    sweep = Sweep(folder)
    return Summary.of_sweep(sweep).draw(folder, ["forgetting"]) if sweep.begun() else []


def in_words(records: list[Record]) -> list[str]:
    """What tells each run from the others; the folder's name where nothing does."""
    from loraexp.results.arm_keys import settings_of, varied
    from loraexp.results.settings import differs, spelled

    by, configs = varied(records), [settings_of(record) for record in records]
    rates = [key for key in ("optim.lr", "optim.lr_factor") if differs(key, configs)]
    for more in ([], rates):  # rates only where nothing else tells runs apart
        keys = [*by, *more, "seed"]
        names = [spelled(keys, [config[key] for key in keys]) for config in configs]
        if len({*names}) == len(names):
            return names
    return [record.name for record in records]


def targets(one: Inspection) -> Table:
    rows: list[list[Cell]] = [
        [
            target.path,
            target.rank,
            target.rank90,
            target.update / target.weight if target.weight else None,
            target.intruders,
        ]
        for target in one.targets
    ]
    return Table(TARGETS, rows)


def row_of(name: str, one: Inspection) -> list[Cell]:
    forgot = one.forgetting
    language = [forgot.before, forgot.change, forgot.standard_error] if forgot else [None] * 3
    return [name, one.rank90, one.update, one.intruders, *language]
