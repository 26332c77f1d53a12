"""`make base-report`: what the embedded base is worth, over five seeds, beside lines from outside.

Every run leaves its folder in outputs/train, so a report that was cut short goes on. An arm's
learning rate is chosen on the validation texts, with a seed of its own.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from loraexp.api import configure
from loraexp.config.schema import TrainConfig
from loraexp.data.splits import TextData, load_data
from loraexp.results.tables import Column, Table, to_terminal
from loraexp.runtime.hardware import device_name, versions
from loraexp.training.run import train

TUNING_SEED = 100
COLUMNS = [
    Column("data", "data", words=True),
    Column("arm", "arm", words=True),
    Column("lr", "lr"),
    Column("trainable", "trainable", lambda v: f"{v:,}"),
    Column("accuracy", "test accuracy", lambda v: f"{v:.2%}"),
    Column("interval", "95 % interval", words=True),
    Column("n", "n"),
    Column("seconds", "s a run", lambda v: f"{v:.0f}"),
]

Arms = dict[str, tuple[tuple[str, ...], tuple[float, ...]]]


@dataclass(frozen=True)
class Task:
    """A data set, how long to train on it, and the arms to compare there.

    Args:
        data: overrides that all arms share.
        arms: name to overrides and the learning rates to choose from.
    """

    data: tuple[str, ...]
    arms: Arms


def pooled(arms: Arms) -> Arms:
    """Each arm twice: pooled at the last token, as GPT-2 usually is, and as the mean."""
    return {
        f"{arm}, {words}": ((*overrides, f"head.pooling={pooling}"), rates)
        for pooling, words in (("last_token", "last token"), ("mean", "mean"))
        for arm, (overrides, rates) in arms.items()
    }


RANDOM = ("model.weights=random", "model.tokenizer=embedded")
LORA, HEAD, FULL = (2e-3, 4e-3, 8e-3), (1e-2, 3e-2, 1e-1), (2e-4, 5e-4, 1e-3, 2e-3)
BANKING = "${oc.env:LORAEXP_DATA_DIR}/text_classification/banking77"
# Found by cross-validation within the 1,194 training and validation messages of the book split.
RECIPE = (
    "lora.target_modules=all-linear",
    "lora.dropout=0.1",
    "optim.schedule=cosine",
    "trainer.keep=last",
)
TASKS = {
    "sms_spam, book split": Task(
        ("data=sms_spam", *RECIPE, "data.batch_size=16", "trainer.max_epochs=8"),
        pooled(
            {
                "lora r=8": (("lora.rank=8",), LORA),
                "lora r=8, random weights": (("lora.rank=8", *RANDOM), LORA),
                "full": (("method=full",), FULL),
                "head": (("method=head",), HEAD),
            }
        ),
    ),
    "sms_demo": Task(
        (
            *("data=sms_demo", "head.pooling=mean", *RECIPE),
            *("data.batch_size=16", "trainer.max_epochs=8"),
        ),
        {f"lora r={rank}": ((f"lora.rank={rank}",), LORA[:1]) for rank in (1, 2, 4, 8, 16)},
    ),
    "banking77": Task(
        (
            *("data=csv", f"data.path={BANKING}", "data.label_column=category", *RECIPE),
            *("data.batch_size=32", "trainer.max_epochs=4"),
        ),
        pooled(
            {
                "lora r=16": (("lora.rank=16",), LORA[:2]),
                "head": (("method=head",), HEAD[1:]),
            }
        ),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*", help="for every run, as after `train`")
    options = parser.parse_args()
    lines = []
    for name in options.tasks:
        for line in report(name, TASKS[name], options):
            print(f"{line['data']}: {line['arm']}: {line['accuracy']:.4f}", flush=True)
            lines.append(line)
    rows = [[line[column.name] for column in COLUMNS] for line in lines]
    print(to_terminal(Table(COLUMNS, rows)))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        head = {"device": device_name("cpu", 1), "versions": versions()}
        options.out.write_text(json.dumps({**head, "lines": lines}, indent=2) + "\n")


def report(name: str, task: Task, options: argparse.Namespace) -> Iterator[dict[str, object]]:
    seeds, more = options.seeds, options.overrides
    first = configure(*task.data, "logger=none", *more)
    for kind in ("word", "char_wb"):
        accuracy = tfidf(load_data(first.data), kind)
        yield line(name, f"TF-IDF of {kind}s + logistic regression", [accuracy])
    for arm, (overrides, rates) in task.arms.items():
        if options.arms and arm not in options.arms:
            continue
        config = configure(*task.data, "logger=none", *more, *overrides)
        lr = max(rates, key=lambda lr: validation(config, lr)) if len(rates) > 1 else rates[0]
        records = [train(with_lr(replace(config, seed=seed), lr)) for seed in range(seeds)]
        yield line(
            name,
            arm,
            [record.metrics["test"]["accuracy"] for record in records],
            lr=lr,
            trainable=records[0].counts["trainable"],
            seconds=mean(record.seconds["total"] for record in records),
        )


def validation(config: TrainConfig, lr: float) -> tuple[float, float]:
    """Accuracy, then loss: more is better in both."""
    metrics = train(with_lr(replace(config, seed=TUNING_SEED), lr)).metrics["validation"]
    return metrics["accuracy"], -metrics["loss"]


def with_lr(config: TrainConfig, lr: float) -> TrainConfig:
    return replace(config, optim=replace(config.optim, lr=lr))


def tfidf(data: TextData, kind: str) -> float:
    """Test accuracy of the usual outside line: words, or characters 2 to 5 at a time."""
    ngrams = (1, 2) if kind == "word" else (2, 5)
    vectors = TfidfVectorizer(analyzer=kind, ngram_range=ngrams, sublinear_tf=True)
    model = make_pipeline(vectors, LogisticRegression(C=10, max_iter=1000))
    model.fit(data.train.texts, data.train.classes)
    return float(model.score(data.test.texts, data.test.classes))


def line(name: str, arm: str, accuracies: list[float], **more: object) -> dict[str, object]:
    """A row of the report, with Student's t interval over the seeds."""
    n, middle = len(accuracies), mean(accuracies)
    half = stats.t.ppf(0.975, n - 1) * stats.sem(accuracies) if n > 1 else None
    interval = None if half is None else f"{middle - half:.2%} to {middle + half:.2%}"
    known = {"data": name, "arm": arm, "accuracy": middle, "interval": interval, "n": n}
    return {
        **known,
        "accuracies": accuracies,
        "lr": None,
        "trainable": None,
        "seconds": None,
        **more,
    }


if __name__ == "__main__":
    main()
