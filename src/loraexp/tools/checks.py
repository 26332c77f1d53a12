"""What a run says beside what is so now: equal, close, or off, in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, zip_longest
from reprlib import repr as short
from typing import Any

from loraexp.records.record_types import OUT_OF_SCOPE
from loraexp.runtime.escape import printable

SHOWN = 5  # differing keys of a dict


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Args:
        field: of adapter.json or record.json.
        off: what is wrong with it; None if nothing is.
        skipped: why it could not be looked at; None if it was.
    """

    field: str
    off: str | None = None
    skipped: str | None = None


def same(field: str, said: object, now: object) -> Check:
    phrases = list(differing(said, now))
    more = f" and {len(phrases) - SHOWN} more" if len(phrases) > SHOWN else ""
    return Check(field, "; ".join(phrases[:SHOWN]) + more if phrases else None)


def differing(said: object, now: object, key: str = "") -> Iterator[str]:
    """A phrase for each difference; of dicts only the keys that differ."""
    if isinstance(said, dict) and isinstance(now, dict):
        for name in [*said, *(name for name in now if name not in said)]:
            path = printable(f"{key}.{name}" if key else str(name))
            if name in said and name in now:
                yield from differing(said[name], now[name], path)
            else:
                yield f"{path} is {'missing' if name in now else 'too much'}"
    elif not alike(said, now):
        yield f"{key} says {short(said)}, is {short(now)}".lstrip()


def alike(said: object, now: object) -> bool:
    """Equal, and of one type: 0 is not false."""
    if isinstance(said, list) and isinstance(now, list):
        return len(said) == len(now) and all(map(alike, said, now))
    if isinstance(said, dict) and isinstance(now, dict):
        return said.keys() == now.keys() and all(alike(said[key], now[key]) for key in said)
    return type(said) is type(now) and said == now


def close(field: str, said: dict[str, Any], now: dict[str, Any], tolerance: float) -> Check:
    """As `same`, but numbers may differ by the tolerance, and counts by that share of the texts."""

    def settled(key: str) -> bool:
        then, value = said.get(key), now[key]
        if key in ("confusion", "reliability") and isinstance(then, list):
            cells = zip_longest(chain(*then), chain(*value), fillvalue=0)
            moved = sum(abs(before - after) for before, after in cells)
            # A text that moves is less of one cell and more of another, of a bin in three numbers.
            return moved <= (2 if key == "confusion" else 6) * tolerance * now["n"]
        if key == OUT_OF_SCOPE and isinstance(then, dict):  # counts, and two shares
            return then.keys() == value.keys() and all(
                abs(then[name] - one) <= tolerance * (1 if isinstance(one, float) else now["n"])
                for name, one in value.items()
            )
        if isinstance(then, float) and isinstance(value, float):
            return distance([then], [value]) <= tolerance
        return alike(then, value)

    rest = {key: value for key, value in said.items() if key not in now or not settled(key)}
    return same(field, rest, {key: value for key, value in now.items() if not settled(key)})


def distance(before: list[float], after: list[float]) -> float:
    """The largest difference, relative to the larger of what it was and 1."""
    return max(abs(a - b) / max(1.0, abs(b)) for a, b in zip(after, before, strict=True))
