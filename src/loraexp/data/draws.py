"""Draw texts from a seed with their classes in proportion."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from loraexp.config.schema import Data

WHICH = {"first": "the first", "stratified": "drawn, classes in proportion"}  # data.limit_by


def within_limit(classes: Sequence[int], config: Data, split: int) -> list[int] | None:
    """Places of the texts that data.limit keeps of a split; None keeps all."""
    if config.limit is None or len(classes) <= config.limit:
        return None
    return some(classes, config.limit, config, split)


def some(classes: Sequence[int], n: int, config: Data, number: int) -> list[int]:
    """Places of n of the texts, as data.limit_by says: the first ones is what runs of before did,
    so that these measure as they did.

    Args:
        number: of the draw, so that no two are of the same chance.
    """
    first = config.limit_by == "first"
    return [*range(n)] if first else drawn(classes, n, (config.split_seed, number))


def drawn(classes: Sequence[int], n: int, seed: Sequence[int]) -> list[int]:
    """Places of n of the texts, ascending: of each class its share, rounded down, and one more of
    those with the largest remainders until there are n; equal ones, and which texts, by chance."""
    generator, own = np.random.default_rng(seed), np.asarray(classes)
    sizes = np.bincount(own)
    shares = sizes * (n / len(own))
    counts = shares.astype(np.int64)
    remainders = np.lexsort((generator.random(len(sizes)), counts - shares))
    counts[remainders[: n - counts.sum()]] += 1
    places, rank = shuffled(own, generator)
    return sorted(places[rank < counts[own[places]]].tolist())


def of_each_class(classes: Sequence[int], most: int, seed: Sequence[int]) -> list[int]:
    """Places of at most so many texts of each class, ascending. Those of a smaller number are among
    those of a larger one: more labels are then more labels, not others."""
    places, rank = shuffled(np.asarray(classes), np.random.default_rng(seed))
    return sorted(places[rank < most].tolist())


def shuffled(
    classes: NDArray[np.int64], generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All places, class by class and shuffled in each, and the number of each in its class."""
    places = generator.permutation(len(classes))
    places = places[np.argsort(classes[places], kind="stable")]
    sizes = np.bincount(classes)
    return places, np.arange(len(classes)) - (np.cumsum(sizes) - sizes)[classes[places]]


def portions(
    sizes: NDArray[np.int64], share: float, spare: NDArray[np.int64], seed: Sequence[int]
) -> NDArray[np.int64]:
    """How many texts of each class make up a share of all: its own share, rounded.

    Where that is none at all, as with many small classes, one text each of as many classes as the
    share of all texts is, larger ones first, equal ones by chance.

    Args:
        spare: (C,) how many texts a class can give without being left with none.
    """
    counts = np.array([round(size * share) for size in sizes.tolist()], dtype=np.int64)
    if not counts.any():
        order = np.lexsort((np.random.default_rng(seed).random(len(sizes)), -sizes))
        counts[order[spare[order] > 0][: round(int(sizes.sum()) * share)]] = 1
    return counts


def small_shares(sizes: Mapping[str, int]) -> list[str]:
    """What rounding within small classes has left with less than half its share, in words."""
    total = sum(sizes.values())
    return [
        f"{name} has only {sizes[name]:,} of {total:,} texts: most classes are too small for one"
        for name, share in (("validation", 0.1), ("test", 0.2))
        if sizes[name] < share * total / 2
    ]
