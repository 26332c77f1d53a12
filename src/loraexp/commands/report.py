"""loraexp report: one page of tables, plots and every run with its mistakes."""

import os
import shlex
from dataclasses import dataclass, fields
from pathlib import Path

from loraexp.config.keys import default_of, key, one_of
from loraexp.report.sealed import check_out, is_ours, sealed
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.escape import printable
from loraexp.sweeps.shown.collect import BASELINES, collect


@dataclass
class ReportConfig:
    """loraexp report"""

    runs: list[str] = key(
        ["outputs/train"], "folders to look for finished runs in, or of a sweep", path=True
    )
    by: list[str] = key([], "keys that name what is compared; those that vary if empty")
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    baseline: str | None = key(None, "what to compare with, e.g. method=full; the best if null")
    baselines: bool = key(False, BASELINES)
    question: str | None = key(None, "its title; made from `by` if null", text=True)
    format: str = one_of("html", "html", "markdown")
    out: str | None = key(
        None, "the file; outputs/report.html or .md if null", path=True, text=True
    )


def run(config: ReportConfig) -> None:
    suffix = {"html": ".html", "markdown": ".md"}[config.format]
    out = Path(config.out or f"outputs/report{suffix}")
    folder = out.parent / f"{out.stem}-figures"
    check_out(out, folder if config.format == "markdown" else None)
    collected = collect(config.runs, config.where, config.baselines)
    from loraexp.report.html import to_html  # jinja2, scipy: not at start
    from loraexp.report.markdown import as_markdown, pictures
    from loraexp.report.report import report
    from loraexp.report.svg import to_file

    page = report(
        collected.runs,
        config.by,
        config.baseline,
        config.question,
        collected.beside,
        command_of(config),
    )
    if config.format == "html":
        write_whole(out, sealed(to_html(page)))
    else:
        drawn = {f"{name}.svg": chart for name, chart in pictures(page).items()}
        for name, chart in drawn.items():
            write_whole(folder / name, sealed(to_file(chart)))
        for file in folder.glob("*.svg"):
            if file.name not in drawn and is_ours(file):  # of the report that this one replaces
                file.unlink()
        write_whole(out, sealed(as_markdown(page, folder.name)))
    failed = len(page.failures)
    lost = (
        [f"{failed} job{'s' if failed > 1 else ''} failed; the report says why"] if failed else []
    )
    print(*map(printable, [*page.answer, *lost, f"Wrote {out}"]), sep="\n")


def command_of(config: ReportConfig) -> str:
    """What to type for the same report, where it was typed; folders elsewhere by their names."""
    words = []
    for field in fields(config):
        value = getattr(config, field.name)
        if value == default_of(field) or field.name == "out":
            continue
        if field.name == "runs":
            value = [*map(from_here, value)]
        typed = f"[{','.join(value)}]" if isinstance(value, list) else str(value)
        words.append(f"{field.name}={typed}")
    return " ".join(["python -m loraexp report", *map(shlex.quote, words)])


def from_here(folder: str) -> str:
    here = os.path.relpath(folder)
    return Path(folder).name if here.startswith("..") else here
