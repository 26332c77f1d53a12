"""loraexp plan: say what a run or a sweep will take, before anything trains."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from loraexp.commands.params import COLUMNS as PARAMETERS
from loraexp.config.keys import key, one_of
from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import SweepConfig
from loraexp.errors import UserError
from loraexp.results.tables import Column, Table, size, to_terminal
from loraexp.runtime.escape import printable
from loraexp.sweeps.plan import Plan

if TYPE_CHECKING:
    from loraexp.sweeps.forecasts.devices import DataSheet
    from loraexp.sweeps.forecasts.forecast import Forecast

BEGAN = time.monotonic()  # soon after Enter: what comes before the first run takes `train` as long
WORD = "verb"
WIDTH, LEFT = 80, 11
UNKNOWN = "nobody has measured"
COLUMNS = (*PARAMETERS, Column("runs", "runs"))


@dataclass
class PlanConfig(SweepConfig):
    """loraexp plan: the keys of train, and where and how it is planned"""

    verb: str = one_of("train", "train (what is planned)")
    device: str = key(
        "here",
        "here (this machine), one that was measured: epyc-2-cores, or one by no more than its data "
        "sheet: h100, h200, a100",
    )
    probe: bool = key(True, "measure some batches first, about ten seconds: no times without")
    format: str = one_of("table", "table", "json")


def run(config: PlanConfig) -> None:
    """Of a single run."""
    told(config, Plan([config.run()], None, []))


def run_sweep(planned: Plan) -> bool:
    """Of a sweep.

    Raises:
        UserError: what is to be launched by Hydra, or several values of a key of plan's own.
    """
    for word in planned.overrides:
        if word.startswith(("hydra.", "hydra/")):
            raise UserError(f"plan knows no launcher or sweeper of Hydra's: leave out {word}")
    own: list[PlanConfig] = planned.jobs
    for name in ("verb", "device", "probe", "format"):
        if len({getattr(one, name) for one in own}) > 1:
            raise UserError(f"{name} has several values: give one")
    told(own[0], replace(planned, jobs=[one.run() for one in own]))
    return True


def told(config: PlanConfig, planned: Plan) -> None:
    from loraexp.sweeps.forecasts.forecast import forecast  # torch: not at start

    found = forecast(planned, config.device, config.probe, BEGAN)
    if config.format == "json":
        print(json.dumps(facts(found), indent=2))
        return
    for name, text in lines(found, planned):
        first, *more = wrap(printable(text), WIDTH - LEFT) or [""]
        print(f"{name:<{LEFT}}{first}", *(" " * LEFT + line for line in more), sep="\n")
    print("", to_terminal(table(found), WIDTH), sep="\n")


def table(found: "Forecast") -> Table:
    rows = [
        [
            *(one.model, one.method, one.rank),
            *(one.counts.trainable, one.counts.total, one.counts.percent),
            *(one.counts.adapter_bytes, one.runs),
        ]
        for one in found.settings
    ]
    return Table(COLUMNS, rows)


def facts(found: "Forecast") -> dict[str, Any]:
    """All of it as numbers: bytes and seconds."""
    content = table(found)
    times = found.times and {**asdict(found.times), "total": found.times.total}
    return {
        "device": found.device.shown if found.device else "here",
        "runs": {"least": found.runs[0], "most": found.runs[1], "finished": found.there},
        "settings": [dict(zip(content.header, row, strict=True)) for row in content.rows],
        "workers": found.protocol.workers,
        "pack_width": found.protocol.width,
        "packs": found.packs,
        "process_bytes": found.process_bytes,
        "process_bytes_are_measured": found.seen,
        "does_not_fit": found.unfit,
        "disk_bytes": {"least": found.disk_bytes[0], "most": found.disk_bytes[1]},
        "disk_bytes_while_it_trains": found.passing_bytes,
        "downloads": found.downloads,
        "seconds": times,
        "no_seconds": found.why or (UNKNOWN if found.sheet else None),
        "seconds_on_units": found.on,
        "no_less_than_seconds_on_units": found.at_least,
    }


def lines(found: "Forecast", planned: Plan) -> Iterator[tuple[str, str]]:
    there = f"; {found.there} of them are finished and cost nothing" if found.there else ""
    asked = planned.protocol.asked
    follow = f" ({asked}: it depends on how they end)" if found.runs[0] < found.runs[1] else ""
    yield "runs", f"{between(*(f'{n:,}' for n in found.runs))}{follow}{there}"
    yield "work", at_work(found)
    yield "memory", remembered(found)
    kept = between(*map(size, found.disk_bytes))
    yield "disk", f"{kept} kept, and up to {size(found.passing_bytes)} more while it trains"
    fetched = (f"{what}{'' if n is None else ' ' + size(n)}" for what, n in found.downloads.items())
    yield "downloads", "; ".join(fetched) or "nothing"
    yield from timed(found)


def at_work(found: "Forecast") -> str:
    protocol, sizes = found.protocol, found.packs
    if found.device and not found.sheet:
        return "one process, one run after another"
    if found.downloads and None in (protocol.workers, protocol.width):
        return "as many processes and packs as suit the texts, when these are here"
    cluster = protocol.launcher.name if protocol.launcher.name != "local" else None
    many = protocol.workers or 1
    who = f"packs for {cluster}" if cluster else f"{many} process{'es' * (many > 1)}"
    who += " on each GPU" * bool(found.sheet and not cluster)
    if max(sizes, default=1) == 1:
        return f"{who}, each run alone"
    several = between(str(min(sizes)), str(max(sizes)))
    return f"{who}, {len(sizes)} pack{'s' * (len(sizes) > 1)} of {several} runs in step"


def remembered(found: "Forecast") -> str:
    from loraexp.runs.memory import machine_memory

    if found.unfit:
        return f"does not fit: {found.unfit}"
    if found.process_bytes is None:
        return "not known before the texts are here"
    how = "measured" if found.seen else "computed, not measured"
    each, many = found.process_bytes, found.protocol.workers or 1
    whole = "" if many == 1 else f", {size(each * many)} for {many}"
    limit = machine_memory()
    has = f"; this machine has {size(limit)}" if limit and not found.device else ""
    if found.sheet:
        has = f"; {found.sheet.shown} has {size(found.sheet.memory)}: it fits"
    return f"{size(each)} a process at its peak{whole} ({how}){has}"


def timed(found: "Forecast") -> Iterator[tuple[str, str]]:
    from loraexp.sweeps.sweep_folder import duration

    def said(ends: tuple[float, float]) -> str:
        return between(*map(duration, ends))

    if found.sheet:
        yield from bounded(found.sheet, found)
    elif found.device:
        shown, source = found.device.shown, found.device.source
        if found.on:
            parts = (f"{said(ends)} on {n}" for n, ends in found.on.items())
            yield "time", f"{', '.join(parts)}, of training steps alone, by a rate of {shown}"
            yield "measured", f"tests/benchmarks/results/{source}; one process, LoRA of rank 8"
        else:
            yield "time", found.why
    elif (times := found.times) is None:
        yield "time", found.why
    else:
        yield (
            "time",
            (
                f"{said(times.total)}: {duration(times.start + times.cold)} to start, "
                f"{said(times.runs)} of runs, {duration(times.finish)} for tables and figures "
                f"(from a probe of {duration(times.probe)})"
            ),
        )
        others = (f"{said(ends)} on {n}" for n, ends in found.on.items() if n > 1)
        yield "if more", f"{', '.join(others)} {unit()}s like this one"
    if not found.sheet and (found.device or unit() != "GPU"):
        yield "GPUs", "not measured: no GPU's figures are stored"


def bounded(sheet: "DataSheet", found: "Forecast") -> Iterator[tuple[str, str]]:
    """Of a device that nobody has measured."""
    from loraexp.sweeps.sweep_folder import duration

    each = found.at_least.items()
    parts = (f"{f'{s:.2g} s' if s < 60 else duration(s)} on {n}" for n, s in each)
    bound = (
        f"no less than {', '.join(parts)}: a lower bound by its data sheet, matrix products alone "
        f"at the peak; what it takes {UNKNOWN}, `plan` on a machine with one will"
    )
    yield "time", found.why or bound
    speed, memory = f"{sheet.flops / 1e12:.4g} TFLOP/s", size(sheet.memory)
    way = f"{sheet.bandwidth / 1e12:.3g} TB/s"
    yield "data sheet", f"{sheet.shown}: {speed} at its peak (dense, bf16), {memory} at {way}"
    yield "", sheet.source


def unit() -> str:
    from loraexp.runtime.hardware import uses_gpu

    return "GPU" if uses_gpu(TrainConfig().trainer.accelerator) else "machine"


def between(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"
