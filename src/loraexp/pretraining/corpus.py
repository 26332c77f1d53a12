"""Plain text for pretraining: files to one stream of tokens, cut into blocks, some held out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loraexp.config.pretraining import Corpus
from loraexp.errors import UserError

STRETCH = 8  # neighbouring blocks that are held out together
EncodeDocuments = Callable[[Sequence[str]], list[list[int]]]


def corpus_files(names: Sequence[str]) -> list[Path]:
    """The files that `data.text` names: each itself, or a folder's *.txt in order of name."""
    files: list[Path] = []
    for name in names:
        path = Path(name)
        named = sorted(path.glob("*.txt")) if path.is_dir() else [path]
        if not named or not named[0].is_file():
            raise UserError(f"data.text: {name} is no text file and no folder of *.txt")
        files += named
    return files


def documents(files: Sequence[Path]) -> Iterator[str]:
    """Every document of the files; a blank line ends one.

    Raises:
        UserError: a file that is not UTF-8.
    """
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"data.text: {file} is not UTF-8: {error.reason}") from None
        yield from (part for part in text.split("\n\n") if part.strip())


@dataclass(frozen=True)
class Blocks:
    """A stream of tokens as blocks of T tokens and the one that follows.

    Args:
        tokens: (n,) the stream.
        learnt, held_out: numbers of blocks; block i begins at token i * T.
    """

    tokens: NDArray[np.int32]
    block: int
    learnt: NDArray[np.int64]
    held_out: NDArray[np.int64]

    @classmethod
    def of(cls, tokens: NDArray[np.int32], config: Corpus, seed: int) -> "Blocks":
        """Hold out stretches of neighbouring blocks, drawn from `seed`.

        Raises:
            UserError: too few tokens.
        """
        stretches = (len(tokens) - 1) // (config.block * STRETCH)
        if stretches < 2:
            raise UserError(
                f"data.text has {len(tokens):,} tokens; at least "
                f"{2 * STRETCH * config.block + 1:,} are needed for data.block={config.block}"
            )
        held = max(1, round(config.held_out * stretches))
        order = np.random.default_rng(seed).permutation(stretches)
        places = np.arange(STRETCH)
        parts = (order[held:], order[:held])
        learnt, out = (np.sort((part[:, None] * STRETCH + places).ravel()) for part in parts)
        return cls(tokens, config.block, learnt, out)

    def batch(self, numbers: NDArray[np.int64]) -> Tensor:
        """(B,) numbers of blocks -> (B, T + 1) token ids."""
        starts = numbers[:, None] * self.block
        rows = self.tokens[starts + np.arange(self.block + 1)]
        return torch.from_numpy(rows.astype(np.int64))

    def step(self, number: int, batch_size: int, seed: int) -> Tensor:
        """The batch of a step: a function of nothing else, so training resumes anywhere."""
        places = number * batch_size + np.arange(batch_size)
        readings, within = np.divmod(places, len(self.learnt))
        rows = [shuffled(len(self.learnt), seed, reading) for reading in readings.tolist()]
        return self.batch(self.learnt[[row[k] for row, k in zip(rows, within, strict=True)]])


@lru_cache(maxsize=2)
def shuffled(size: int, seed: int, reading: int) -> NDArray[np.int64]:
    """The order of the blocks in one reading of the corpus."""
    return np.random.default_rng((seed, reading)).permutation(size)


def stream(documents: Iterator[str], encode: EncodeDocuments, end: int) -> NDArray[np.int32]:
    """All documents as one row of tokens (n,), `end` after each."""
    parts: list[NDArray[np.int32]] = []
    while texts := list(islice(documents, 1000)):
        parts += [np.array([*row, end], dtype=np.int32) for row in encode(texts)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
