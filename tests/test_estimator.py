"""LoraClassifier is a classifier to scikit-learn: its own checks, its grids and its folds."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from loraexp import LoraClassifier

TEXTS = [f"{words} {n}" for n in range(8) for words in ("see you at", "win a prize", "pay now")]
LABELS = np.array(["ham", "spam", "spam"] * 8)
KEYS = ("trainer.precision=fp32", "trainer.accelerator=cpu", "trainer.train_metrics=sample")
# scikit-learn's checks that feed no numbers.
APPLY = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_estimators_unfitted",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


def classifier(outputs: Path, **settings: Any) -> LoraClassifier:
    given = {"model": "tiny", "rank": 2, "epochs": 1, "keys": KEYS, "output_dir": str(outputs)}
    return LoraClassifier(**{**given, **settings})


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def fitted(outputs: Path) -> LoraClassifier:
    return classifier(outputs).fit(TEXTS, LABELS)


@pytest.mark.parametrize("check", APPLY)
def test_it_passes_each_check_of_scikit_learn_that_needs_no_numbers(check: str) -> None:
    estimator = LoraClassifier()
    getattr(estimator_checks, check)("LoraClassifier", estimator)


class OfNumbers(LoraClassifier):
    """The same of rows of numbers, each written out as a text: what scikit-learn's checks feed."""

    def fit(self, X: Any, y: Any) -> "OfNumbers":
        if y is None:
            super().fit([], y)
        X, y = validate_data(self, X, y, multi_output=True, dtype=None)
        return super().fit(written(X), y)

    def predict_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return super().predict_proba(written(validate_data(self, X, reset=False, dtype=None)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
        return tags


def written(X: Any) -> list[str]:
    return [" ".join(f"{cell}"[:4] for cell in row) for row in X]


# What it cannot pass, and why.
CANNOT = {
    "check_classifiers_train": "a tiny base with random weights is no good classifier of anything",
}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_it_passes_scikit_learns_checks_where_numbers_are_written_as_texts(tmp_path: Path) -> None:
    estimator = OfNumbers(**classifier(tmp_path).get_params())
    ran = estimator_checks.check_estimator(
        estimator, expected_failed_checks=CANNOT, on_skip=None, on_fail=None
    )
    failed = {one["check_name"]: str(one["exception"]) for one in ran if one["status"] == "failed"}
    assert failed == {}
    assert sum(one["status"] == "passed" for one in ran) > 40
    assert {one["check_name"] for one in ran if one["status"] == "xfail"} == CANNOT.keys()


def test_scikit_learn_itself_skips_the_others_for_texts_are_no_matrix() -> None:
    with pytest.warns(SkipTestWarning, match="requires input"):
        ran = estimator_checks.check_estimator(LoraClassifier(), on_skip="warn")
    assert not [one for one in ran if one["status"] == "failed"]


def test_chances_are_of_the_classes_in_order_and_labels_the_likeliest(
    fitted: LoraClassifier,
) -> None:
    chances = fitted.predict_proba(TEXTS)
    assert list(fitted.classes_) == ["ham", "spam"]
    assert chances.shape == (24, 2)
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-12)
    assert list(fitted.predict(TEXTS)) == list(fitted.classes_[chances.argmax(1)])
    direct = fitted._loaded.predictor.probabilities(TEXTS[:2])
    spam = fitted._loaded.predictor.labels.index("spam")
    np.testing.assert_allclose(chances[:2, 1], direct[:, spam], rtol=1e-6)
    assert fitted.predict_proba([]).shape == (0, 2)


def test_chances_do_not_depend_on_order_or_company(fitted: LoraClassifier) -> None:
    all_together = fitted.predict_proba(TEXTS)
    backwards = fitted.predict_proba(np.array(TEXTS[::-1], dtype=object))
    np.testing.assert_allclose(all_together, backwards[::-1], atol=1e-6)
    np.testing.assert_allclose(all_together[:1], fitted.predict_proba(TEXTS[:1]), atol=1e-6)


def test_the_same_fit_is_found_and_another_is_another(
    outputs: Path, fitted: LoraClassifier
) -> None:
    before = {file: file.stat().st_mtime_ns for file in outputs.rglob("record.json")}
    again = clone(fitted).fit(TEXTS, LABELS)
    assert again.run_ == fitted.run_
    assert {file: file.stat().st_mtime_ns for file in outputs.rglob("record.json")} == before
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert clone(fitted).set_params(random_state=1).fit(TEXTS, LABELS).run_ != fitted.run_


def test_it_survives_a_pickle_without_its_tensors(fitted: LoraClassifier) -> None:
    expected = fitted.predict_proba(TEXTS[:3])
    content = pickle.dumps(fitted)
    assert len(content) < 2000
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(TEXTS[:3]), expected)


def test_labels_may_be_numbers_that_words_would_order_otherwise(outputs: Path) -> None:
    labels = np.array([10, 9, 9] * 8)
    found = classifier(outputs).fit(TEXTS, labels)
    assert list(found.classes_) == [9, 10]
    assert set(found.predict(TEXTS)) <= {9, 10}
    assert found.predict(TEXTS).dtype == labels.dtype


def test_folds_take_it(outputs: Path) -> None:
    folds = cross_val_score(classifier(outputs), TEXTS, LABELS, cv=2)
    assert folds.shape == (2,)
    assert np.isfinite(folds).all()


@pytest.mark.slow
def test_grids_and_pipelines_take_it_and_find_what_folds_trained(outputs: Path) -> None:
    folds = cross_val_score(classifier(outputs), TEXTS, LABELS, cv=2)
    before = len([*outputs.rglob("record.json")])
    pipeline = make_pipeline(FunctionTransformer(lambda texts: [*texts]), classifier(outputs))
    grid = GridSearchCV(pipeline, {"loraclassifier__rank": [2, 3]}, cv=2, error_score="raise")
    grid.fit(TEXTS, LABELS)
    assert grid.cv_results_["split0_test_score"][0] == folds[0]
    assert len([*outputs.rglob("record.json")]) <= before + 3  # two of rank 3, and the best
    assert grid.predict(["win"])[0] in LABELS


@pytest.mark.parametrize(
    ("X", "y", "says"),
    [
        ("one text", ["a"], "several texts, got one"),
        ([["a"], ["b"]], ["a", "b"], "got a row of a matrix at place 0"),
        (["a", None], ["a", "b"], "got a NoneType at place 1"),
        (np.zeros((4, 2)), [0, 1, 0, 1], "got a row of a matrix"),
        (["a", "b"], ["a"], r"y must have 2 labels in one row, got \(1,\)"),
        (["a", "b"], ["a", "a"], "y has 1 class"),
    ],
)
def test_what_is_no_text_is_a_value_error(X: Any, y: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        classifier(tmp_path).fit(X, y)


def test_before_a_fit_it_predicts_nothing() -> None:
    with pytest.raises(NotFittedError):
        LoraClassifier().predict(["a"])
