"""Of the ways in which this machine could do a sweep, the fastest: measured once for a kind of run,
and kept, so that what is chosen does not depend on the moment."""

import json
import logging
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.errors import UserError
from loraexp.runtime import hardware
from loraexp.runtime.atomic import read_text, write_whole
from loraexp.runtime.quiet import quieted
from loraexp.runtime.shares import cores
from loraexp.sweeps.adaptive.probing import texts_a_second

log = logging.getLogger("loraexp")
# Another way than the one that a rule gives must be faster by this factor: two measurements of one
# way are a twentieth apart.
MARGIN = 1.1


@dataclass(frozen=True)
class Way:
    """So many processes, and so many runs in step in each."""

    workers: int
    width: int

    def __str__(self) -> str:
        one = "one process" if self.workers == 1 else f"{self.workers} processes"
        return f"{one}, {self.width} in step" if self.width > 1 else one


def ways(rule: Way) -> Iterator[Way]:
    """What the rule says, and what may be better: fewer processes of more threads, no packs."""
    yield rule
    fewer = {rule.workers // 2, 1} - {0, rule.workers}
    yield from (Way(workers, rule.width) for workers in sorted(fewer, reverse=True))
    if rule.width > 1:
        yield Way(rule.workers, 1)


def fastest(rule: Way, config: TrainConfig, folder: Path) -> Way:
    """The fastest way for runs like this one.

    Args:
        rule: the way that it is without a measurement.
        folder: where what was measured is kept.
    """
    tried = [*ways(rule)]
    if len(tried) == 1:
        return rule
    file = folder / f"{kind_of(config, tried)}.json"
    rates = kept(file)
    if rates is None or len(rates) != len(tried):
        log.info(f"measured once for this machine: {len(tried)} ways to do such runs, a minute")
        try:
            with quieted(log):
                rates = [texts_a_second(config, way.workers, way.width) for way in tried]
        except UserError as error:  # the sweep will say it of its own runs
            log.warning(f"warning: not measured: {error}")
            return rule
        for way, rate in zip(tried, rates, strict=True):
            log.info(f"{way}: {rate:.0f} texts/s")
        with suppress(OSError):  # of a home that cannot be written to
            write_whole(file, json.dumps(rates) + "\n")
    return chosen(tried, rates)


def chosen(tried: Sequence[Way], rates: Sequence[float]) -> Way:
    """The first one, unless another is clearly faster."""
    best = max(range(len(tried)), key=lambda at: rates[at])
    return tried[best] if rates[best] > MARGIN * rates[0] else tried[0]


def kind_of(config: TrainConfig, tried: Sequence[Way]) -> str:
    """Names the machine, the libraries and all of a run that its speed depends on."""
    trainer = config.trainer
    own = {
        "machine": [platform.node(), hardware.device_name(trainer.accelerator, 1), cores()],
        "torch": torch.__version__,
        "precision": hardware.pick_precision(trainer.precision, trainer.accelerator),
        "ways": [str(way) for way in tried],
        **{key: plain(config)[key] for key in ("model", "data", "method")},
    }
    return sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()[:16]


def kept(file: Path) -> list[float] | None:
    """None where nothing is, or what is damaged: it is measured anew."""
    try:
        return [*map(float, json.loads(read_text(file.parent, file.name)))]
    except (OSError, ValueError, TypeError, UserError, RecursionError):
        return None
