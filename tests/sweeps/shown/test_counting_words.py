"""Lines without a network: fitted to a run's own texts, tuned on validation texts alone."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from in_process import command
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline

from loraexp.config.schema import Data, TrainConfig
from loraexp.data.splits import Split, TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record import read_record
from loraexp.results.outside import STRENGTHS
from loraexp.runs.naming import run_name
from loraexp.sweeps.shown import counting_words
from loraexp.sweeps.shown.counting_words import f1, lines_of, lines_on


@pytest.fixture(scope="module")
def data() -> TextData:
    return load_data(Data(limit=24))


def test_a_line_is_the_strength_that_validation_texts_choose(data: TextData) -> None:
    majority, words, chars = lines_on(data)
    assert majority.accuracies == dict.fromkeys(("train", "validation", "test"), 0.5)
    for line, options in ((words, ("word", (1, 2))), (chars, ("char_wb", (2, 5)))):
        fitted = [
            make_pipeline(
                TfidfVectorizer(sublinear_tf=True, analyzer=options[0], ngram_range=options[1]),
                LogisticRegression(C=c, max_iter=1000),
            ).fit(data.train.texts, data.train.classes)
            for c in STRENGTHS
        ]
        on_validation = [m.score(data.validation.texts, data.validation.classes) for m in fitted]
        assert line.accuracies["validation"] == max(on_validation)
        found = [m for m, s in zip(fitted, on_validation, strict=True) if s == max(on_validation)]
        predictions = [m.predict(data.test.texts).tolist() for m in found]
        assert line.predicted in predictions
        assert line.split == data.sha256


def test_test_labels_choose_nothing(data: TextData) -> None:
    turned = replace(data, test=Split(data.test.texts, [1 - c for c in data.test.classes]))
    for line, other in zip(lines_on(data), lines_on(turned), strict=True):
        assert line.predicted == other.predicted
        assert line.test == pytest.approx(1 - other.test)


@pytest.mark.parametrize(
    ("true", "predicted", "classes"),
    [([0, 1, 1, 0, 1], [0, 1, 0, 1, 1], 2), ([0, 2, 2, 0, 1], [2, 2, 0, 0, 3], 4), ([0], [0], 2)],
)
def test_f1_is_that_of_records(true: list[int], predicted: list[int], classes: int) -> None:
    one = {"average": "binary"} if classes == 2 else {"average": "macro", "labels": sorted({*true})}
    assert f1(true, predicted, classes) == pytest.approx(
        f1_score(true, predicted, zero_division=0, **one)
    )


def test_a_table_of_runs_has_the_lines_of_their_texts(finished: Path, tmp_path: Path) -> None:
    typed = ("table", f"runs=[{finished}]", "format=csv")
    status, out, err = command(tmp_path, *typed, "baselines=true")
    assert status == 0, err
    names = [row.split(",")[0] for row in out.splitlines()[1:]]
    assert names == ["lora", "majority", "TF-IDF words", "TF-IDF chars"]
    assert "chosen by validation accuracy, then loss" in err
    assert command(tmp_path, *typed)[1].splitlines() == out.splitlines()[:2]


def test_texts_that_are_others_now_have_no_line(
    finished: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = read_record(finished)
    other = replace(record, hashes=record.hashes | {"split": "f" * 64})
    some = {**record.config, "trainer": {**record.config["trainer"], "limit_batches": 1}}
    with caplog.at_level(logging.WARNING, "loraexp"):
        assert lines_of([other]) == []
        assert lines_of([replace(record, config=some)]) == []
    assert "no baselines of split ffffffff: its texts are others now" in caplog.text
    assert "limit_batches left out" in caplog.text
    assert len(lines_of([record, record])) == 3


def test_without_scikit_learn_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting_words, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs scikit-learn: pip install 'loraexp\[sklearn\]'"):
        lines_of([])
    for more in ((), ("seed=0,1", "-m")):
        status, _, err = command(tmp_path, "train", "debug=fast", "baselines=true", *more)
        assert (status, [*tmp_path.glob("outputs/train/*/record.json")]) == (2, [])
        assert "loraexp[sklearn]" in err


def test_baselines_name_no_other_run() -> None:
    assert run_name(TrainConfig(baselines=True)) == run_name(TrainConfig())
    assert run_name(TrainConfig(seed=1)) != run_name(TrainConfig())
