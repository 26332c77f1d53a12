"""Where a text that is too long is cut, in tokens."""

from collections.abc import Sequence

WHOLE = 1 << 62  # tokens: as many as there are


def cut(row: Sequence[int], most: int, side: str) -> list[int]:
    """At most `most` tokens of a text.

    Args:
        side: what is left out: its end, its start, or its middle, of which both ends stay and, of
            an odd number, one token more at the start.
    """
    if side == "end" or len(row) <= most:
        return [*row[:most]]
    first = {"start": 0, "middle": most - most // 2}[side]
    return [*row[:first], *row[len(row) - (most - first) :]]
