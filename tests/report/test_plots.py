"""The plot of a run: real pictures, the same bytes each time, nothing left beside them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from loraexp.report.chart import MOST, Lines
from loraexp.report.curves import DRAWN, curve_chart, read_curves, smoothed
from loraexp.report.plots import plot_loss

HEADER = "epoch,lr-AdamW,step,train_accuracy,train_loss,val_accuracy,val_loss\n"
TRAIN = "0,,3,0.5,0.75,,\n,0.001,7,,,,\n0,,7,0.625,0.5,,\n1,,11,0.875,0.25,,\n"
VALIDATION = "0,,7,,,0.75,0.625\n1,,11,,,0.875,0.375\n"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with a metrics.csv as Lightning writes it, gaps and all."""
    (tmp_path / "metrics.csv").write_text(HEADER + TRAIN + VALIDATION)
    return tmp_path


def pictures(folder: Path) -> dict[str, bytes]:
    plot_loss(folder)
    return {file.name: file.read_bytes() for file in folder.glob("loss.*")}


def test_each_curve_is_read_over_its_own_steps_counted_from_one(run: Path) -> None:
    assert read_curves(run / "metrics.csv") == {
        "lr-AdamW": ([8], [0.001]),
        "train_accuracy": ([4, 8, 12], [0.5, 0.625, 0.875]),
        "train_loss": ([4, 8, 12], [0.75, 0.5, 0.25]),
        "val_accuracy": ([8, 12], [0.75, 0.875]),
        "val_loss": ([8, 12], [0.625, 0.375]),
    }


def test_the_plot_is_a_png_with_something_on_it(run: Path) -> None:
    assert pictures(run)["loss.png"].startswith(b"\x89PNG\r\n\x1a\n")
    image = imread(run / "loss.png")  # (height, width, 4)
    assert image.shape[:2] == (450, 1080)
    assert image[..., :3].var() > 0


def test_the_plot_is_a_pdf_too(run: Path) -> None:
    pdf = pictures(run)["loss.pdf"]
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")


def test_the_plot_is_an_svg_too(run: Path) -> None:
    assert ElementTree.fromstring(pictures(run)["loss.svg"]).tag.endswith("svg")


def test_the_same_run_gives_the_same_bytes_and_another_run_others(run: Path) -> None:
    first = pictures(run)
    assert pictures(run) == first
    (run / "metrics.csv").write_text(HEADER + TRAIN.replace("0.25", "0.3") + VALIDATION)
    other = pictures(run)
    assert all(other[name] != first[name] for name in first)


def test_the_plot_leaves_three_files_and_no_partial_ones(run: Path) -> None:
    plot_loss(run)
    names = {"metrics.csv", "loss.png", "loss.pdf", "loss.svg"}
    assert {file.name for file in run.iterdir()} == names


@pytest.mark.parametrize("rows", [TRAIN, VALIDATION], ids=["train", "validation"])
def test_a_run_with_one_kind_of_row_only_is_plotted(run: Path, rows: str) -> None:
    both = pictures(run)["loss.png"]
    (run / "metrics.csv").write_text(HEADER + rows)
    assert pictures(run)["loss.png"] != both


def test_where_nothing_was_measured_nothing_is_plotted(run: Path) -> None:
    (run / "metrics.csv").write_text(HEADER)
    assert pictures(run) == {}


def chart(run: Path, rows: str) -> Lines:
    (run / "metrics.csv").write_text(HEADER + rows)
    found = curve_chart(run / "metrics.csv")
    assert found is not None
    return found


def test_one_epoch_is_a_level_with_its_value_in_words_and_no_single_dot(run: Path) -> None:
    """Of a run so short that train too was logged once."""
    loss, accuracy = chart(run, "0,,7,0.625,0.5,,\n0,,7,,,0.75,0.625\n").panels
    assert [one.name for one in loss.series] == ["train 0.5", "validation 0.625"]
    assert [one.name for one in accuracy.series] == ["train 62.5", "validation 75"]
    for one in (*loss.series, *accuracy.series):
        assert not one.marked
        assert [(point.x, point.y) for point in one.points] == [
            (0, one.points[0].y),
            (8, one.points[0].y),
        ]


def test_train_is_smoothed_and_validation_is_not(run: Path) -> None:
    steps = 200
    train = "".join(f"0,,{s},{s % 2},{s % 2},,\n" for s in range(steps))
    validation = "".join(f"0,,{s},,,{s % 20 // 10},0\n" for s in range(0, steps, 10))
    _, accuracy = chart(run, train + validation).panels
    noisy, own = accuracy.series
    assert all(40 < point.y < 60 for point in noisy.points)
    assert {point.y for point in own.points} == {0, 100}
    assert len(noisy.points) <= DRAWN + 1
    assert len(accuracy.series) <= MOST


def test_smoothing_is_the_mean_of_neighbours() -> None:
    assert smoothed([0, 3, 6, 0], 3) == [1.5, 3, 3, 3]
    assert smoothed([0, 3, 6, 0], 1) == [0, 3, 6, 0]


def test_numbers_that_are_none_are_left_out(run: Path) -> None:
    loss, *_ = chart(run, TRAIN + "2,,15,0.5,inf,,\n2,,19,0.5,-inf,,\n3,,23,0.5,nan,,\n").panels
    assert [point.y for point in loss.series[0].points] == [0.75, 0.5, 0.25]
