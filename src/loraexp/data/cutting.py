"""How a frame of labelled texts is cut into train, validation and test."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from loraexp.data.draws import portions
from loraexp.records.record_types import SPLITS

ALL = "all"  # of data.split: nothing is held out


def book(frame: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """The tutorial's split: as many ham as spam, shuffled, cut 70/10/20 (seed 123 there)."""
    spam, ham = (frame[frame["label"] == label] for label in ("spam", "ham"))
    both = pd.concat([ham.sample(len(spam), random_state=seed), spam])
    both = both.sample(frac=1, random_state=seed)
    first, second = int(len(both) * 0.7), int(len(both) * 0.7) + int(len(both) * 0.1)
    parts = (both[:first], both[first:second], both[second:])
    return dict(zip(SPLITS, parts, strict=True))


def stratified(frame: pd.DataFrame, seed: int) -> dict[str, pd.DataFrame]:
    """70/10/20 within every class, each rounded to whole texts, then shuffled."""
    generator = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {name: [] for name in SPLITS}
    groups = [rows for _, rows in sorted(frame.groupby("label").indices.items())]
    sizes = np.array([len(rows) for rows in groups])
    fifths = portions(sizes, 0.2, sizes - 1, (seed, 0))
    tenths = portions(sizes, 0.1, sizes - 1 - fifths, (seed, 1))
    for rows, tenth, fifth in zip(groups, tenths, fifths, strict=True):
        rows = generator.permutation(rows)
        parts["test"] += list(rows[:fifth])
        parts["validation"] += list(rows[fifth : fifth + tenth])
        parts["train"] += list(rows[fifth + tenth :])
    return {name: frame.iloc[generator.permutation(rows)] for name, rows in parts.items()}


def with_validation(frames: dict[str, pd.DataFrame], seed: int) -> dict[str, pd.DataFrame]:
    """Where a set comes without validation texts, a tenth of each class's training texts."""
    if not frames["validation"].empty:
        return frames
    train = frames["train"]
    generator = np.random.default_rng(seed)
    taken: list[int] = []
    groups = [rows for _, rows in sorted(train.groupby("label").indices.items())]
    sizes = np.array([len(rows) for rows in groups])
    for rows, tenth in zip(groups, portions(sizes, 0.1, sizes - 1, (seed, 1)), strict=True):
        taken += list(generator.permutation(rows)[:tenth])
    rest = np.setdiff1d(np.arange(len(train)), taken)
    return {**frames, "train": train.iloc[rest], "validation": train.iloc[np.sort(taken)]}


SPLITTERS: dict[str, Callable[[pd.DataFrame, int], dict[str, pd.DataFrame]]] = {
    "book": book,
    "stratified": stratified,
    ALL: stratified,
}
