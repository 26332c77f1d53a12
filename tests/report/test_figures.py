"""Figures over arms: what is drawn are the arms' numbers; what has nothing to show is left out."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from loraexp.records.record import Record
from loraexp.report.chart import MOST, MOST_PANELS, label_places
from loraexp.report.figures import confusion_figure, figures
from loraexp.report.plots import COLOURS, DASHES, MARKERS, save
from loraexp.results.arms import arms

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
    assert np.allclose(line(figure), [[10, 91], [40, 91], [40, 96]])  # rank 16: dearer and worse
    assert figure.axes[0].get_xscale() == "log"


def test_rate_figure_has_the_mean_validation_loss(make_record: MakeRecord) -> None:
    runs = [
        run(make_record, 0.9, method=m, optim__lr=lr)
        for m in ("lora", "full")
        for lr in (1e-3, 1e-2)
    ]
    figure = figures(runs, ["method"])["lr"]
    assert np.allclose(line(figure), [[1e-3, 0.1312345678901234], [1e-2, 0.1312345678901234]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["full", "lora"]
    assert not figure.legends


def test_confusion_figure_adds_up_the_seeds(sweep: list[Record]) -> None:
    figure = figures(sweep, ["lora.rank"])["confusion"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["444", "6", "15", "435"]


def test_one_run_has_only_its_confusion(make_record: MakeRecord) -> None:
    assert {*figures([make_record()], ["method"])} == {"confusion"}


def test_of_many_classes_the_most_confused_pairs_are_drawn(make_record: MakeRecord) -> None:
    counts = [[0] * 77 for _ in range(77)]
    counts[3][5], counts[70][2] = 9, 4
    labels = [f"class {i}" for i in range(77)]
    test = {**make_record().metrics["test"], "confusion": counts, "n": 13}
    made = make_record(labels=labels, metrics={**make_record().metrics, "test": test})
    figure = confusion_figure(arms([made], ["method"])[0])
    assert figure is not None
    names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert names == ["class 3 → class 5", "class 70 → class 2"]
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["9", "4"]


def test_lines_of_a_panel_differ_in_grey_too() -> None:
    """In marker and dash; colours alone would not do."""
    for looks in (MARKERS, DASHES, COLOURS):
        assert len({*looks}) == len(looks) >= MOST


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


def test_many_arms_are_small_multiples_of_one_line_each_and_no_ticks_overlap(
    make_record: MakeRecord,
) -> None:
    runs = [
        run(make_record, 0.9 + i / 200, 300 * 3**i, method=f"method_{i}", optim__lr_factor=factor)
        for i in range(15)
        for factor in (0.3, 1.0, 3.0)
    ]
    made = figures(runs, ["method"])
    panels = [axes for axes in made["lr"].axes if axes.axison]
    assert len(panels) == MOST_PANELS
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [*(f"method_{i}" for i in range(MOST_PANELS - 1)), "4 more"]
    assert [len(axes.lines) for axes in panels] == [*[1] * (MOST_PANELS - 1), 4]
    rates = [[tick.get_text() for tick in axes.get_xticklabels()] for axes in panels]
    assert rates == [["0.0003", "0.001", "0.003"]] * MOST_PANELS  # every rate that was tried
    for figure in made.values():
        figure.draw_without_rendering()
        assert not figure.legends
        for axes in figure.axes:
            shown = axes.get_xticklabels(which="both") if axes.axison else []
            boxes = [t.get_window_extent() for t in shown if t.get_text()]
            assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_arms_stand_in_numeric_order_whatever_the_order_of_the_runs(
    make_record: MakeRecord,
) -> None:
    runs = [
        run(make_record, 0.9, lora__rank=rank, lora__alpha=float(rank), seed=seed)
        for rank in (16, 2, 128, 4)
        for seed in (1, 0)
    ]
    rows = figures(runs, ["lora.alpha"])["rows"]
    names = [text.get_text() for text in rows.axes[0].get_yticklabels()]
    assert names == ["alpha 2.0", "alpha 4.0", "alpha 16.0", "alpha 128.0"]


def test_names_at_one_place_are_moved_apart_and_the_others_stay() -> None:
    ends = [(10.0, 50.0), (10.0, 50.0), (10.0, 52.0), (300.0, 50.0)]
    places = label_places(ends, [40.0] * 4, line=12.0)
    assert places[3] == 50
    close = sorted(places[:3])
    assert all(b - a >= 12 for a, b in pairwise(close))
