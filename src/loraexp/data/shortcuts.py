"""Shortcuts by rule: a trait of texts that is not what they say, and yet tells the label, except in
the test texts. A model takes it, validation praises it for that, and the test does not.

Each trait makes one rule (Holte 1993, "1R"): to each of its values the label that it mostly has in
half of the train texts. What the rule is worth is seen on the other half and on validation.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from loraexp.records.record_types import SPLITS

Texts = tuple[Sequence[str], Sequence[int]]  # and their classes
Counts = NDArray[np.int64]

LEVEL, NAMED = 0.001, 3  # of both tests, each Bonferroni-corrected; of many the worst
MOST, WORDS = 4_000, 50  # as many texts of a split, and words of a text, are looked at
TRAITS: dict[str, Callable[[str], object]] = {
    "white space at the ends": lambda text: (*text.split(text.strip() or None, 1),),
    "upper and lower case": lambda text: (text.isupper(), text.islower(), text[:1].isupper()),
}


@dataclass(frozen=True)
class Rule:
    """What one trait's rule comes to: of the seen texts of C classes and of the test's, how many
    there are and how many it labels rightly, all (C,)."""

    trait: str
    seen: Counts
    seen_right: Counts
    test: Counts
    test_right: Counts

    @property
    def shares(self) -> tuple[float, float, float]:
        """Right of seen, right of test, and by always the same label, were the classes of both as
        frequent as of the seen: so a test of other proportions is not held against a rule."""
        both = (self.seen > 0) & (self.test > 0)
        weights = self.seen[both] / self.seen[both].sum()
        seen = float(weights @ (self.seen_right[both] / self.seen[both]))
        test = float(weights @ (self.test_right[both] / self.test[both]))
        return seen, test, float(weights.max())

    @property
    def p_by_chance(self) -> float:
        """That always the same label were right as often on the seen: binomial, one-sided."""
        n, right = int(self.seen.sum()), int(self.seen_right.sum())
        chance = self.seen.max() / n
        if right <= chance * n or chance == 1:
            return 1.0
        log, k = log_factorials(n), np.arange(right, n + 1)
        terms = log[n] - log[k] - log[n - k] + k * math.log(chance) + (n - k) * math.log1p(-chance)
        return float(min(1.0, np.exp(terms).sum()))

    @property
    def p_as_good_on_test(self) -> float:
        """That within each class it is right as often on the test: Cochran, Mantel and Haenszel's
        test over the classes, one-sided, with continuity correction."""
        n, right = self.seen + self.test, self.seen_right + self.test_right
        share = self.test / np.maximum(n, 1)
        variance = share * (1 - share) * right * (n - right) / np.maximum(n - 1, 1)
        if not variance.sum():
            return 1.0
        below = (share * right - self.test_right).sum() - 0.5
        return math.erfc(float(below / math.sqrt(2 * variance.sum()))) / 2


def shortcuts(splits: Mapping[str, Texts]) -> list[str]:
    """Those that train and validation have and test has not, a line each, the worst first."""
    if min(len(texts) for texts, _ in splits.values()) == 0:
        return []
    train, validation, test = (some(*splits[n]) for n in SPLITS)
    half, other = ((train[0][at::2], train[1][at::2]) for at in (0, 1))
    seen = ([*other[0], *validation[0]], [*other[1], *validation[1]])
    rules = [*rules_of(half, seen, test, 1 + max(*half[1], *seen[1], *test[1]))]
    good = [rule for rule in rules if rule.p_by_chance * len(rules) < LEVEL]
    lines = []
    for rule in good:
        if rule.p_as_good_on_test * len(good) < LEVEL:
            there, gone, same = rule.shares
            if gone - same < (there - same) / 2:
                line = (
                    f"a shortcut: {rule.trait} alone gives the label of {there:.0%} of train and "
                    f"validation texts, of {gone:.0%} of test texts ({same:.0%} by always the same "
                    "label); a model that takes it is worse than its validation score"
                )
                lines.append((gone - there, line))
    return [line for _, line in sorted(lines)[:NAMED]]


def some(texts: Sequence[str], classes: Sequence[int]) -> Texts:
    """At most MOST of them by chance, always the same: a file may be in order."""
    places = np.random.default_rng(0).permutation(len(texts))[:MOST].tolist()
    return [texts[at] for at in places], [classes[at] for at in places]


def rules_of(half: Texts, seen: Texts, test: Texts, n_classes: int) -> Iterator[Rule]:
    parts = (half, seen, test)

    def tables(numbers: list[list[list[int]]], rows: int) -> list[Counts]:
        """Of each part, how many texts of each class have each number, (rows, C)."""
        counts = []
        for own, (_, classes) in zip(numbers, parts, strict=True):
            cells = [
                n * n_classes + c for values, c in zip(own, classes, strict=True) for n in values
            ]
            flat = np.bincount(np.array(cells, np.int64), minlength=rows * n_classes)
            counts.append(flat.reshape(rows, n_classes))
        return counts

    tenths = np.unique(np.quantile([len(text) for text in half[0]], np.arange(0.1, 1, 0.1)))
    length = {"length": lambda text: int(np.searchsorted(tenths, len(text)))}
    for trait, value in (TRAITS | length).items():
        values = [[value(text) for text in texts] for texts, _ in parts]
        known = {value: at for at, value in enumerate(dict.fromkeys(values[0]))}
        numbers = [[[known.get(value, len(known))] for value in own] for own in values]
        yield from rule_of(trait, *tables(numbers, len(known) + 1))
    # Of each word that is in 1 % of the texts, and in five: is it there or not?
    words = [[{*text.lower().split(None, WORDS)[:WORDS]} for text in texts] for texts, _ in parts]
    often = Counter(word for own in words[0] for word in own)
    least = max(5, len(words[0]) / 100)
    frequent = {word: at for at, word in enumerate(w for w, n in often.items() if n >= least)}
    there = tables(
        [[[frequent[w] for w in s & frequent.keys()] for s in own] for own in words], len(frequent)
    )
    totals = [np.bincount(classes, minlength=n_classes) for _, classes in parts]
    for word, at in frequent.items():
        both = [np.stack([t[at], n - t[at]]) for t, n in zip(there, totals, strict=True)]
        yield from rule_of(f"the word {word[:40]!r}", *both)


def rule_of(trait: str, half: Counts, seen: Counts, test: Counts) -> Iterator[Rule]:
    """From counts (values, C); none where every value has the same label."""
    labels = np.where(half.any(1), half.argmax(1), half.sum(0).argmax())  # (values,)
    if len({*labels.tolist()}) == 1:
        return
    hit = labels[:, None] == np.arange(half.shape[1])  # (values, C)
    yield Rule(trait, seen.sum(0), (seen * hit).sum(0), test.sum(0), (test * hit).sum(0))


@lru_cache(maxsize=2)
def log_factorials(n: int) -> NDArray[np.float64]:
    """Of 0 to n."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
