"""The scores of each class are scikit-learn's, and their intervals hold what they promise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from loraexp.records.record import Record
from loraexp.results.classes import each, f1, macro_recall, of_counts, rare_error
from loraexp.results.tables import Table
from loraexp.stats.significance import wilson_interval

MakeRecord = Callable[..., Record]


def labelled(n: int = 400, classes: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True and predicted classes, half of them right, and their confusion."""
    generator = np.random.default_rng(5)
    true = generator.integers(classes, size=n)
    predicted = np.where(generator.random(n) < 0.5, true, generator.integers(classes, size=n))
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (true, predicted), 1)
    return true, predicted, counts


def by_label(table: Table) -> dict[object, dict[str, object]]:
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    return {row["label"]: row for row in rows}


def test_scores_of_each_class_are_scikit_learns_the_least_f1_first() -> None:
    true, predicted, counts = labelled()
    table = each("abcd", counts)
    precision, recall, scores, n = precision_recall_fscore_support(true, predicted)
    for at, label in enumerate("abcd"):
        row = by_label(table)[label]
        assert row["n"] == n[at]
        found = [row[name] for name in ("precision", "recall", "f1")]
        assert found == pytest.approx([precision[at], recall[at], scores[at]])
    assert [row[-2] for row in table.rows] == pytest.approx(sorted(scores))
    turned = by_label(each("abcd", counts.T))["c"]  # the control: whose row is whose column
    assert turned["precision"] == by_label(table)["c"]["recall"] != turned["recall"]


def test_intervals_are_wilsons_of_the_texts_of_one_run() -> None:
    _, _, counts = labelled()
    row, twice = (by_label(each("abcd", n * counts, n))["c"] for n in (1, 2))
    recall = counts[2, 2] / counts[2].sum()
    assert row["recall_95"] == wilson_interval(recall, counts[2].sum()).ends
    precision = counts[2, 2] / counts[:, 2].sum()
    assert row["precision_95"] == wilson_interval(precision, counts[:, 2].sum()).ends
    assert twice["recall_95"] == row["recall_95"]  # the same texts under two seeds
    pretended = by_label(each("abcd", 2 * counts))["c"]["recall_95"]
    assert pretended != row["recall_95"]


def test_interval_of_f1_holds_the_true_one_in_95_of_100_samples() -> None:
    """Of texts whose true positives, false positives and false negatives come as they come."""
    generator = np.random.default_rng(6)
    rates = np.array([0.10, 0.05, 0.08, 0.77])
    true = 2 * rates[0] / (2 * rates[0] + rates[1] + rates[2])
    drawn, numbers = np.unique(
        generator.multinomial(200, rates, size=4000), axis=0, return_counts=True
    )

    def held(ends: list[tuple[float, float]]) -> float:
        return float(np.average([low <= true <= high for low, high in ends], weights=numbers))

    ours = [f1(int(hits), int(hits + extra + missed), 1)[1] for hits, extra, missed, _ in drawn]
    assert 0.93 < held([one for one in ours if one]) < 0.975
    # the control: Wilson's of F1 as if it was a share of the texts that have the label
    scores = 2 * drawn[:, 0] / (2 * drawn[:, 0] + drawn[:, 1] + drawn[:, 2])
    plain = [
        wilson_interval(s, a + m).ends or (0, 1)
        for s, (a, _, m, _) in zip(scores, drawn, strict=True)
    ]
    assert not 0.93 < held(plain) < 0.975


def test_a_score_that_is_of_nothing_is_empty_and_last() -> None:
    rows = by_label(each("abc", np.array([[2, 0, 0], [1, 0, 0], [0, 0, 0]])))
    assert [*rows] == ["b", "a", "c"]
    assert rows["c"]["recall"] is rows["c"]["f1"] is rows["c"]["f1_95"] is None
    assert rows["b"]["precision"] is None
    assert rows["b"]["recall"] == 0.0


def test_rare_classes_are_those_of_twenty_train_texts_or_fewer(make_record: MakeRecord) -> None:
    def made(sizes: list[int] | None, **train: object) -> Record:
        record = make_record()
        test = {**record.metrics["test"], "confusion": [[148, 2], [50, 100]]}
        metrics = {**record.metrics, "test": test}
        metrics["train"] = {**metrics["train"], **train}
        data = record.data if sizes is None else {**record.data, "train_classes": sizes}
        return replace(record, metrics=metrics, data=data)

    assert macro_recall(made([90, 20])) == pytest.approx((148 / 150 + 100 / 150) / 2)
    assert rare_error(made([90, 20])) == pytest.approx(50 / 150)
    assert rare_error(made([20, 21])) == pytest.approx(2 / 150)
    assert rare_error(made([21, 21])) is None
    old = {"n": 1045, "confusion": [[1030, 0], [15, 0]]}
    assert rare_error(made(None, **old)) == pytest.approx(50 / 150)
    assert rare_error(made(None, **old | {"n": 1044})) is None  # a sample tells no sizes


def test_few_classes_have_a_matrix_many_their_pairs_and_all_a_row_each() -> None:
    few, many = (of_counts([*map(str, range(n))], np.ones((n, n), np.int64)) for n in (12, 13))
    assert few.matrix.rows
    assert not few.pairs.rows
    assert many.pairs.rows
    assert not many.matrix.rows
    assert [len(one.each.rows) for one in (few, many)] == [12, 13]
