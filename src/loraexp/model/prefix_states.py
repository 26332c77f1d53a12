"""What frozen first blocks make of a text never changes: computed once, kept for all epochs."""

import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from loraexp.model.packing import Packing

IN_MEMORY = 2**30  # bytes; what is more goes to a file that is mapped into memory
CHUNK = 2**26  # bytes of a piece of either


class Prefix:
    """Hidden states after the first `blocks` blocks, by the tokens of the text.

    Args:
        blocks: how many of the first blocks are frozen.
        in_memory: bytes to hold before a file takes the rest.
    """

    def __init__(self, blocks: int, in_memory: int = IN_MEMORY) -> None:
        self.blocks, self.in_memory = blocks, in_memory
        self.filling = False
        self.states: dict[bytes, Tensor] = {}  # (T, d) each, a view into a chunk
        self.chunk = torch.empty(0, 0)
        self.used = self.held = 0
        self.folder: Path | None = None

    def has(self, rows: Sequence[Sequence[int]]) -> bool:
        """Are the states of all these texts there?"""
        return all(np.array(row or [0], dtype=np.int64).tobytes() in self.states for row in rows)

    def get(self, tokens: Tensor, packing: Packing, pooled: bool) -> Tensor | None:
        """States as `hidden` has them for this batch; None if it lacks one of its texts.

        Args:
            pooled: one state a text, (B, d), else all of them, (N, d).
        """
        wanted = keys(tokens, packing)
        states = [self.states[key] for key in wanted if key in self.states]
        if len(states) < len(wanted):
            return None
        return (torch.cat(states) if pooled else packing.join(states)).to(tokens.device)

    def put(self, tokens: Tensor, packing: Packing, x: Tensor, pooled: bool) -> None:
        """Keep the states x of a batch: (N, d), or (B, d) if `pooled`."""
        x = x.detach().cpu()
        parts = list(torch.split(x, 1)) if pooled else packing.split(x)
        for key, part in zip(keys(tokens, packing), parts, strict=True):
            if key not in self.states:
                self.states[key] = self.place(part)

    def place(self, part: Tensor) -> Tensor:
        """A copy of (T, d) in the current chunk, or in a new one."""
        if self.used + len(part) > len(self.chunk):
            self.chunk, self.used = self.new_chunk(part), 0
        kept = self.chunk[self.used : self.used + len(part)]
        kept.copy_(part)
        self.used += len(part)
        return kept

    def new_chunk(self, part: Tensor) -> Tensor:
        """(rows, d) of about CHUNK bytes."""
        width, size = part.shape[1], part.element_size()
        rows = max(len(part), CHUNK // (width * size))
        self.held += rows * width * size
        if self.held <= self.in_memory:
            return torch.empty(rows, width, dtype=part.dtype)
        if self.folder is None:
            self.folder = Path(tempfile.mkdtemp(prefix="loraexp-"))
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        file = self.folder / str(self.held)
        mapped = torch.from_file(str(file), shared=True, size=rows * width, dtype=part.dtype)
        return mapped.view(rows, width)


def keys(tokens: Tensor, packing: Packing) -> list[bytes]:
    """Each text's tokens."""
    rows, lengths = tokens.cpu().numpy(), packing.lengths.tolist()
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
