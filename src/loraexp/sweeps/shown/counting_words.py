"""What no GPT-2 is needed for: the lines outside of it, fitted to the texts of runs.

The most frequent label, and TF-IDF (of words; of characters inside words) with logistic regression,
by scikit-learn. Each is trained on a run's training texts, and its strength C is the one that does
best on its validation texts: by accuracy, then by loss.
"""

import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import numpy as np

from loraexp.config.schema import Data, TrainConfig
from loraexp.config.stored import from_dict
from loraexp.data.splits import Split, TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.records.record_types import SPLITS
from loraexp.results.outside import MAJORITY, STRENGTHS, OutsideLine
from loraexp.runtime.escape import printable

log = logging.getLogger("loraexp")
# By name: what is counted, and scikit-learn's words for it.
COUNTED: dict[str, tuple[str, dict[str, Any]]] = {
    "TF-IDF words": ("one and two", {"analyzer": "word", "ngram_range": (1, 2)}),
    "TF-IDF chars": ("2 to 5 inside words", {"analyzer": "char_wb", "ngram_range": (2, 5)}),
}


def check_scikit_learn() -> None:
    """Raises:
    UserError: it is not installed.
    """
    if find_spec("sklearn") is None:
        raise UserError("baselines=true needs scikit-learn: pip install 'loraexp[sklearn]'")


def lines_of(records: Sequence[Record]) -> list[OutsideLine]:
    """The lines of each split of these runs, as far as its texts are here and as they were.

    Raises:
        UserError: no scikit-learn.
    """
    check_scikit_learn()
    lines: list[OutsideLine] = []
    for split, record in {record.hashes["split"]: record for record in records}.items():
        try:
            data = same_texts(from_dict(TrainConfig, record.config).data, record)
        except UserError as error:
            log.warning(f"warning: no baselines of split {split[:8]}: {printable(str(error))}")
        else:
            lines += lines_on(data)
    return lines


def same_texts(config: Data, record: Record) -> TextData:
    """The texts of a run, all of which it was measured on.

    Raises:
        UserError: they are not here, are others now, or were not all used.
    """
    data = load_data(config)
    if data.sha256 != record.hashes["split"]:
        raise UserError("its texts are others now")
    if record.config["trainer"]["limit_batches"] is not None:
        raise UserError("trainer.limit_batches left out some texts of its runs")
    return data


def lines_on(data: TextData) -> Iterator[OutsideLine]:
    """The lines of a data set's splits, the plainest first."""
    yield most_frequent(data)
    for name, (what, counted) in COUNTED.items():
        try:
            yield counting(data, name, what, counted)
        except ValueError as error:  # no text has a word, or training texts are of one class
            log.warning(f"warning: no {name}: {printable(str(error))}")


def most_frequent(data: TextData) -> OutsideLine:
    started = perf_counter()
    counts = Counter(data.train.classes)
    label = max(counts, key=lambda one: (counts[one], -one))
    predicted = {split: [label] * len(data[split]) for split in SPLITS}
    return told(data, MAJORITY, "majority (the most frequent label)", 1, 0, predicted, started)


def counting(data: TextData, name: str, what: str, counted: dict[str, Any]) -> OutsideLine:
    """Raises:
    ValueError: texts or labels that it cannot be fitted to.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    started = perf_counter()
    vectors = TfidfVectorizer(sublinear_tf=True, **counted)
    features = {"train": vectors.fit_transform(data.train.texts)}  # (texts, terms)
    features |= {split: vectors.transform(data[split].texts) for split in SPLITS[1:]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # validation texts judge it as it is
        models = [
            LogisticRegression(C=c, max_iter=1000).fit(features["train"], data.train.classes)
            for c in STRENGTHS
        ]
    model = max(models, key=lambda one: goodness(one, features["validation"], data.validation))
    fitted = model.coef_.size + model.intercept_.size
    predicted = {split: model.predict(features[split]).tolist() for split in SPLITS}
    return told(data, name, f"{name} ({what})", len(STRENGTHS), fitted, predicted, started)


def goodness(model: Any, features: Any, split: Split) -> tuple[float, float]:
    """Accuracy, then less loss; a class that it has never seen has no chance."""
    chances = model.predict_proba(features)  # (texts, classes it knows)
    column = {label: at for at, label in enumerate(model.classes_)}
    of_true = [
        own[column[label]] if label in column else 0.0
        for own, label in zip(chances, split.classes, strict=True)
    ]
    right = model.classes_[chances.argmax(axis=1)] == np.array(split.classes)
    return float(right.mean()), float(np.log(np.maximum(of_true, 1e-12)).mean())


def told(
    data: TextData,
    name: str,
    what: str,
    tried: int,
    fitted: int,
    predicted: dict[str, list[int]],
    started: float,
) -> OutsideLine:
    accuracies = {
        split: float(np.equal(predicted[split], data[split].classes).mean()) for split in SPLITS
    }
    true = data.test.classes
    return OutsideLine(
        name=name,
        what=what,
        split=data.sha256,
        train_texts=len(data.train),
        tried=tried,
        parameters=fitted,
        accuracies=accuracies,
        f1=f1(true, predicted["test"], len(data.labels)),
        true=true,
        predicted=predicted["test"],
        seconds=perf_counter() - started,
    )


def f1(true: Sequence[int], predicted: Sequence[int], classes: int) -> float:
    """Of the second of two classes; of more the mean over those that have a text."""
    from sklearn.metrics import f1_score

    labels = [1] if classes == 2 else sorted({*true})
    return float(f1_score(true, predicted, labels=labels, average="macro", zero_division=0))


def in_a_sentence(data: TextData) -> str:
    """The line that does best on validation texts, for who asks what a choice is worth."""
    if find_spec("sklearn") is None:
        return "Outside line: pip install 'loraexp[sklearn]' shows TF-IDF here."
    line = max(lines_on(data), key=lambda one: one.accuracies["validation"])
    low, high = line.interval.ends or (line.test, line.test)
    return (
        f"Outside line: {line.name} + logistic regression labels {line.test:.1%} of them rightly "
        f"(95 % over texts: {low:.1%} to {high:.1%}), on a CPU in seconds."
    )
