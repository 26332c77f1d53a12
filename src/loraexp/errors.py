"""What goes wrong by a user's hand: one clear line, and the nearest valid name."""

from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend; the command line prints it alone and exits with 2."""


def unknown(kind: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not in `known`: says the nearest one, then all of them."""
    from difflib import get_close_matches  # not at start

    names = sorted(known)
    near = get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return UserError(f"unknown {kind} {str(value)!r}{hint} known: {', '.join(names)}")


def cut(text: str, most: int = 60) -> str:
    """A text as a message may hold it: its beginning, if it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[str], most: int = 8) -> str:
    """The first of the names, and how many more there are."""
    shown = [cut(name) for name in names]
    more = f", and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
