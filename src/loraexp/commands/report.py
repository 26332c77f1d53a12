"""loraexp report: finished runs as one page to read, to print or to send."""

from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.results.collect import collect
from loraexp.schemas import ReportConfig


def run(config: ReportConfig, sweep: Path | None) -> None:
    found = collect(config.runs, config.where)
    from loraexp.results.html import to_html  # matplotlib: not at start
    from loraexp.results.markdown import as_markdown, pictures
    from loraexp.results.plots import save
    from loraexp.results.report import report

    made = report(found.runs, config.by, config.baseline, config.question, found.failures)
    suffix = {"html": ".html", "markdown": ".md"}[config.format]
    out = Path(config.out or f"outputs/report{suffix}")
    if config.format == "html":
        write_whole(out, to_html(made))
    else:
        folder = out.with_name(f"{out.stem}-figures")
        for name, figure in pictures(made).items():
            save(figure, folder / name, [".svg"])
        write_whole(out, as_markdown(made, folder.name))
    print(*made.answer, f"Wrote {out}", sep="\n")
