"""loraexp runs: list every run, the newest first, and remove those you name."""

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from loraexp.config.keys import key, one_of
from loraexp.errors import UserError
from loraexp.results.tables import FORMATS, Column, Table, percent, size
from loraexp.runs.naming import distinct_names
from loraexp.runs.removal import finish, remove
from loraexp.runtime.escape import printable
from loraexp.sweeps.live.screen import head
from loraexp.sweeps.shown.listing import STATES, Listed, leftovers, listing, named_alone

log = logging.getLogger("loraexp")
NARROW, WHEN, TOLD = 72, 16, 14  # columns: of a terminal that gets two lines a run, and of a cell


@dataclass
class RunsConfig:
    """loraexp runs"""

    runs: list[str] = key(
        ["outputs"], "folders to look for runs in, of a sweep, or of a run", path=True
    )
    where: list[str] = key(
        [], f"only runs with these, e.g. [data.name=sms_spam]; also state={'|'.join(STATES)}"
    )
    delete: bool = key(False, "remove the runs that are listed; needs where= or runs=")
    format: str = one_of("table", *FORMATS)


def run(config: RunsConfig) -> None:
    """List the runs, or remove them.

    Raises:
        UserError: a condition that is none, or `delete` without one.
    """
    named = bool(config.where) or all(map(named_alone, config.runs))
    if config.delete and not named:
        raise UserError(
            "delete=true needs to be told which runs: 'where=[state=failed]', or runs=[...] with "
            "the folders of runs or sweeps"
        )
    found = listing(config.runs, config.where)
    if config.delete:
        delete(found, leftovers(config.runs))
    elif config.format != "table":
        print(FORMATS[config.format](as_table(found)))
    else:
        width = Console().width if sys.stdout.isatty() else None
        print(*rows(found, width), total(found, named), sep="\n")


def rows(runs: Sequence[Listed], width: int | None) -> Iterator[str]:
    """A line or two a run of `width` columns at most; None: nothing is shortened."""
    names = [printable(name) for name in distinct_names([run.path for run in runs])]
    data = [printable(run.data) for run in runs]
    told = [printable(run.told) for run in runs]
    of_data = max(map(len, data), default=0)
    if width is not None:
        of_data = min(of_data, 12)
        of_told = min(max(map(len, told), default=0), TOLD)
        room = width if width < NARROW else width - WHEN - of_data - of_told - 6
        names = [middle(name, room) for name in names]
    of_name = max(map(len, names), default=0)
    for run, name, texts, words in zip(runs, names, data, told, strict=True):
        when = f"{run.when:%Y-%m-%d %H:%M}"
        if width is not None and width < NARROW:  # the name begins with the data's
            yield f"{name}\n{head(f'  {when}  {words}', width)}"
        else:
            texts = f"{middle(texts, of_data):<{of_data}}"
            line = f"{name:<{of_name}}  {when}  {texts}  {words}"
            yield line if width is None else head(line, width)


def middle(text: str, most: int) -> str:
    """Both ends of a name: what a run is, and what tells it from others."""
    most = max(most, 8)
    end = min(9, most // 2)
    return text if len(text) <= most else f"{text[: most - end - 3]}...{text[-end:]}"


def total(runs: Sequence[Listed], named: bool) -> str:
    counts = Counter(run.state.replace("_", " ") for run in runs)
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    many = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    line = f"{many}{f' ({states})' if states else ''}, {megabytes(runs)}"
    return f"{line}; the same command with delete=true removes them" if named and runs else line


def megabytes(runs: Sequence[Listed]) -> str:
    return size(sum(run.bytes for run in runs))


def as_table(runs: Sequence[Listed]) -> Table:
    columns = [
        Column("run", "run", words=True),
        Column("state", "state", words=True),
        Column("when", "when", words=True),
        Column("data", "data", words=True),
        Column("method", "method", words=True),
        Column("seed", "seed"),
        Column("test_accuracy", "test", percent(1)),
        Column("told", "", words=True),
        Column("bytes", "size", size),
    ]
    cells = [
        [
            *(str(run.path), run.state, run.when.isoformat(timespec="seconds"), run.data),
            *(run.settings.get("method"), run.settings.get("seed")),
            *(run.accuracy, run.told, run.bytes),
        ]
        for run in runs
    ]
    return Table(columns, cells)


def delete(runs: Sequence[Listed], begun: Sequence[Path]) -> None:
    """Remove the runs, and what a removal that was cut short has left; say what stays, and why."""
    gone = []
    for listed in runs:
        try:
            remove(listed.path)
        except UserError as error:  # busy, or not ours alone
            log.warning(f"kept {listed.path}: {error}")
            continue
        gone.append(listed)
        print(printable(f"removed {listed.path}"))
    for folder in begun:
        try:
            finish(folder)
        except UserError as error:
            log.warning(f"kept {folder}: {error}")
    print(f"{len(gone)} of {len(runs)} runs removed, {megabytes(gone)}")
