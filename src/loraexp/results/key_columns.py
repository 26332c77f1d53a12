"""Columns of a table that a key of the config names: their headings, and paths as short as tells
them apart."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from loraexp.results.settings import heading
from loraexp.results.short_paths import PATH_KEYS, short_names
from loraexp.results.tables import Column


def key_columns(
    keys: Sequence[str],
    configs: Sequence[Mapping[str, Any]],
    others: Sequence[Column],
    show: Callable[[Any], str],
) -> list[Column]:
    """
    Args:
        configs: flat ones, of all that has a row.
        others: the table's other columns.
        show: how a cell reads that is no path.
    """
    headed = zip(keys, headings(keys, {column.heading for column in others}), strict=True)
    return [
        Column(key, name, path_names(key, configs) if key in PATH_KEYS else show, words=True)
        for key, name in headed
    ]


def headings(keys: Sequence[str], taken: Collection[str]) -> list[str]:
    """The whole key where a short name would stand over two columns."""
    short = [heading(key) for key in keys]
    return [
        key if short.count(name) > 1 or name in taken else name
        for key, name in zip(keys, short, strict=True)
    ]


def path_names(key: str, configs: Sequence[Mapping[str, Any]]) -> Callable[[Any], str]:
    names = short_names({config[key] for config in configs if isinstance(config[key], str)})
    return lambda path: names.get(path, str(path))
