"""Token ids to batches: texts of like length together, each batch as wide as its longest text."""

from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

# Batches are cut from windows of this many batches, sorted by length: enough to leave almost no
# padding, few enough that the order stays random.
WINDOW = 64
# Without a backward pass a batch may be this much larger: it takes less memory than in training.
EVALUATION = 4


class Batch(NamedTuple):
    """B texts padded to T tokens."""

    tokens: Tensor  # (B, T) token ids
    lengths: Tensor  # (B,) real tokens of each row
    classes: Tensor  # (B,) index of each text's label


class EncodedTexts(Dataset[tuple[list[int], int]]):
    """Token ids and class of every text of a split, in memory."""

    def __init__(self, rows: Sequence[list[int]], classes: Sequence[int]) -> None:
        self.rows, self.classes = rows, classes

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[list[int], int]:
        return self.rows[index], self.classes[index]


def collate(items: Sequence[tuple[list[int], int]], pad: int, pad_to: int | None = None) -> Batch:
    """Pad on the right with the token `pad`, to the longest text or to `pad_to`."""
    rows = [row for row, _ in items]
    width = max(1, pad_to or max(map(len, rows)))
    tokens = torch.full((len(rows), width), pad)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
    lengths = torch.tensor([len(row) for row in rows])
    return Batch(tokens, lengths, torch.tensor([label for _, label in items]))


class LengthGrouped(Sampler[list[int]]):
    """Batches of indices into `lengths`, shuffled anew each epoch; all longest-first if not.

    With several processes each one gets every world-th batch; so that all take as many training
    steps, the last round is filled up from the start of the epoch. In evaluation no text comes
    twice, and batches are made smaller where a process would be left without one.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        seed: int | None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.lengths = np.asarray(lengths)
        if seed is None:  # Lightning stops where a process has no batch
            batch_size = min(batch_size, max(1, len(lengths) // world))
        self.batch_size, self.seed, self.rank, self.world = batch_size, seed, rank, world
        self.epoch = 0

    @property
    def sampler(self) -> "LengthGrouped":
        """Of a batch sampler, Lightning calls set_epoch on its `sampler` only."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    @property
    def rounds(self) -> int:
        """Batches of the process that has most."""
        return -(-len(self.lengths) // (self.batch_size * self.world))

    def __len__(self) -> int:
        batches = -(-len(self.lengths) // self.batch_size)
        return len(range(self.rank, batches, self.world)) if self.seed is None else self.rounds

    def __iter__(self) -> Iterator[list[int]]:
        # Lazily: a run that goes on at a later epoch makes its iterator before it sets the epoch.
        batches = self.evaluation() if self.seed is None else self.training(self.seed)
        yield from batches[self.rank :: self.world]

    def evaluation(self) -> list[list[int]]:
        return self.cut(np.argsort(-self.lengths, kind="stable"))

    def training(self, seed: int) -> list[list[int]]:
        generator = np.random.default_rng((seed, self.epoch))
        order = generator.permutation(len(self.lengths))
        window = WINDOW * self.batch_size
        batches = []
        for start in range(0, len(order), window):
            part = order[start : start + window]
            batches += self.cut(part[np.argsort(self.lengths[part], kind="stable")])
        batches = [batches[i] for i in generator.permutation(len(batches))]
        rounds = -(-len(batches) // self.world)
        return list(islice(cycle(batches), rounds * self.world))

    def cut(self, order: np.ndarray) -> list[list[int]]:
        size = self.batch_size
        return [order[i : i + size].tolist() for i in range(0, len(order), size)]
