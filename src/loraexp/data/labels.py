"""Labels in words: which there are, which may be one, and which texts have two."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

import pandas as pd

SHOWN = 6  # of many labels


def listed(names: Sequence[str]) -> str:
    """As 'a', 'b' and 75 more; control characters escaped."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(short, names[:SHOWN])) + more


def short(name: str) -> str:
    return repr(name if len(name) <= 40 else f"{name[:39]}…")


def in_words(counts: Mapping[str, int]) -> str:
    """Each class with its number of texts; of many the first."""
    names = [*counts]
    shown = ", ".join(f"{short(name)} {counts[name]:,}" for name in names[:SHOWN])
    if len(names) <= SHOWN:
        return f"{len(names)} classes: {shown}"
    sizes = f"{min(counts.values()):,} to {max(counts.values()):,}"
    return f"{len(names):,} classes of {sizes} texts: {shown} and {len(names) - SHOWN:,} more"


def absent(labels: Sequence[str], classes: Sequence[int], split: str) -> str | None:
    """Which labels no text of a split has, and what its scores then are."""
    seen = {*classes}
    missing = [label for index, label in enumerate(labels) if index not in seen]
    if not seen or not missing:
        return None
    if len(labels) > 2:
        then = f"its means over the classes are over the {len(seen)} that have one"
    elif 1 in seen:
        then = "its AUROC is not defined"
    else:
        then = "its F1, precision, recall and AUROC are not defined"
    unlearnt = " (so none is learnt)" if split == "train" else ""
    return f"no {split} text has the label {listed(missing)}{unlearnt}: {then}"


def alike(labels: Sequence[str]) -> list[list[str]]:
    """Groups of labels that differ in nothing but case, white space, Unicode form, or how a number
    is written."""
    groups: dict[str | float, list[str]] = {}
    for label in labels:
        groups.setdefault(core(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def core(label: str) -> str | float:
    plain = "".join(unicodedata.normalize("NFKC", label).casefold().split())
    return float(plain) if re.fullmatch(r"[+-]?\d+(\.\d*)?", plain) else plain


def repeated_texts(frame: pd.DataFrame, dedupe: bool) -> tuple[list[str], list[str]]:
    """What dedupe dropped, as a remark; texts that stand under two labels, as a caution."""
    again = frame[frame.duplicated("text")]
    first = frame.drop_duplicates("text").set_index("text")["label"]
    other = again[again["label"].to_numpy() != first[again["text"]].to_numpy()]
    dropped = f"data.dedupe dropped {len(again):,} repeated texts"
    if not len(other):
        return [dropped] if dedupe and len(again) else [], []
    if dedupe:
        return [], [f"{dropped}, {len(other):,} of them under another label than the one kept"]
    n = other["text"].nunique()
    return [], [f"{n:,} texts stand under more than one label: no model can be right on all"]
