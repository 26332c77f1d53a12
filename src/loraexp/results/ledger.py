"""Published figures beside ours: what was said of GPT-2 as a classifier, and what our records say.

One run each. Rows of the source tutorial's bonus table ("additional experiments") and its
appendix E are of the SMS Spam Collection's balanced book split (1,045 + 149 + 300 texts); the
others say of what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from loraexp.records.record import Record
from loraexp.records.record_types import SPLITS
from loraexp.results.notes import train_notes
from loraexp.results.tables import Column, Table
from loraexp.stats.significance import Interval, next_run

Scores = tuple[float | None, float | None, float]  # train, validation, test accuracy in percent
TUTORIAL = "github.com/rasbt/LLMs-from-scratch"
# The tutorial measured whole batches of 8 in training, 130 of them.
SMS = {"train": 1040, "validation": 149, "test": 300}


@dataclass(frozen=True)
class Published:
    """One row: a name for it, and accuracies as printed, None where there is none.

    Args:
        sizes: texts of each split.
        source: where it stands.
        recipes: the folder of conf/experiment/ that has its recipe, traps included.
    """

    what: str
    scores: Scores
    sizes: Mapping[str, int] = field(default_factory=SMS.copy)
    source: str = f"{TUTORIAL}: ch06/02_bonus_additional-experiments, appendix-E"
    recipes: str = "book"

    @property
    def digits(self) -> int:
        """That it was printed with."""
        return 1 if self.recipes == "glue" else 2


def glue(task: str, accuracy: float, validation: int) -> Published:
    """Accuracy on a task's validation texts, our test texts: those of GLUE have no labels."""
    source = "github.com/tanganke/fusion_bench: docs/modelpool/gpt2_classification.md"
    return Published(
        f"GLUE {task}, full", (None, None, accuracy), {"test": validation}, source, "glue"
    )


# By row: conf/experiment/<recipes>/<row>.yaml is its recipe.
PUBLISHED = {
    "row01": Published("last block", (96.63, 99.33, 95.00)),
    "row02": Published("last block, first token", (78.46, 80.54, 75.00)),
    "row03": Published("head only", (78.65, 79.87, 72.00)),
    "row04": Published("last two blocks", (98.85, 98.66, 98.33)),
    "row05": Published("full", (99.62, 96.64, 96.67)),
    "row06": Published("355M, last block", (87.50, 91.28, 84.67)),
    "row07": Published("774M, last block", (99.52, 98.66, 96.67)),
    "row08": Published("1558M, last block", (99.81, 99.81, 98.33)),
    "row09": Published("1558M, full", (100.0, 98.66, 98.67)),
    "row10": Published("full, random weights", (100.0, 96.64, 93.67)),
    "row11": Published("LoRA r 16, alpha 16", (100.0, 97.32, 96.67)),
    "row12": Published("1558M, LoRA r 16, alpha 8", (100.0, 98.66, 98.33)),
    "row13": Published("padded to 1,024", (83.08, 87.92, 78.33)),
    "row14": Published("no padding, batch 1", (100.0, 98.66, 98.00)),
    "row15": Published("no padding, 8 x 1", (99.33, 98.66, 98.33)),
    "row16": Published("last real token", (99.42, 98.66, 98.33)),
    "row17": Published("no causal mask", (99.23, 98.66, 95.33)),
    "row19": Published("mean pooling", (97.79, 99.33, 96.33)),
    "appendix_e": Published("LoRA r 16, alpha / r", (99.81, 97.99, 96.67)),
    "imdb": Published(
        "IMDb, full",
        (95.64, 92.32, 91.88),
        {"train": 35_000, "validation": 5_000, "test": 10_000},
        f"{TUTORIAL}: ch06/03_bonus_imdb-classification",
    ),
    "cola": glue("CoLA", 76.8, 1043),
    "rte": glue("RTE", 65.3, 277),
    "mrpc": glue("MRPC", 80.4, 408),
    "sst2": glue("SST-2", 91.2, 872),
}
COLUMNS = (
    Column("row", "row", words=True),
    Column("what", "what", words=True),
    Column("published", "published train/val/test", words=True),
    Column("ours", "ours train/val/test", words=True),
    Column("published_test", "published", lambda score: f"{score:.2f}"),
    Column("test", "ours", lambda score: f"{score:.2f}"),
    Column("n", "n"),
    Column("interval", "next run, 95 %", words=True),
    Column("verdict", "verdict", words=True),
    Column("reason", "reason", words=True),
    Column("source", "source", words=True),
)
BRIEF = ("row", "what", "published_test", "test", "n", "interval", "verdict")


def impossible(published: Published) -> str | None:
    """The split whose published accuracy no whole number of its texts can give, if there is one."""
    for split, score in zip(SPLITS, published.scores, strict=True):
        if score is None:
            continue
        n, rounding = published.sizes[split], 0.5 * 10**-published.digits + 1e-6
        if min(abs(round(score / 100 * n + k) / n * 100 - score) for k in (-1, 0, 1)) > rounding:
            return split
    return None


def verdict(published: float, test: Interval, texts: int) -> str:
    """Would one more run of ours be expected to give the published test accuracy, in percent?

    It agrees inside the 95 % prediction interval over our seeds, widened by half a text.
    """
    if test.ends is None:
        return "one seed only"
    (low, high), half_text = test.ends, 50 / texts
    return "agrees" if low - half_text <= published <= high + half_text else "differs"


def ledger_table(records: Mapping[str, Sequence[Record]], reasons: Mapping[str, str]) -> Table:
    """One row for each published one.

    Args:
        records: by experiment, a run a seed.
        reasons: why an experiment was not run, where it has no record.
    """
    rows = []
    for name, published in PUBLISHED.items():
        known = [name, published.what, shown(published.scores)]
        wanted = published.scores[2]
        if not (runs := records.get(name)):
            rows.append(
                [*known, None, wanted, None, None, None, "not run", reasons[name], published.source]
            )
            continue
        ours = [[100 * run.metrics[split]["accuracy"] for run in runs] for split in SPLITS]
        test, texts = next_run(ours[2]), runs[0].metrics["test"]["n"]
        between = test.ends and f"{test.ends[0]:.1f} to {min(test.ends[1], 100):.1f}"
        cells = [
            test.mean,
            len(runs),
            between,
            verdict(wanted, test, texts),
            None,
            published.source,
        ]
        rows.append([*known, shown([*map(mean, ours)]), wanted, *cells])
    return Table(COLUMNS, rows)


def notes(kept: Mapping[str, Sequence[Record]], reasons: Mapping[str, str]) -> Iterator[str]:
    yield "Test accuracy in percent. A row agrees if one more run of ours might well give it."
    yield from train_notes([record for own in kept.values() for record in own])
    for source in dict.fromkeys(row.source for row in PUBLISHED.values()):
        first, *more = [name for name, row in PUBLISHED.items() if row.source == source]
        yield f"{first}{f' to {more[-1]}' if more else ''}: {source}."
    missing = {name: reason for name, reason in reasons.items() if not kept[name]}
    for reason in dict.fromkeys(missing.values()):
        names = ", ".join(name for name, own in missing.items() if own == reason)
        yield f"Not run, {reason}: {names}."
    for name, published in PUBLISHED.items():
        if split := impossible(published):
            score = published.scores[SPLITS.index(split)]
            n = published.sizes[split]
            yield f"{name}: no number of {n} {split} texts gives the published {score}."


def shown(scores: Sequence[float | None]) -> str:
    return " ".join("-" if score is None else f"{score:.2f}" for score in scores)
