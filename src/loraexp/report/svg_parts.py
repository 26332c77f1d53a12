"""The parts that every chart in SVG is drawn from: a frame, marks, words and what pointing says."""

from markupsafe import Markup, escape
from rich.cells import cell_len

from loraexp.report.chart import Axis, Series
from loraexp.runtime.escape import printable

FONT, LETTER = 13, 0.57  # of a letter's height its width, on average
LONGEST = 26  # letters of a name
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2")
MARKS = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0",  # a disc, then square, triangle, diamond, ...
    "M-4 -4h8v8h-8z",
    "M0 -5l5 9h-10z",
    "M0 -5.5l5 5.5l-5 5.5l-5 -5.5z",
    "M0 5l5 -9h-10z",
    "M-5 -1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z",
)


def said(text: str) -> Markup:
    return escape(printable(text))


def width(text: str) -> float:
    return LETTER * FONT * cell_len(text)


def cut(text: str, most: int = LONGEST) -> str:
    """Both ends of what is too long."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[1 - most // 2 :]}"


class Frame:
    """Where the axes of a panel lie: its corner, width and height in units of the drawing."""

    def __init__(
        self, size: tuple[float, float], left: float, right: float, bottom: float, top: float
    ) -> None:
        self.left, self.top = left, top
        self.width, self.height = size[0] - self.left - right, size[1] - top - bottom

    def x(self, axis: Axis, value: float) -> float:
        return self.left + self.width * axis.share(value)

    def y(self, axis: Axis, value: float) -> float:
        return self.top + self.height * (1 - axis.share(value))


def colour(style: int | None) -> str:
    return "c" if style is None else f"c c{style % len(MARKS)}"


def mark(style: int, x: float, y: float) -> Markup:
    shape = MARKS[style % len(MARKS)]
    place = '<path class="mark" transform="translate({:.1f} {:.1f})" d="{}"/>'
    return Markup(place).format(x, y, shape)


def hit(words: str, x: float, y: float) -> Markup:
    """Larger than the mark, so that a mouse finds it."""
    ring = '<circle class="hit" cx="{:.1f}" cy="{:.1f}" r="9"><title>{}</title></circle>'
    return Markup(ring).format(x, y, said(words))


def word(series: Series, name: str, x: float, y: float) -> Markup:
    made = '<text class="name {}" x="{:.1f}" y="{:.1f}">{}</text>'
    return Markup(made).format(colour(series.style), x, y, said(name))
