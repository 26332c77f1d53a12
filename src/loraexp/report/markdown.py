"""A report as Markdown, with its figures as files beside it: the same in the same order."""

from collections.abc import Iterator, Mapping, Set
from urllib.parse import quote

from loraexp.report.chart import Chart
from loraexp.report.lineage import Step
from loraexp.report.pages import Page
from loraexp.report.report import Report
from loraexp.report.sections import KEPT, Section
from loraexp.results.classes import Classes
from loraexp.results.explained import explained
from loraexp.results.folded import Folded, folded
from loraexp.results.tables import to_markdown
from loraexp.runtime.escape import markdown_notes, markdown_safe, printable


def as_markdown(report: Report, folder: str) -> str:
    """The report as Markdown; its figures are files in `folder` (see `pictures`)."""
    parts = [f"# {markdown_safe(report.question)}", *map(markdown_safe, report.answer)]
    one = len(report.pages.each) == 1
    parts += [listed(report.facts)]
    for number, section in enumerate(report.sections, 1):
        parts += [f"## {markdown_safe(section.title)}"] if section.title else []
        parts += section_parts(section, number, folder)
    if not one:
        parts += ["## Runs", report.pages.note, to_markdown(folded(report.runs, ["run"]).table)]
    elif report.failures:
        parts += [listed(dict(report.failures))]
    parts += [listed(report.pages.facts), listed(report.pages.settings)]
    steps = {step.anchor for page in report.pages.each for step in page.lineage}
    linked = steps & {page.anchor for page in report.pages.each}
    for page in report.pages.each:
        parts += page_parts(page, folder, one, linked)
    parts.append(code(report.pages.config))
    return "\n\n".join(part for part in parts if part) + "\n"


def section_parts(section: Section, number: int, folder: str) -> Iterator[str]:
    yield listed(section.facts)
    yield markdown_safe(f"{section.badge[:1].upper()}{section.badge[1:]}")
    yield markdown_notes(f"- {line}" for line in [*section.compared.reasons, *section.remarks])
    names = [*section.charts]
    yield from (picture(folder, f"section{number}", n, section.charts[n]) for n in names[:1])
    yield from table_parts(section.main)
    yield from (picture(folder, f"section{number}", n, section.charts[n]) for n in names[1:])
    yield from classes_parts(section.classes)
    if len(section.compared.arms) > 1:
        yield from table_parts(folded(section.compared.table, KEPT))
    yield markdown_notes(f"- {line}" for line in section.compared.how)


def page_parts(page: Page, folder: str, one: bool, linked: Set[str | None]) -> Iterator[str]:
    """Of a single run its section has most.

    Args:
        linked: the pages that others lead to.
    """
    yield f'<a id="{page.anchor}"></a>' if page.anchor in linked else ""
    yield f"### {markdown_safe(page.name)}"
    if not one:
        yield markdown_safe(", ".join(f"{name} {value}" for name, value in page.figures.items()))
        yield picture(folder, page.anchor, "loss", page.chart) if page.chart else ""
        yield to_markdown(page.scores.filled())
        yield from classes_parts(page.classes)
    if page.mistakes.rows:
        yield "Most confident mistakes:"
        yield to_markdown(page.mistakes)
    if page.lineage:
        yield "- started from: " + ", that from ".join(
            step_words(step, linked) for step in page.lineage
        )
    yield listed(page.facts)
    yield listed(page.settings)


def step_words(step: Step, linked: Set[str | None]) -> str:
    name = markdown_safe(step.name)
    link = f"[{name}](#{step.anchor})" if step.anchor in linked else name
    remark = f", {step.remark}" if step.remark else ""
    return f"{link}, adapter {markdown_safe(step.digest)}{remark}"


def table_parts(one: Folded) -> Iterator[str]:
    """What is alike in all rows, the others, and what the columns mean."""
    if one.alike:
        alike = ", ".join(f"{column.heading} {shown}" for column, shown in one.alike)
        yield markdown_safe(f"In all rows: {alike}.")
    yield to_markdown(one.table)
    yield listed({column.heading: explained(column) for column in one.columns})


def classes_parts(classes: Classes) -> Iterator[str]:
    for table in (classes.matrix, classes.pairs, classes.each, classes.refused):
        if table.rows:
            yield to_markdown(table.filled())


def listed(pairs: Mapping[str, str]) -> str:
    return "\n".join(f"- {markdown_safe(name)}: {markdown_safe(v)}" for name, v in pairs.items())


def code(config: str) -> str:
    """As it is, between fences that are longer than any in it."""
    lines = "\n".join(map(printable, config.rstrip("\n").split("\n")))
    fence = "```"
    while fence in lines:
        fence += "`"
    return f"{fence}yaml\n{lines}\n{fence}"


def picture(folder: str, owner: str, name: str, chart: Chart) -> str:
    return f"![{markdown_safe(chart.caption)}]({quote(f'{folder}/{owner}-{name}.svg')})"


def pictures(report: Report) -> dict[str, Chart]:
    """Every figure by the name of its file."""
    found = {
        f"section{number}-{name}": chart
        for number, section in enumerate(report.sections, 1)
        for name, chart in section.charts.items()
    }
    pages = report.pages.each if len(report.pages.each) > 1 else []
    return found | {f"{page.anchor}-loss": page.chart for page in pages if page.chart}
