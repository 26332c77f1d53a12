"""Figures over arms: what is drawn are the arms' numbers; what has nothing to show is left out."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from loraexp.records.record import Record
from loraexp.results.arms import arms
from loraexp.results.report.figures import COLOURS, MARKERS, confusion_figure, figures
from loraexp.results.report.plots import save

MakeRecord = Callable[..., Record]


def run(make: MakeRecord, accuracy: float, trainable: int = 100, **settings: Any) -> Record:
    made = make({key.replace("__", "."): value for key, value in settings.items()})
    test = {**made.metrics["test"], "accuracy": accuracy}
    counts = {**made.counts, "trainable": trainable}
    return replace(made, metrics={**made.metrics, "test": test}, counts=counts)


@pytest.fixture
def sweep(make_record: MakeRecord) -> list[Record]:
    """Ranks 1, 4 and 16 by three seeds; rank 4 is the best, rank 16 costs the most."""
    return [
        run(make_record, mean + 0.01 * seed, 10 * rank, lora__rank=rank, seed=seed)
        for rank, mean in ((1, 0.90), (4, 0.95), (16, 0.94))
        for seed in range(3)
    ]


def line(figure: Figure, number: int = 0) -> np.ndarray:
    """(points, 2) of what is drawn."""
    return np.asarray(figure.axes[0].lines[number].get_xydata())


def test_rank_figure_has_the_means_over_seeds_at_their_ranks(sweep: list[Record]) -> None:
    figure = figures(sweep, ["lora.rank"])["rank"]
    assert np.allclose(line(figure), [[1, 91], [4, 96], [16, 95]])
    (bars,) = figure.axes[0].containers
    segments = np.asarray(bars[2][0].get_segments())  # (points, 2 ends, 2)
    half = 4.302652729911275 * 1.0 / np.sqrt(3)  # Student's t, two degrees of freedom, sd 1 point
    assert np.allclose(segments[:, 1, 1] - line(figure)[:, 1], half)


def test_parameter_figure_joins_what_no_cheaper_arm_matches(sweep: list[Record]) -> None:
    figure = figures(sweep, ["lora.rank"])["parameters"]
    assert np.allclose(line(figure), [[10, 91], [40, 96]])  # rank 16 is dearer and worse
    assert figure.axes[0].get_xscale() == "log"


def test_rate_figure_has_the_mean_validation_loss(make_record: MakeRecord) -> None:
    runs = [
        run(make_record, 0.9, method=m, optim__lr=lr)
        for m in ("lora", "full")
        for lr in (1e-3, 1e-2)
    ]
    figure = figures(runs, ["method"])["lr"]
    assert np.allclose(line(figure), [[1e-3, 0.1312345678901234], [1e-2, 0.1312345678901234]])
    assert [text.get_text() for text in figure.legends[0].texts] == ["lora", "full"]


def test_confusion_figure_adds_up_the_seeds(sweep: list[Record]) -> None:
    figure = figures(sweep, ["lora.rank"])["confusion"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["444", "6", "15", "435"]


def test_one_run_has_only_its_confusion(make_record: MakeRecord) -> None:
    assert {*figures([make_record()], ["method"])} == {"confusion"}


def test_a_confusion_of_many_classes_is_left_out(make_record: MakeRecord) -> None:
    made = make_record(labels=[str(i) for i in range(77)])
    assert confusion_figure(arms([made], ["method"])[0]) is None


def test_lines_differ_in_grey_too() -> None:
    """Any two of the first fourteen differ in marker; colours alone would not do."""
    assert len({*MARKERS}) == len(MARKERS) >= 13
    assert len({*COLOURS}) == len(COLOURS)


@pytest.mark.parametrize("kind", [".png", ".svg", ".pdf"])
def test_figures_are_the_same_bytes_each_time(
    sweep: list[Record], tmp_path: Path, kind: str
) -> None:
    found = []
    for _ in range(2):
        save(figures(sweep, ["lora.rank"])["rank"], tmp_path / "rank")
        found.append((tmp_path / f"rank{kind}").read_bytes())
    assert found[0] == found[1]
    if kind == ".png":
        assert imread(tmp_path / "rank.png")[..., :3].var() > 0


def test_thirteen_arms_have_a_legend_beside_the_axes_and_no_ticks_that_overlap(
    make_record: MakeRecord,
) -> None:
    runs = [
        run(make_record, 0.9 + i / 200, 300 * 3**i, method=f"method_{i}", optim__lr_factor=factor)
        for i in range(13)
        for factor in (0.3, 1.0, 3.0)
    ]
    made = figures(runs, ["method"])
    for name in ("parameters", "lr"):
        figure = made[name]
        figure.draw_without_rendering()
        (axes,), (legend,) = figure.axes, figure.legends
        assert len(legend.texts) >= 13
        assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
        assert legend.get_window_extent().y0 >= 0
        ticks = [t.get_window_extent() for t in axes.get_xticklabels(which="both") if t.get_text()]
        assert not any(a.overlaps(b) for i, a in enumerate(ticks) for b in ticks[:i])
