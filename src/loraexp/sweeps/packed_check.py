"""What the runs of a pack are, beside what each of them is alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors.torch import load_file

from loraexp.adapters.adapter_files import TENSORS
from loraexp.config.schema import Logger, TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.launchers.crew import crew
from loraexp.sweeps.live.watch import Unseen
from loraexp.sweeps.sweep_folder import Sweep


@dataclass(frozen=True)
class Compared:
    """A run in a pack, and alone.

    Args:
        pack: how many runs its pack had.
        bits: their adapters are the same to the bit.
        apart: the largest difference of a number of theirs, over the largest number.
        others: test texts that they label otherwise.
    """

    name: str
    pack: int
    bits: bool
    apart: float
    others: int


def compared(configs: Sequence[TrainConfig], width: int) -> Iterator[Compared]:
    """Each run, in packs of at most `width`, and alone.

    Raises:
        UserError: one that cannot be trained.
    """
    with TemporaryDirectory() as folder:
        packed = trained(configs, Path(folder) / "packed", width)
        alone = trained(configs, Path(folder) / "alone", 1)
        for ours, theirs in zip(packed, alone, strict=True):
            yield beside(ours, theirs)


def trained(configs: Sequence[TrainConfig], outputs: Path, width: int) -> list[RunFolder]:
    configs = [replace(c, output_dir=str(outputs), logger=Logger("none")) for c in configs]
    jobs = [Job(Sweep(outputs / "sweep"), at, config) for at, config in enumerate(configs)]
    with crew(Protocol(width=width), Unseen()) as doing:
        doing(jobs)
    folders = [RunFolder.of(config) for config in configs]
    for run in folders:
        if run.failed:
            raise UserError(f"{run.name} failed: {run.failure().reason}")
    return folders


def beside(ours: RunFolder, theirs: RunFolder) -> Compared:
    left, right = (load_file(run.adapter / TENSORS) for run in (ours, theirs))
    largest = max(float(tensor.abs().max()) for tensor in right.values())
    apart = max(float((left[name] - right[name]).abs().max()) for name in right) / largest
    record, other = ours.record(), theirs.record()
    pairs = zip(labels(record), labels(other), strict=True)
    same = all(left[name].equal(right[name]) for name in right)
    return Compared(ours.name, record.pack or 1, same, apart, sum(a != b for a, b in pairs))


def labels(record: Record) -> list[int]:
    return record.predictions["test"]["predicted"]
