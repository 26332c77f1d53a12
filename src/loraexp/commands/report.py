"""loraexp report: one page of tables, plots and every run with its mistakes."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.results.report.sealed import check_out, is_ours, sealed
from loraexp.runtime.atomic import write_whole
from loraexp.runtime.escape import printable
from loraexp.sweeps.collect import collect


@dataclass
class ReportConfig:
    """loraexp report"""

    runs: list[str] = key(
        ["outputs/train"], "folders to look for finished runs in, or of a sweep", path=True
    )
    by: list[str] = key([], "keys that name what is compared; those that vary if empty")
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    baseline: str | None = key(None, "what to compare with, e.g. method=full; the best if null")
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
    collected = collect(config.runs, config.where)
    from loraexp.results.report.html import to_html  # matplotlib: not at start
    from loraexp.results.report.markdown import as_markdown, pictures
    from loraexp.results.report.plots import as_svg
    from loraexp.results.report.report import report

    page = report(collected.runs, config.by, config.baseline, config.question, collected.beside)
    if config.format == "html":
        write_whole(out, sealed(to_html(page)))
    else:
        drawn = {f"{name}.svg": figure for name, figure in pictures(page).items()}
        for name, figure in drawn.items():
            write_whole(folder / name, sealed(as_svg(figure)))
        for file in folder.glob("*.svg"):
            if file.name not in drawn and is_ours(file):  # of the report that this one replaces
                file.unlink()
        write_whole(out, sealed(as_markdown(page, folder.name)))
    print(*map(printable, [*page.answer, f"Wrote {out}"]), sep="\n")
