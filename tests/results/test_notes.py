"""Beside scores stands of which label they are, and whether validation and test are of one kind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import fisher_exact

from loraexp.records.record import Record, read_record
from loraexp.report.markdown import as_markdown
from loraexp.report.pages import scores
from loraexp.report.report import report
from loraexp.results.comparison import findings
from loraexp.results.notes import score_notes, train_notes
from loraexp.runtime.escape import markdown_safe
from loraexp.stats.significance import p_of_two_shares, wilson_interval
from loraexp.sweeps.shown.summary import Summary

APART = "validation and test differ by more than chance"


def scored(record: Record, validation: tuple[float, int], test: tuple[float, int]) -> Record:
    metrics = dict(record.metrics)
    for split, (accuracy, n) in {"validation": validation, "test": test}.items():
        metrics[split] = metrics[split] | {"accuracy": accuracy, "n": n}
    return replace(record, metrics=metrics)


def all_outputs(records: list[Record], folder: Path) -> dict[str, str]:
    summary = Summary.of(records)
    made = report({folder / str(at): record for at, record in enumerate(records)}, ["method"])
    return {
        "run or sweep": "\n".join([summary.text, *summary.notes()]),
        "table": "\n".join(findings(records, ["method"]).notes),
        "report": as_markdown(made, "pictures"),
    }


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["ham", "spam"], "F1, precision, recall are those of 'spam'."),
        (["spam", "ham"], "F1, precision, recall are those of 'ham'."),
        (["a", "b", "c"], "F1, precision, recall are means over the classes."),
        (["ok", "a\x1b[2J"], r"F1, precision, recall are those of 'a\x1b[2J'."),
    ],
)
@pytest.mark.parametrize("seeds", [1, 3])
def test_every_output_says_once_of_which_label_the_scores_are(
    labels: list[str], said: str, seeds: int, make_record: Any, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"labels": labels, "mistakes": []}
    if len(labels) > 2:
        metrics = make_record().metrics
        confusion = {"confusion": [[100, 0, 0], [0, 100, 0], [0, 0, 100]]}
        changes["metrics"] = {split: m | confusion for split, m in metrics.items()}
    records = [make_record({"seed": seed}, **changes) for seed in range(seeds)]
    for name, text in all_outputs(records, tmp_path).items():
        assert text.count(markdown_safe(said) if name == "report" else said) == 1, name


def test_runs_of_several_data_sets_name_each_label(make_record: Any) -> None:
    records = [make_record(), make_record(labels=["no", "yes"]), make_record()]
    assert [*score_notes(records)] == [
        "F1, precision, recall are those of 'spam' or those of 'yes', by the data."
    ]
    assert [*score_notes([])] == []


@pytest.mark.parametrize("seeds", [1, 3])
def test_validation_and_test_of_two_kinds_are_warned_of_everywhere(
    seeds: int, make_record: Any, tmp_path: Path
) -> None:
    records = [
        scored(make_record({"seed": seed}), (0.894, 955), (0.625, 784)) for seed in range(seeds)
    ]
    for name, text in all_outputs(records, tmp_path).items():
        words = " ".join(text.split())  # lines for a terminal are cut between them
        assert f"Warning: {APART}" in words, name
        assert "are they of one kind?" in words, name
    (_, line) = score_notes(records[:1])
    assert line == (
        f"Warning: {APART}: are they of one kind? 89.4% of 955 validation texts are labelled "
        "rightly, 62.5% of 784 test texts (Fisher's exact test)."
    )
    if seeds > 1:
        assert f"{APART} in 3 of 3 runs" in all_outputs(records, tmp_path)["table"]


@pytest.mark.parametrize(
    ("validation", "test"),
    [((0.92, 50), (0.82, 100)), ((0.96, 149), (0.95, 300)), ((1.0, 8), (0.75, 8))],
)
def test_what_chance_does_is_not_warned_of(
    validation: tuple[float, int], test: tuple[float, int], make_record: Any, tmp_path: Path
) -> None:
    records = [scored(make_record(), validation, test)]
    for text in all_outputs(records, tmp_path).values():
        assert APART not in text


def test_one_of_many_runs_must_differ_by_more(make_record: Any) -> None:
    off = scored(make_record(), (0.95, 200), (0.88, 200))
    same = scored(make_record(), (0.9, 200), (0.9, 200))
    assert len([*score_notes([off])]) == 2
    assert len([*score_notes([off, *[same] * 19])]) == 1


def test_p_of_two_shares_is_fishers() -> None:
    table = [[854, 490], [101, 294]]
    assert p_of_two_shares((0.894, 955), (0.625, 784)) == fisher_exact(table).pvalue
    assert p_of_two_shares((0.5, 10), (0.5, 10)) == pytest.approx(1.0)


def test_a_score_that_is_not_defined_is_read_and_shown_empty(
    make_record: Any, tmp_path: Path
) -> None:
    metrics = make_record().metrics
    none = dict.fromkeys(("f1", "precision", "recall", "auroc"))
    record = replace(make_record(), metrics={split: m | none for split, m in metrics.items()})
    record.write(tmp_path)
    assert json.loads((tmp_path / "record.json").read_text())["metrics"]["test"]["f1"] is None
    assert read_record(tmp_path).metrics == record.metrics
    for text in all_outputs([record], tmp_path).values():
        assert "None" not in text
        assert "nan" not in text


def test_warnings_of_the_data_are_facts_of_a_report(make_record: Any, tmp_path: Path) -> None:
    record = make_record()
    warned = replace(record, data=record.data | {"warnings": ["no test text has the label 'c'"]})
    assert "no test text has the label 'c'" in all_outputs([warned], tmp_path)["report"]
    assert "warning" not in all_outputs([record], tmp_path)["report"].lower()


def of_train(record: Record, accuracy: float, n: int, all_of_them: int = 1680) -> Record:
    metrics = {**record.metrics, "train": {**record.metrics["train"], "accuracy": accuracy, "n": n}}
    sizes = {**record.data["n"], "train": all_of_them}
    return replace(record, metrics=metrics, data={**record.data, "n": sizes})


def test_train_accuracy_of_a_sample_says_of_how_many_and_how_far_off(make_record: Any) -> None:
    whole, some = of_train(make_record(), 0.95, 1680), of_train(make_record(), 0.95, 300)
    assert [*train_notes([])] == [*train_notes([whole])] == []
    low, high = wilson_interval(0.95, 300).ends or (0, 0)
    (line,) = train_notes([some])
    assert line == (
        "Train accuracy is of 300 of 1,680 train texts "
        f"(95 % over the texts: {low:.1%} to {high:.1%})."
    )
    points = f"at most {50 * (high - low):.1f} points either way"
    better = of_train(make_record(), 0.99, 300)
    (line,) = train_notes([better, some, whole])
    assert line == f"Train accuracy is of 300 of 1,680 train texts (95 % over the texts: {points})."
    (line,) = train_notes([some, of_train(make_record(), 0.95, 800, 10_000)])
    assert line.startswith("Train accuracy is of 300 to 800, not of all train texts (")
    assert line in Summary.of([some, of_train(make_record(), 0.95, 800, 10_000)]).notes()


def test_a_page_has_an_interval_beside_each_accuracy(make_record: Any) -> None:
    table = scores(of_train(make_record(), 0.95, 200).metrics)
    at, n = (table.header.index(name) for name in ("accuracy_95", "n"))
    assert [row[n] for row in table.rows] == [200, 300, 300]
    assert table.rows[0][at] == wilson_interval(0.95, 200).ends
