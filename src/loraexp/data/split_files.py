"""A folder with a file for each split, by the names that people and the Hub give them."""

import re
from pathlib import Path

from loraexp.errors import UserError, listed

NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
# train-00000-of-00002.parquet, and the Hub's older train-00000-of-00002-0123456789abcdef.parquet
PART = re.compile(r"(?P<name>\w+)-(?P<number>\d+)-of-(?P<of>\d+)(-[0-9a-f]+)?")


def split_files(folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """The files of each split, more than one where it is in parts, and the names of all others.

    Raises:
        UserError: two files for one split, or parts that are missing.
    """
    sets_of: dict[str, dict[tuple[str, str], dict[int, Path]]] = {}
    others = []
    for path in sorted(folder.iterdir()):
        part = PART.fullmatch(path.stem)
        name = part["name"] if part else path.stem
        split = SPLIT_OF.get(name.lower())
        if path.name.startswith(".") or not path.is_file():
            continue
        if split is None or path.suffix.lower() not in KINDS:
            others.append(path.name)
            continue
        whole = (f"{name}{path.suffix}", part["of"] if part else "")
        sets_of.setdefault(split, {}).setdefault(whole, {})[int(part["number"]) if part else 0] = (
            path
        )
    for split, sets in sets_of.items():
        if len(sets) > 1:
            first, second = (min(parts.items())[1].name for parts in list(sets.values())[:2])
            raise UserError(f"{folder} has two files for {split}: {first} and {second}; keep one")
        for (_, of), parts in sets.items():
            if of and sorted(parts) != list(range(int(of))):
                raise UserError(f"{folder}: {split} is in {int(of)} parts, {len(parts)} are there")
    ordered = {
        split: [path for _, path in sorted(parts.items())]
        for split in NAMES
        for parts in sets_of.get(split, {}).values()
    }
    return ordered, others


def check_whole(folder: Path, files: dict[str, list[Path]], others: list[str]) -> None:
    """
    Raises:
        UserError: no file for train or for test; one for validation may lack.
    """
    for split in ("train", "test"):
        if split not in files:
            there = [path.name for paths in files.values() for path in paths] + others
            it_has = f"; it has {listed(there)}" if there else ""
            raise UserError(
                f"no file {folder / split}.csv, nor {', '.join(KINDS[1:])} of that name{it_has}"
            )
