"""The curves of a run, and how every figure is drawn and kept: PNG, SVG and PDF."""

import csv
import io
import logging
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loraexp.errors import UserError
from loraexp.runtime.atomic import read_text, whole
from loraexp.runtime.quiet import quieted

CURVES = "metrics.csv"
MOST = 1e40  # float32, in which it trains, ends before; axes cannot be drawn for all of float64
# Okabe and Ito's blue and vermillion; the dash and the marker tell them apart without colour.
TRAIN = {"color": "#0072B2", "linewidth": 1.0, "label": "train"}
VALIDATION = {"color": "#D55E00", "linestyle": "--", "marker": "o", "label": "validation"}


def plot_loss(folder: Path) -> None:
    """loss.png, .svg and .pdf of a run from its metrics.csv: loss and accuracy over the steps."""
    save(loss_figure(folder / CURVES), folder / "loss")


@contextmanager
def drawing() -> Iterator[None]:
    """Around all that makes or keeps a figure: no random names inside; no LaTeX, to which a text
    could give commands, even if matplotlibrc asks for it; no remarks on the fonts there are."""
    rules: dict[Any, Any] = {"svg.hashsalt": "loraexp", "text.usetex": False}
    with rc_context(rules), quieted(logging.getLogger("matplotlib"), level=logging.ERROR):
        yield


@drawing()
def loss_figure(file: Path) -> Figure:
    curves = read_curves(file)
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        axes.plot(*curves[f"train_{name}"], **TRAIN)
        axes.plot(*curves[f"val_{name}"], **VALIDATION)
        axes.set(xlabel="optimizer step", ylabel=name)
    loss.set_ylim(bottom=0)
    loss.set_ylabel("loss (nats a text)")
    accuracy.legend(frameon=False)
    return tidy(figure)


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of this size in inches with one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def tidy(figure: Figure) -> Figure:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure


def read_curves(file: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Each column of a metrics.csv as (steps, values), without its gaps.

    Raises:
        UserError: a file that is damaged, or none.
    """
    curves: dict[str, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    try:
        lines = io.StringIO(read_text(file.parent, file.name), newline="")
        for cells in csv.DictReader(lines):
            for name, value in cells.items():
                if value and name not in ("step", "epoch"):
                    place, height = int(cells["step"]), float(value)
                    if abs(place) > MOST or MOST < abs(height) < math.inf:
                        raise ValueError(f"{name} is out of range")
                    curves[name][0].append(place + 1)
                    curves[name][1].append(height)
    except (ValueError, TypeError, KeyError, OSError, csv.Error) as error:
        raise UserError(f"{file} is damaged: {error!r:.200}") from None
    return curves


# No date: the same run gives the same files.
KINDS: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 150},
    ".pdf": {"metadata": {"CreationDate": None}},
    ".svg": {"metadata": {"Date": None}},
}


@drawing()
def save(figure: Figure, stem: Path, kinds: Sequence[str] = tuple(KINDS)) -> None:
    for kind in kinds:
        with whole(stem.with_suffix(kind)) as partial:
            figure.savefig(partial, format=kind[1:], **KINDS[kind])


@drawing()
def as_svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", **KINDS[".svg"])
    return out.getvalue()
