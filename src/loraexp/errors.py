"""What goes wrong by a user's hand: one clear line, and the nearest valid name."""

from collections.abc import Iterable


class UserError(Exception):
    """A mistake the user can mend; the command line prints it alone and exits with 2."""


def unknown(kind: str, value: object, known: Iterable[str]) -> UserError:
    """The error for a name that is not in `known`: says the nearest one, then all of them."""
    names = sorted(known)
    return UserError(f"{unknown_but_near(kind, value, names)} known: {', '.join(names)}")


def unknown_but_near(kind: str, value: object, known: Iterable[str]) -> str:
    near = nearest(str(value), known)
    return f"unknown {kind} {str(value)!r}{f'; did you mean {near!r}?' if near else ';'}"


def nearest(typed: str, known: Iterable[str]) -> str | None:
    """The name that was meant, if one is near: of dotted ones that with the same last segment, for
    lr is optim.lr and no logger; else one that is alike as a whole, or in its last segment."""
    from difflib import SequenceMatcher, get_close_matches  # not at start

    ends: dict[str, list[str]] = {}
    for name in sorted(known):
        ends.setdefault(last(name), []).append(name)
    near = [last(typed)] if last(typed) in ends else []
    if not near and "." not in typed:
        begun = [end for end in ends if typed and end.startswith(typed)]
        near = begun[:1] or get_close_matches(typed, ends, n=1)
    if near:
        alike = {name: SequenceMatcher(None, typed, name).ratio() for name in ends[near[0]]}
        return max(alike, key=alike.__getitem__)
    names = [name for several in ends.values() for name in several]
    return next(iter(get_close_matches(typed, names, n=1, cutoff=0.5)), None)


def last(name: str) -> str:
    return name.rpartition(".")[2]


def cut(text: str, most: int = 60) -> str:
    """A text as a message may hold it: its beginning, if it is long."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def listed(names: Iterable[str], most: int = 8) -> str:
    """The first of the names, and how many more there are."""
    shown = [cut(name) for name in names]
    more = f", and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
