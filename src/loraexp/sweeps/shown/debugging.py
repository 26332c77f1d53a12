"""Runs of debug=: a batch, or ten texts learnt by heart. No results: a comparison leaves them out
unless somebody asks for them."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import yaml

from loraexp.config.compose import conf_dir
from loraexp.records.typed_json import value_at
from loraexp.results.settings import conditions, flat

log = logging.getLogger("loraexp")


@cache
def options() -> dict[str, dict[str, Any]]:
    """What each debug=OPTION sets."""
    files = sorted((conf_dir() / "debug").glob("*.yaml"))
    return {file.stem: flat(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files}


def debug_of(config: Mapping[str, Any]) -> str | None:
    """The option that a record's config has all settings of."""
    for name, own in options().items():
        if all(value_at(config, key) == value for key, value in own.items()):
            return name
    return None


def asked_for(option: str, where: Sequence[str]) -> bool:
    """Does a condition name one of its keys?"""
    named = {key for key, _ in conditions(",".join(where))} if where else set()
    return bool(named & options()[option].keys())


def left_out(configs: Sequence[Mapping[str, Any]], where: Sequence[str]) -> list[bool]:
    """Of each config as a record holds it, whether its run stays out of a comparison; none does
    where there are no others. What is left out is said."""
    of_each = [*map(debug_of, configs)]
    out = [name is not None and not asked_for(name, where) for name in of_each]
    if all(out):
        return [False] * len(out)
    for name, count in Counter(n for n, gone in zip(of_each, out, strict=True) if gone).items():
        settings = ",".join(f"{key}={value}" for key, value in options()[str(name)].items())
        runs = "1 run" if count == 1 else f"{count} runs"
        log.info(f"left out: {runs} of debug={name}; where=[{settings}] shows them")
    return out
