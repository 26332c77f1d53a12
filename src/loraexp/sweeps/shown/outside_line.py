"""What no GPT-2 is needed for: words counted and a linear classifier, beside a choice."""

from collections.abc import Sequence

from loraexp.data.splits import TextData
from loraexp.stats.significance import wilson_interval

STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C: validation texts choose


def outside_line(data: TextData) -> str:
    """Test accuracy of TF-IDF and logistic regression on the same texts, in a line."""
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        return "Outside line: pip install scikit-learn shows TF-IDF + logistic regression here."
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    try:
        train = words.fit_transform(data.train.texts)  # (texts, words)
    except ValueError:  # no text has a word
        return "Outside line: no text has a word for TF-IDF to count."
    right = accuracies(train, data, words)
    interval = wilson_interval(right, len(data.test))
    return (
        f"Outside line: TF-IDF + logistic regression labels {right:.1%} of them rightly "
        f"(95 % over texts: {interval.low:.1%} to {interval.high:.1%}), on a CPU in seconds."
    )


def accuracies(train: object, data: TextData, words: object) -> float:
    """Of the test texts, by the strength that does best on the validation texts."""
    from sklearn.linear_model import LogisticRegression

    models = [
        LogisticRegression(C=c, max_iter=1000).fit(train, data.train.classes) for c in STRENGTHS
    ]

    def score(model: object, texts: Sequence[str], classes: Sequence[int]) -> float:
        return float(model.score(words.transform(texts), classes))  # type: ignore[attr-defined]

    best = max(models, key=lambda m: score(m, data.validation.texts, data.validation.classes))
    return score(best, data.test.texts, data.test.classes)
