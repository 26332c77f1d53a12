"""Batches of several networks in one row of tokens: what is shared runs once over all of them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from loraexp.model.packing import Packing

Stream = Callable[[int], AbstractContextManager[None]]


def drawing(stream: Stream | None, number: int) -> AbstractContextManager[None]:
    """Draw random numbers from a stream, if there is one."""
    return nullcontext() if stream is None else stream(number)


@dataclass(frozen=True)
class Packings:
    """Packings whose rows stand one after another.

    Args:
        parts: one of each network's batch.
        stream: of a part, where the random numbers drawn for it come from; None draws none.
    """

    parts: Sequence[Packing]
    stream: Stream | None = None

    @cached_property
    def rows(self) -> list[int]:
        """Of each part."""
        return [part.rows for part in self.parts]

    @cached_property
    def places(self) -> list[int]:
        """The first row of each part."""
        return [sum(self.rows[:number]) for number in range(len(self.rows))]

    @cached_property
    def runs(self) -> list[Packing]:
        """The parts, neighbours that are grids of one width as one: for each text that is the same,
        and one call is less than many."""
        runs: list[Packing] = []
        for part in self.parts:
            before = runs[-1] if runs and self.stream is None else None
            if before and before.width == part.width and before.index is part.index is None:
                runs.pop()
                part = Packing(torch.cat([before.lengths, part.lengths]), part.width, None)
            runs.append(part)
        return runs

    def drawing(self, part: int) -> AbstractContextManager[None]:
        return drawing(self.stream, part)

    def joined(self, lasts: Sequence[Tensor]) -> Tensor:
        """Rows of each part, counted from its first one, as rows of all."""
        return torch.cat([last + at for last, at in zip(lasts, self.places, strict=True)])

    def spans(self, rows: Tensor) -> list[tuple[int, int]]:
        """The first row of each part, and the one after its last."""
        ends = [*accumulate(self.sizes(self.parts, rows))]
        return [*zip([0, *ends], ends, strict=False)]

    def sizes(self, parts: Sequence[Packing], rows: Tensor) -> list[int]:
        """How many of `rows`, of all tokens or one a text, each part has."""
        whole = len(rows) == sum(self.rows)
        return [part.rows if whole else len(part.lengths) for part in parts]

    def each(
        self, work: Callable[..., Tensor], *rows: Tensor, last: Tensor | None = None
    ) -> Tensor:
        """work(packing, *rows, last) of every part, as if it were alone."""
        apart = [torch.split(tensor, self.sizes(self.runs, tensor)) for tensor in rows]
        ends: Sequence[Tensor | None] = [None] * len(self.runs)
        if last is not None:
            ends = self.counted(last)
        made = []
        for number, (part, end, *own) in enumerate(zip(self.runs, ends, *apart, strict=True)):
            with self.drawing(number):
                made.append(work(part, *own, end))
        return torch.cat(made) if len(made) > 1 else made[0]

    def counted(self, last: Tensor) -> list[Tensor]:
        """Rows of all as rows of each span, counted from its first one."""
        ends, at = [], 0
        for span, own in zip(
            self.runs, torch.split(last, [span.texts for span in self.runs]), strict=True
        ):
            ends.append(own - at)
            at += span.rows
        return ends
