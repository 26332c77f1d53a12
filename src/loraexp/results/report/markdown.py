"""A report as Markdown, with its figures as files beside it."""

from urllib.parse import quote

from matplotlib.figure import Figure

from loraexp.results.report.report import CAPTIONS, Report
from loraexp.results.tables import to_markdown
from loraexp.runtime.escape import markdown_notes, markdown_safe, printable


def as_markdown(report: Report, folder: str) -> str:
    """The report as Markdown; its figures are files in `folder` (see `pictures`)."""
    parts = [f"# {markdown_safe(report.question)}", *map(markdown_safe, report.answer)]
    parts += [to_markdown(report.compared.table), markdown_notes(report.compared.notes)]
    parts += [picture(folder, "sweep", name) for name in report.figures]
    parts += ["## Runs", to_markdown(report.runs)]
    for page in report.pages:
        parts.append(f"### {markdown_safe(page.name)}")
        parts += [picture(folder, page.anchor, name) for name in page.figures]
        facts = page.facts.items()
        parts.append("\n".join(f"- {markdown_safe(k)}: {markdown_safe(v)}" for k, v in facts))
        parts.append(to_markdown(page.scores))
        if page.confusion.rows:
            parts.append(to_markdown(page.confusion))
        if page.mistakes.rows:
            parts += ["Most confident mistakes:", to_markdown(page.mistakes)]
        parts.append(code(page.config))
    return "\n\n".join(part for part in parts if part) + "\n"


def code(config: str) -> str:
    """As it is, between fences that are longer than any in it."""
    lines = "\n".join(map(printable, config.rstrip("\n").split("\n")))
    fence = "```"
    while fence in lines:
        fence += "`"
    return f"{fence}yaml\n{lines}\n{fence}"


def picture(folder: str, owner: str, name: str) -> str:
    return f"![{CAPTIONS[name]}]({quote(f'{folder}/{owner}-{name}.svg')})"


def pictures(report: Report) -> dict[str, Figure]:
    """Every figure by the name of its file."""
    owners = [("sweep", report.figures), *((page.anchor, page.figures) for page in report.pages)]
    return {f"{owner}-{name}": figures[name] for owner, figures in owners for name in figures}
