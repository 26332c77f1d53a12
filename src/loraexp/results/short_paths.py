"""Folders of the author's disk are nobody's business: of paths only the names are shown."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from loraexp.config.keys import keys
from loraexp.config.schema import TrainConfig
from loraexp.records.record import Failure, Record, Trial
from loraexp.records.typed_json import value_at

R = TypeVar("R", bound=Record | Failure | Trial)

PATH_KEYS = [name for name, field in keys(TrainConfig) if field.metadata["path"]]
# In quotes a folder may have blanks in its name.
QUOTED = re.compile(r"(?<=')~?/[^'\n]*/(?=[^'/\n]+')|(?<=\")~?/[^\"\n]*/(?=[^\"/\n]+\")")
ABSOLUTE = re.compile(r"(?<![\w.:/~])~?/(?:[^\s/'\":,;()]+/)+(?=[^\s/])")
Names = Mapping[str, Mapping[str, str]]  # by key, by path


def without_folders(text: str) -> str:
    """The same words, absolute paths as their last part."""
    return ABSOLUTE.sub("", QUOTED.sub("", text))


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Of each as few of its last parts as tell all of them apart."""
    parts = {path: path.rstrip("/").split("/") for path in paths}
    most = max(map(len, parts.values()), default=1)
    for count in range(1, most + 1):
        names = {path: "/".join(part[-count:]) for path, part in parts.items()}
        if len({*names.values()}) == len(names):
            break
    return {path: name or path for path, name in names.items()} if parts else {}


def cut_path(path: str, most: int = 48) -> str:
    """A path that is too long without what is in its middle, never without a part of a name."""
    if len(path) <= most or "/" not in path:
        return path
    parts = path.split("/")
    for first in (2 if path.startswith("/") else 1, 0):
        for at in range(first + 1, len(parts)):
            shown = "/".join([*parts[:first], "...", *parts[at:]])
            if len(shown) <= most:
                return shown
    return f".../{parts[-1]}"


def names_in(runs: Sequence[Record | Failure | Trial]) -> Names:
    """Of all paths in the configs."""
    found = {key: {value_at(run.config, key) for run in runs} for key in PATH_KEYS}
    return {
        key: short_names(v for v in values if isinstance(v, str)) for key, values in found.items()
    }


def shortened(runs: Sequence[R], names: Names) -> list[R]:
    """The same runs; what differs in a path still does. The note on the data begins with its path,
    in which blanks may be."""
    made = []
    for run in runs:
        path, config = run.config["data"]["path"], config_of(run.config, names)
        changes: dict[str, Any] = {"config": config}
        if isinstance(run, Record) and path:
            note = str(run.data["note"]).replace(path, config["data"]["path"])
            changes["data"] = {**run.data, "note": note}
        made.append(replace(run, **changes))
    return made


def config_of(config: Mapping[str, Any], names: Names) -> dict[str, Any]:
    made: dict[str, Any] = {**config}
    for key, short in names.items():
        group, _, last = key.rpartition(".")
        inside = {**made[group]} if group else made
        if isinstance(inside[last], str):
            inside[last] = short[inside[last]]
        if group:
            made[group] = inside
    return made
