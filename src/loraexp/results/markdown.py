"""A report as Markdown, with its figures as files beside it."""

from matplotlib.figure import Figure

from loraexp.results.escape import markdown_safe
from loraexp.results.report import CAPTIONS, Report
from loraexp.results.tables import to_markdown


def as_markdown(made: Report, folder: str) -> str:
    """The report as Markdown; its figures are files in `folder` (see `pictures`)."""
    parts = [f"# {made.question}", *made.answer, to_markdown(made.compared.table)]
    parts.append("\n".join(made.compared.notes))
    parts += [picture(folder, "sweep", name) for name in made.figures]
    parts += ["## Runs", to_markdown(made.runs)]
    for page in made.pages:
        parts += [f"### {page.name}", *(picture(folder, page.name, name) for name in page.figures)]
        parts.append(
            "\n".join(f"- {name}: {markdown_safe(value)}" for name, value in page.facts.items())
        )
        parts.append(to_markdown(page.scores))
        if page.confusion.rows:
            parts.append(to_markdown(page.confusion))
        if page.mistakes.rows:
            parts += ["Most confident mistakes:", to_markdown(page.mistakes)]
        fence = "```"
        while fence in page.config:
            fence += "`"
        parts.append(f"{fence}yaml\n{page.config}{fence}")
    return "\n\n".join(part for part in parts if part) + "\n"


def picture(folder: str, owner: str, name: str) -> str:
    return f"![{CAPTIONS[name]}]({folder}/{owner}-{name}.svg)"


def pictures(made: Report) -> dict[str, Figure]:
    """Every figure by the name of its file."""
    found = {f"sweep-{name}": figure for name, figure in made.figures.items()}
    for page in made.pages:
        found |= {f"{page.name}-{name}": figure for name, figure in page.figures.items()}
    return found
