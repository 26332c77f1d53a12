"""Plots of records, as PDF and PNG: readable by the colour-blind and when printed in grey."""

import csv
from collections import defaultdict
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from loraexp.atomic import whole

# Okabe and Ito's blue and vermillion; the dash and the marker tell them apart without colour.
TRAIN = {"color": "#0072B2", "linewidth": 1.0, "label": "train"}
VALIDATION = {"color": "#D55E00", "linestyle": "--", "marker": "o", "label": "validation"}


def plot_loss(folder: Path) -> None:
    """loss.png and loss.pdf of a run from its metrics.csv: loss and accuracy over the steps."""
    curves = read_curves(folder / "metrics.csv")
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    loss, accuracy = figure.subplots(1, 2)
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        axes.plot(*curves[f"train_{name}"], **TRAIN)
        axes.plot(*curves[f"val_{name}"], **VALIDATION)
        axes.set(xlabel="optimizer step", ylabel=name)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    loss.set_ylim(bottom=0)
    loss.set_ylabel("loss (nats a text)")
    accuracy.legend(frameon=False)
    save(figure, folder / "loss")


def read_curves(file: Path) -> dict[str, tuple[list[int], list[float]]]:
    """Each column of a metrics.csv as (steps, values), without its gaps."""
    curves: dict[str, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for name, value in row.items():
                if value and name not in ("step", "epoch"):
                    curves[name][0].append(int(row["step"]) + 1)
                    curves[name][1].append(float(value))
    return curves


def save(figure: Figure, stem: Path) -> None:
    with whole(stem.with_suffix(".png")) as partial:
        figure.savefig(partial, dpi=150)
    with whole(stem.with_suffix(".pdf")) as partial:
        # no date inside: the same run gives the same file
        figure.savefig(partial, metadata={"CreationDate": None})
