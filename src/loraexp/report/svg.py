"""Charts as SVG of our own: small, for light and dark, with a title on each point that has words.

The colours are in chart.css: a page has it once, a file of its own brings it along.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markupsafe import Markup

from loraexp.report.chart import (
    Axis,
    Chart,
    Dot,
    Dots,
    Panel,
    Series,
    label_places,
    thinned,
)
from loraexp.report.svg_parts import (
    DASHES,
    FONT,
    Frame,
    colour,
    cut,
    hit,
    mark,
    said,
    width,
    word,
)
from loraexp.runtime.escape import printable

WIDE, SMALL = (440, 270), (290, 210)
STYLE = Path(__file__).with_name("chart.css").read_text(encoding="utf-8")


def drawings(chart: Chart) -> list[Markup]:
    """One SVG a panel, each as wide as its place allows."""
    if isinstance(chart, Dots):
        return [whole(*dots(chart), chart.caption)]
    size = WIDE if len(chart.panels) == 1 else SMALL
    names = [
        f"{one.title}: {chart.caption}" if one.title else chart.caption for one in chart.panels
    ]
    return [
        whole(panel_of(one, size), size, name)
        for one, name in zip(chart.panels, names, strict=True)
    ]


def whole(inside: Markup, size: tuple[float, float], name: str) -> Markup:
    box = f"0 0 {size[0]:g} {size[1]:g}"
    return Markup('<svg viewBox="{}" role="img" aria-label="{}">{}</svg>').format(
        box, printable(name), inside
    )


def to_file(chart: Chart) -> str:
    """A file of its own: all panels, the style, and a ground, for it may stand on any."""
    if isinstance(chart, Dots):
        parts, sizes = [dots(chart)[0]], [dots(chart)[1]]
    else:
        size = WIDE if len(chart.panels) == 1 else SMALL
        parts, sizes = [panel_of(one, size) for one in chart.panels], [size] * len(chart.panels)
    columns = 1 if len(parts) == 1 else 3 if len(parts) > 4 else 2
    w, h = sizes[0][0] * columns, sizes[0][1] * -(-len(parts) // columns)
    cells = Markup("\n").join(
        Markup('<g transform="translate({:g} {:g})">{}</g>').format(
            sizes[0][0] * (at % columns), sizes[0][1] * (at // columns), part
        )
        for at, part in enumerate(parts)
    )
    made = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0:g}" height="{1:g}" viewBox="0 0 {0:g} '
        '{1:g}" role="img" aria-label="{2}">\n<style>{3}</style>\n<rect width="100%" height="100%" '
        'fill="var(--under)"/>\n{4}\n</svg>\n'
    )
    return str(made.format(w, h, printable(chart.caption), Markup(STYLE), cells))


def panel_of(panel: Panel, size: tuple[float, float]) -> Markup:
    names = [cut(one.name) for one in panel.labelled()]
    beside = [] if panel.keyed else names
    ticks = [width(text) for _, text in panel.x.ticks]
    room = max([width(name) + 14 for name in beside] + [10, *(last / 2 + 4 for last in ticks[-1:])])
    most = max(ticks, default=0)
    top = 26 if panel.title or panel.keyed else 22 if beside else 10  # names may stand above
    left = max((width(text) for _, text in panel.y.ticks), default=0) + (10 if panel.title else 30)
    flat = Frame(size, left, room, 42, top)
    gaps = [flat.x(panel.x, v) for v, _ in panel.x.ticks]
    slanted = any(b - a < most + 6 for a, b in pairwise(gaps))
    foot = (0.7 * most if slanted else 0) + (24 if panel.title else 42)
    frame = Frame(size, left, room, foot, top)
    parts = [*grid(panel, frame, slanted)]
    if panel.title:
        title = Markup('<text x="4" y="15" font-weight="600">{}</text>')
        parts.append(title.format(said(cut(panel.title, 32))))
    parts += [series_of(one, panel, frame) for one in panel.series]
    parts += key_of(panel, frame) if panel.keyed else labels_of(panel, frame)
    return Markup("").join(parts)


def grid(panel: Panel, frame: Frame, slanted: bool) -> Iterator[Markup]:
    right, foot = frame.left + frame.width, frame.top + frame.height
    for value, text in panel.y.ticks:
        y = frame.y(panel.y, value)
        yield Markup(
            '<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>'
            '<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>'
        ).format(frame.left, y, right, frame.left - 6, y + 4, text)
    yield Markup('<path class="edge" d="M{:.1f} {:.1f}H{:.1f}"/>').format(frame.left, foot, right)
    places = [frame.x(panel.x, value) for value, _ in panel.x.ticks]
    # Turned by 45 degrees, lines of words are as far apart as their ticks over sqrt(2).
    widths = [FONT * 2**0.5 if slanted else width(text) for _, text in panel.x.ticks]
    shown = thinned([*zip(places, widths, strict=True)], 0)
    for x, (_, text), wanted in zip(places, panel.x.ticks, shown, strict=True):
        yield Markup('<path class="edge" d="M{:.1f} {:.1f}v5"/>').format(x, foot)
        turn = f' transform="rotate(-45 {x:.1f} {foot + 14:.1f})"' if slanted else ""
        anchor = "end" if slanted else "middle"
        if wanted:
            yield Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}"{}>{}</text>').format(
                x, foot + 18, anchor, Markup(turn), said(text)
            )
    if panel.title:  # of small multiples the caption names the axes
        return
    turned = 0.7 * max(width(text) for _, text in panel.x.ticks) if slanted else 0
    yield Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
        frame.left + frame.width / 2, foot + 36 + turned, said(panel.x.label)
    )
    yield Markup(
        '<text transform="translate(12 {:.1f}) rotate(-90)" text-anchor="middle">{}</text>'
    ).format(frame.top + frame.height / 2, said(panel.y.label))


def series_of(series: Series, panel: Panel, frame: Frame) -> Markup:
    at = [(frame.x(panel.x, p.x), frame.y(panel.y, p.y)) for p in series.points]
    parts = []
    if series.joined and len(at) > 1:
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in at)
        dash = DASHES[(series.style or 0) % len(DASHES)]
        dashed = Markup(' stroke-dasharray="{}"').format(dash) if dash else ""
        parts.append(Markup('<path class="line" d="{}"{}/>').format(path, dashed))
    for point, (x, y) in zip(series.points, at, strict=True):
        inside = []
        if point.ends:
            low, high = (frame.y(panel.y, end) for end in point.ends)
            bar = '<path class="bar" d="M{0:.1f} {1:.1f}V{2:.1f}m-4 0h8M{3:.1f} {1:.1f}h8"/>'
            inside.append(Markup(bar).format(x, low, high, x - 4))
        if series.marked:
            inside.append(mark(series.style or 0, x, y))
        if point.words:
            inside.append(hit(point.words, x, y))
        if inside:
            parts.append(Markup("<g>{}</g>").format(Markup("").join(inside)))
    return Markup('<g class="{}">{}</g>').format(colour(series.style), Markup("").join(parts))


def labels_of(panel: Panel, frame: Frame) -> Iterator[Markup]:
    """At the end of a line; above a point that none joins, for a line of others may leave it."""
    named = panel.labelled()
    ends = [
        (
            frame.x(panel.x, one.points[-1].x),
            frame.y(panel.y, one.points[-1].y) - (0 if one.joined else 9),
        )
        for one in named
    ]
    names = [cut(one.name) for one in named]
    heights = label_places(ends, [width(name) + 12 for name in names], FONT + 2)
    for one, name, (x, _), y in zip(named, names, ends, heights, strict=True):
        yield word(one, name, x + (9 if one.joined else 4), y + 4)


def key_of(panel: Panel, frame: Frame) -> Iterator[Markup]:
    """A row of names, a bit of its line before each."""
    x = frame.left
    for one in panel.labelled():
        dash = Markup(' stroke-dasharray="{}"').format(DASHES[(one.style or 0) % len(DASHES)])
        bit = '<path class="line {}"{} d="M{:.1f} 11h20"/>'
        yield Markup(bit).format(colour(one.style), dash, x)
        yield word(one, cut(one.name), x + 25, 15)
        x += width(cut(one.name)) + 42


def dots(chart: Dots) -> tuple[Markup, tuple[float, float]]:
    """And its size."""
    names = [cut(row.name, 30) for row in chart.rows]
    left = 1.1 * max(map(width, names)) + 14  # in the widest of usual fonts
    step, size = 24.0, (WIDE[0], 24.0 * len(names) + 48)
    frame = Frame(size, left, 14, 44, 4)
    foot = frame.top + frame.height
    parts = []
    places = [frame.x(chart.x, value) for value, _ in chart.x.ticks]
    sizes = [width(text) for _, text in chart.x.ticks]
    shown = thinned([*zip(places, sizes, strict=True)], 6)
    for x, (_, text), wanted in zip(places, chart.x.ticks, shown, strict=True):
        line = '<path class="grid" d="M{:.1f} {:.1f}V{:.1f}"/>'
        parts.append(Markup(line).format(x, frame.top, foot))
        if wanted:
            tick = '<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>'
            parts.append(Markup(tick).format(x, foot + 16, text))
    for number, (row, name) in enumerate(zip(chart.rows, names, strict=True)):
        y = frame.top + step * (number + 0.5)
        parts.append(
            Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>').format(
                left - 10, y + 4, said(name)
            )
        )
        parts.append(dot(row, chart.x, frame, y))
    parts.append(
        Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>').format(
            frame.left + frame.width / 2, foot + 36, said(chart.x.label)
        )
    )
    return Markup("").join(parts), size


def dot(row: Dot, axis: Axis, frame: Frame, y: float) -> Markup:
    parts, words = [], f"{row.name}: {row.value:.1f} %"
    if row.ends:
        low, high = row.ends
        words += f" ({low:.1f} to {high:.1f})"
        bar = '<path class="bar" d="M{:.1f} {:.1f}H{:.1f}"/>'
        parts.append(Markup(bar).format(frame.x(axis, low), y, frame.x(axis, high)))
    x = frame.x(axis, row.value)
    parts += [mark(0, x, y), hit(words, x, y)]
    looks = "c c0" if row.strong else "c open"
    return Markup('<g class="{}">{}</g>').format(looks, Markup("").join(parts))
