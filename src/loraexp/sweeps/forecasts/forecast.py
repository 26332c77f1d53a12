"""What was planned, told before it runs: its jobs, and what these will take."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.errors import UserError
from loraexp.model.huggingface import WEIGHTS
from loraexp.records.record import Record
from loraexp.results.tables import size
from loraexp.runs.memory import check_memory
from loraexp.runtime.quiet import quieted
from loraexp.sweeps.forecasts.ahead import UNITS, Ahead, Ends, Setting, count
from loraexp.sweeps.forecasts.at_least import at_least
from loraexp.sweeps.forecasts.devices import DataSheet, Device, find_device
from loraexp.sweeps.forecasts.needs import downloads
from loraexp.sweeps.forecasts.waves import least, most
from loraexp.sweeps.forecasts.work import Reading
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import check_jobs
from loraexp.sweeps.pace import decided
from loraexp.sweeps.plan import Plan
from loraexp.sweeps.shown.summary import Summary

log = logging.getLogger("loraexp")
MANY = 200  # runs of which a table is drawn, to know how long that takes


@dataclass(frozen=True)
class Times:
    """Seconds, from Enter to the end.

    Args:
        start: until the first run begins: libraries, jobs, data.
        cold: until each process has started and gone through its first run's new shapes.
        runs: least and most.
        finish: tables and figures of the sweep.
        probe: that it took to find out.
    """

    start: float
    cold: float
    runs: Ends
    finish: float
    probe: float

    @property
    def total(self) -> Ends:
        whole = self.start + self.cold + self.finish
        return self.runs[0] + whole, self.runs[1] + whole


@dataclass(frozen=True)
class Forecast:
    """Args:
    device: None: this machine.
    runs: least and most; of these `there` are finished.
    packs: sizes of the first wave's.
    process_bytes: peak of a process, None where the texts are not here; `seen`: it was measured.
    disk_bytes: of what is kept, least and most; passing_bytes: more, while it trains.
    times: None where nothing was measured, and `why`.
    on: least and most seconds by the number of units (this machine, or a GPU of it).
    at_least: no less than so many seconds by the number of units, of a device that has no `on`.
    """

    device: Device | DataSheet | None
    settings: Sequence[Setting]
    runs: tuple[int, int]
    there: int
    protocol: Protocol
    packs: Sequence[int]
    process_bytes: int | None
    seen: bool
    unfit: str | None
    disk_bytes: tuple[int, int]
    passing_bytes: int
    downloads: Mapping[str, int | None]
    times: Times | None
    why: str
    on: Mapping[int, Ends]
    at_least: Mapping[int, float]

    @property
    def sheet(self) -> DataSheet | None:
        """Of a device of which nothing else is known."""
        return self.device if isinstance(self.device, DataSheet) else None


def forecast(planned: Plan, device_name: str, probe: bool, began: float) -> Forecast:
    """Args:
        began: when the command did, on the monotonic clock.

    Raises:
        UserError: what a run of the plan would raise before it begins, or an unknown device.
    """
    device, reading, fetched = find_device(device_name), Reading(), downloads(planned.jobs)
    sheet = device if isinstance(device, DataSheet) else None
    # Where nothing is tried, texts and tokenizer are enough.
    here = not [what for what in fetched if not (sheet and what.startswith(WEIGHTS))]
    if here:
        sizes = check_jobs(planned.jobs)
        if planned.sweep:
            gpu = sheet.memory if sheet else None
            own = decided(planned.protocol, planned.jobs, sizes, probe and not device, gpu)
            planned = replace(planned, protocol=own)
    start = time.monotonic() - began
    ends = [*least(planned)], [*most(planned)]
    ahead = Ahead(planned, reading, ends)
    unfit, costs, why = None if sheet else does_not_fit(planned.jobs), None, ""
    if not here:
        why = "not known before that is here (python -m loraexp prepare fetches it)"
    elif unfit:
        why = "nothing to be measured"
    elif device is None and not ahead.first:
        why = "none: every run is finished"
    elif device is None and not probe:
        why = "not measured (probe=false)"
    elif device is None:
        with quieted(log, level=logging.ERROR):
            costs = ahead.measure()
    times, on, bound = None, dict[int, Ends](), dict[int, float]()
    if costs:
        finish = drawing([*ends[1][-1].configs], costs.records[0], planned.sweep is not None)
        times = Times(start, costs.cold, ahead.seconds(costs, 1), finish, costs.took)
        on = {n: replace(times, runs=ahead.seconds(costs, n)).total for n in UNITS}
    elif sheet and here:
        bound, why = at_least(ahead, sheet)
    elif isinstance(device, Device) and here:
        on, why = ahead.on(device)
    process = ahead.process(costs, sheet is not None) if here else None
    if sheet and process and process * (planned.protocol.workers or 1) > sheet.memory:
        unfit = f"{size(process)} a process (computed); {sheet.shown} has {size(sheet.memory)}"
    return Forecast(
        device=device,
        settings=ahead.settings(here),
        runs=(count(ends[0]), count(ends[1])),
        there=count(ends[1]) - sum(len(wave.missing) for wave in ends[1]),
        protocol=planned.protocol,
        packs=[len(pack) for pack in ahead.packs(ends[0][0], 1)],
        process_bytes=process,
        seen=costs is not None,
        unfit=unfit,
        disk_bytes=(ahead.disk(ends[0], here), ahead.disk(ends[1], here)),
        passing_bytes=ahead.passing(here),
        downloads=fetched,
        times=times,
        why=why,
        on=on,
        at_least=bound,
    )


def does_not_fit(configs: Sequence[TrainConfig]) -> str | None:
    """Why the memory of this machine is too small."""
    try:
        for config in configs:
            check_memory(config)
    except UserError as error:
        return str(error)
    return None


def drawing(configs: Sequence[TrainConfig], record: Record, is_sweep: bool) -> float:
    """Seconds until the table and the figures of these runs are there, drawn of what was probed."""
    true = record.predictions["test"]["predicted"]
    records = []
    for at, config in enumerate(configs[:MANY] if is_sweep else configs[:1]):
        labels = [*true]
        labels[at % len(true)] = 1 - min(1, labels[at % len(true)])  # no two are the same
        predictions = {"test": {**record.predictions["test"], "predicted": labels}}
        records.append(replace(record, config=plain(config), predictions=predictions))
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        summary = Summary.of(records)
        summary.write(Path(folder))
        summary.draw(Path(folder))
        summary.answers()
        [*summary.notes()]
    return time.monotonic() - began
