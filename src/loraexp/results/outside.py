"""What needs no network, beside what was trained: words counted and a linear classifier, or always
the most frequent label, on the same texts and by the same tests."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from loraexp.results.arm_keys import SPLIT_KEYS
from loraexp.results.arms import Arm
from loraexp.results.paired import Comparison, best, by_split
from loraexp.results.tables import Cell
from loraexp.stats.crossed import p_of_difference
from loraexp.stats.significance import Correct, Interval, holm, wilson_interval

MAJORITY = "majority"
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C of logistic regression: the larger, the less held back


@dataclass(frozen=True)
class OutsideLine:
    """One classifier of a split's texts; it has no seed.

    Args:
        what: it is, in a few words.
        split: sha256 of the texts that it was trained, tuned and tested on.
        train_texts: how many it was trained on.
        tried: settings among which validation texts chose.
        parameters: that were fitted.
        accuracies: of train, validation and test texts.
        f1: of test texts, as in a record.
        true: classes of the test texts, in the split's order.
        predicted: the same as it gives them.
    """

    name: str
    what: str
    split: str
    train_texts: int
    tried: int
    parameters: int
    accuracies: Mapping[str, float]
    f1: float
    true: Sequence[int]
    predicted: Sequence[int]
    seconds: float

    @property
    def correct(self) -> Correct:
        """(texts,) whether each test text is labelled rightly."""
        return np.equal(self.true, self.predicted)

    @property
    def test(self) -> float:
        return float(self.correct.mean())

    @property
    def interval(self) -> Interval:
        """Of its test accuracy, over the texts."""
        return wilson_interval(self.test, len(self.true))


def beside_it(reference: Arm, lines: Sequence[OutsideLine]) -> list[Comparison]:
    """Each line against one arm that was tested on the same texts, by the tests that arms meet;
    Holm-corrected among themselves, so that no arm's p depends on whether lines are shown."""
    marks = np.stack([*reference.correct.values()])  # (seeds, texts)
    each = [np.broadcast_to(line.correct, marks.shape) for line in lines]
    ps = holm([p_of_difference(own, marks) for own in each])
    mean = float(marks.mean())
    return [Comparison(line.test - mean, p) for line, p in zip(lines, ps, strict=True)]


def of_arms(
    arms: Sequence[Arm], lines: Sequence[OutsideLine]
) -> Iterator[tuple[list[Arm], list[OutsideLine]]]:
    """The arms that were tested on the same texts, and the lines of just these."""
    for split, group in by_split(arms).items():
        if own := [line for line in lines if line.split == split and len(line.true) == group[0].n]:
            yield group, own


def line_rows(
    arms: Sequence[Arm],
    by: Sequence[str],
    lines: Sequence[OutsideLine],
    baseline: Arm | None,
    more: int,
) -> Iterator[list[Cell]]:
    """A row a line, with the columns that a comparison's arms have.

    Args:
        baseline: what arms are compared with; the best of them if None.
        more: columns that no line has anything for.
    """
    for group, own in of_arms(arms, lines):
        reference = baseline or best(group)
        # As among arms: the best of single runs is a lucky one, and no test of others against it.
        lucky = baseline is None and len(group) > 1 and len(reference.accuracies) == 1
        for line, against in zip(own, beside_it(reference, own), strict=True):
            if lucky:
                against = Comparison(against.difference, None, "one seed")
            yield [
                *row_name(line, group[0], by),
                *(line.tried, None, line.parameters, None),
                *(line.accuracies["validation"], line.test, None, None, line.interval.ends),
                *(against.difference, against.p, against.verdict),
                *[None] * more,
            ]


def row_name(line: OutsideLine, arm: Arm, by: Sequence[str]) -> list[Cell]:
    """What tells its texts, as arms say it; the line's own name under the first other key."""
    cells: list[Cell] = [
        value if key in SPLIT_KEYS else None for key, value in zip(by, arm.name, strict=True)
    ]
    at = next((place for place, key in enumerate(by) if key not in SPLIT_KEYS), None)
    if at is None:
        return [f"{cells[0]}, {line.name}", *cells[1:]]
    return [*cells[:at], line.name, *cells[at + 1 :]]


def how_lines(lines: Sequence[OutsideLine], named: bool = False) -> list[str]:
    """What they are and how they were found and compared; nothing without any."""
    if not lines:
        return []
    whats = [*dict.fromkeys(line.what for line in lines)]
    against = "the baseline" if named else "the best row"
    grid = ", ".join(f"{strength:g}" for strength in STRENGTHS)
    return [
        f"Without a network: {'; '.join(whats)}. TF-IDF with logistic regression on the runs' "
        f"training texts, its C of {grid} chosen by validation accuracy, then loss. p against "
        f"{against}, Holm-corrected among these."
    ]


def last_words(arms: Sequence[Arm], lines: Sequence[OutsideLine]) -> list[str]:
    """A sentence for each set of texts where a line is no worse than the best arm by more than
    chance; of several such lines validation texts choose. The best of single runs is a lucky one,
    against which it is no less true."""
    said = []
    for group, own in of_arms(arms, lines):
        top = best(group)
        pairs = [*zip(own, beside_it(top, own), strict=True)]
        equal = [pair for pair in pairs if not (pair[1].significant and pair[1].worse)]
        if not equal:
            continue
        line, against = max(equal, key=lambda pair: pair[0].accuracies["validation"])
        low, high = line.interval.ends or (line.test, line.test)
        does = "beats every row" if against.significant else "does as well as the best row"
        what = "Always the same label" if line.name == MAJORITY else "Counting words"
        mean = top.seeds.mean
        share = f"{line.test:.1%} of {len(line.true):,} test texts"
        ends = f"95 % over the texts: {low:.1%} to {high:.1%}"
        said.append(f"{what} {does}: {line.name} {share} ({ends}), the best row {mean:.1%}.")
    return said
