"""Lines without a network in a comparison: tested as arms are, changing nothing of theirs."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from test_comparison import N, run

from loraexp.records.record import Record
from loraexp.results.beside import Beside
from loraexp.results.comparison import Findings, findings
from loraexp.results.outside import MAJORITY, OutsideLine
from loraexp.results.runs_table import runs_table
from loraexp.stats.significance import wilson_interval

MakeRecord = Callable[..., Record]


def line(record: Record, right: np.ndarray, name: str = "TF-IDF words") -> OutsideLine:
    """One that labels these test texts of a run rightly."""
    true = np.arange(N) % 2
    shares = {"train": 1.0, "validation": 0.9, "test": float(right.mean())}
    predicted = np.where(right, true, 1 - true).tolist()
    split, what = record.hashes["split"], f"{name}: counted"
    return OutsideLine(
        name, what, split, 1045, 4, 99, shares, 0.9, true.tolist(), predicted, seconds=0.5
    )


@pytest.fixture
def two_arms(make_record: MakeRecord) -> list[Record]:
    rng = np.random.default_rng(0)
    return [
        run(make_record, rng.random(N) < share, method=method, seed=seed)
        for method, share in (("lora", 0.9), ("head", 0.6))
        for seed in range(3)
    ]


def found(records: list[Record], *lines: OutsideLine, baseline: str | None = None) -> Findings:
    return findings(records, ["method"], baseline, beside=Beside(lines=lines))


def row(result: Findings, name: str) -> dict[str, object]:
    (cells,) = [cells for cells in result.table.rows if cells[0] == name]
    return dict(zip(result.table.header, cells, strict=True))


def test_a_line_is_tested_as_an_arm_that_is_alike_under_every_seed(
    two_arms: list[Record], make_record: MakeRecord
) -> None:
    right = np.random.default_rng(1).random(N) < 0.85
    told = row(found(two_arms, line(two_arms[0], right)), "TF-IDF words")
    same = [run(make_record, right, method="full", seed=seed) for seed in range(3)]
    oracle = row(found([*two_arms[:3], *same], baseline="method=lora"), "full")
    for name in ("test", "difference", "p", "verdict"):
        assert told[name] == (oracle[name] if name == "verdict" else pytest.approx(oracle[name]))
    assert told["over_texts"] == wilson_interval(float(right.mean()), N).ends
    assert (told["seeds"], told["over_seeds"], told["lr"], told["settings"]) == (None,) * 3 + (4,)


def test_no_figure_of_an_arm_depends_on_lines(two_arms: list[Record]) -> None:
    right = np.ones(N, bool)
    alone, beside = found(two_arms), found(two_arms, line(two_arms[0], right))
    assert beside.table.rows[:-1] == alone.table.rows
    assert beside.reasons == alone.reasons
    assert beside.table.rows[-1][0] == "TF-IDF words"
    assert found(two_arms[:3], line(two_arms[0], right)).table.rows[-1][0] == "TF-IDF words"


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "Counting words beats every row: TF-IDF words 100.0%"),
        (0.9, "does as well"),
        (0.5, ""),
    ],
)
def test_the_last_words_are_said_where_no_arm_is_better(
    two_arms: list[Record], share: float, words: str
) -> None:
    right = np.random.default_rng(2).random(N) < share
    said = " ".join(found(two_arms, line(two_arms[0], right)).last)
    assert words in said
    assert bool(words) == bool(said)


def test_a_label_for_all_is_not_called_counting(two_arms: list[Record]) -> None:
    (said,) = found(two_arms, line(two_arms[0], np.ones(N, bool), MAJORITY)).last
    assert said.startswith("Always the same label beats every row")


def test_a_line_of_other_texts_has_no_row(two_arms: list[Record]) -> None:
    other = replace(line(two_arms[0], np.ones(N, bool)), split="f" * 64)
    result = found(two_arms, other)
    assert result.table.rows == found(two_arms).table.rows
    assert not result.last


def test_the_best_of_single_runs_is_no_reference_for_a_test(two_arms: list[Record]) -> None:
    first = [record for record in two_arms if record.config["seed"] == 0]
    told = row(found(first, line(first[0], np.ones(N, bool))), "TF-IDF words")
    assert (told["verdict"], told["p"]) == ("one seed", None)
    named = row(
        found(first, line(first[0], np.ones(N, bool)), baseline="method=head"), "TF-IDF words"
    )
    assert named["verdict"] == "better"


def test_rows_of_several_data_sets_say_whose_a_line_is(
    two_arms: list[Record], make_record: MakeRecord
) -> None:
    others = [
        replace(
            run(make_record, np.ones(N, bool), data__name="csv", seed=seed),
            hashes=make_record().hashes | {"split": "f" * 64},
        )
        for seed in range(3)
    ]
    own = line(others[0], np.ones(N, bool))
    last = found([*two_arms[:3], *others], own).table.rows[-1]
    assert last[:2] == ["TF-IDF words", "csv"]


def test_a_line_has_a_row_among_runs(two_arms: list[Record]) -> None:
    table = runs_table(two_arms, [line(two_arms[0], np.ones(N, bool))])
    told = dict(zip(table.header, table.rows[-1], strict=True))
    assert (told["method"], told["rank"], told["trainable"]) == ("TF-IDF words", None, 99)
    assert (told["train_texts"], told["test_accuracy"], told["seconds"]) == (1045, 1.0, 0.5)


def test_a_narrow_terminal_keeps_the_only_interval_of_a_line(two_arms: list[Record]) -> None:
    right = np.ones(N, bool)
    assert "over_texts" in found(two_arms, line(two_arms[0], right)).brief(76).header
    assert "over_texts" not in found(two_arms).brief(70).header
