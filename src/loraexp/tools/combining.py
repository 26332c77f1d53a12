"""A new adapter from those of finished runs: a weighted sum of their changes, cut if wanted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from loraexp.adapters.algebra import change_of, truncate, weighted_sum
from loraexp.adapters.inject import saved_tensors
from loraexp.adapters.targets import HEAD
from loraexp.errors import UserError
from loraexp.runs.load import load_run
from loraexp.tools.write_run import check_free, lora_of, write_run


@dataclass(frozen=True)
class Combined:
    """What was written.

    Args:
        rank: the largest of its targets.
        lost: share of the sum that cutting lost, by Frobenius norm; 0 if it was not cut.
    """

    rank: int
    lost: float


def combine(runs: Sequence[str], weights: Sequence[float], rank: int | None, out: str) -> Combined:
    """Write sum_i w_i s_i B_i A_i as a run's folder; head, pooling and data are the first run's.

    Raises:
        UserError: less than one run, another number of weights, runs on different bases or with
            different labels, a method whose change depends on the weight, an `out` that is
            taken, or a sum that is not finite.
    """
    target, folders = Path(out), [Path(run) for run in runs]
    check_free(target)
    if not folders:
        raise UserError("runs is empty: name folders of finished runs")
    weights = weights or [1.0] * len(folders)
    if len(weights) != len(folders):
        raise UserError(f"weights must be {len(folders)} numbers, one a run, got {weights}")
    models = [load_run(run) for run in folders]
    first = models[0]
    for run, other in zip(folders, models, strict=True):
        for what in ("base_sha256", "labels"):
            if getattr(other, what) != getattr(first, what):
                what = what.removesuffix("_sha256")
                raise UserError(f"run={run} and run={folders[0]} differ in their {what}")
    change, lost = weighted_sum([change_of(model.network) for model in models], weights), 0.0
    if rank is not None:
        cut = truncate(change, rank)
        change, lost = cut.change, cut.error
    head, saved = (f"{HEAD}.weight", f"{HEAD}.bias"), saved_tensors(first.network)
    tensors: dict[str, Tensor] = {name: saved[name] for name in head if name in saved}
    for path, part in change.items():
        tensors |= {f"{path}.lora_A": part.A, f"{path}.lora_B": part.B}
    ranks = {path: part.rank for path, part in change.items()}
    lora = lora_of(ranks, dict.fromkeys(ranks, 1.0), first.config.model.n_layer)
    config = replace(first.config, method="lora", lora=lora)
    try:
        write_run(target, config, first.labels, tensors, made_by="combine")
    except ValueError as error:
        raise UserError(f"weights={weights}: the sum {error}; try smaller ones") from None
    return Combined(max(ranks.values()), lost)
