"""The seconds that no plan takes fewer than on a device, by its data sheet: the operations of its
runs, all of them at the peak, with nothing lost between two of them."""

from fractions import Fraction

from loraexp.config.schema import TrainConfig
from loraexp.sweeps.forecasts.ahead import UNITS, Ahead
from loraexp.sweeps.forecasts.devices import DataSheet
from loraexp.sweeps.forecasts.flops import flops
from loraexp.sweeps.forecasts.waves import Part, Wave
from loraexp.sweeps.forecasts.work import Work
from loraexp.sweeps.packs import why_apart


def at_least(ahead: Ahead, sheet: DataSheet) -> tuple[dict[int, float], str]:
    """Seconds by the number of such devices, or why there is no bound."""
    search = ahead.protocol.search
    if search and search.pruner != "none":
        return {}, f"no least is known: search.pruner={search.pruner} ends trials early"
    return {
        n: sum(of_wave(ahead, wave, n) for wave in ahead.waves[0]) / sheet.flops for n in UNITS
    }, ""


def of_wave(ahead: Ahead, wave: Wave, units: int) -> float:
    """Operations that one of so many devices does at least: its share of all, or the longest run,
    however the runs are handed out."""
    each = [of_planned(ahead, config, wave.part) for config in wave.missing]
    longest = [n / config.trainer.devices for n, config in zip(each, wave.missing, strict=True)]
    return max(sum(each) / units, *longest, 0.0)


def of_planned(ahead: Ahead, config: TrainConfig, part: Part) -> float:
    """Of a run; where a search draws its settings, of the smallest that it may draw."""
    drawn = ahead.planned.jobs if ahead.protocol.search else [config]
    return min(
        of_run(
            one,
            ahead.reading.work(one),
            part,
            len(ahead.reading.read(one)[0].labels),
            1 if why_apart(one) else ahead.protocol.width or 1,
        )
        for one in drawn
    )


def of_run(config: TrainConfig, work: Work, part: Part, classes: int, width: int) -> float:
    """Operations of a run that may stop as early as its config lets it.

    Args:
        width: of its pack, whose runs share what frozen blocks gave, where that is kept.
    """
    train, looked, measured = (
        flops(config, texts, classes) for texts in (work.train, work.validation, work.measured)
    )
    if part == "rest":
        return measured.forward
    kept = work.frozen and work.epochs > 1  # texts go through frozen blocks once
    below = Fraction(train.below + looked.below) * (Fraction(1, width) if kept else work.least)
    epoch = train.above + train.backward + looked.above
    read = looked if part == "trial" else measured
    return float(below + work.least * epoch + read.forward)
