"""combine: sums of finished runs' adapters do what the sum of their changes does."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import trained

from loraexp.adapters.algebra import change_of
from loraexp.api import run_folder
from loraexp.commands.combine import CombineConfig
from loraexp.commands.combine import run as command
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.runs.load import load_run
from loraexp.tools.combining import combine


@pytest.fixture
def runs(small: TrainConfig) -> list[Path]:
    """Different seeds, ranks, targets and methods."""
    other = replace(small.lora, rank=3, target_modules=["v_proj", "fc1"])
    configs = [small, replace(small, seed=1, lora=other), replace(small, seed=2, method="vera")]
    for config in configs:
        trained(config)
    return [run_folder(config) for config in configs]


def dense(run: Path) -> dict[str, torch.Tensor]:
    return {path: part.dense() for path, part in change_of(load_run(run).network).items()}


def test_a_sum_is_the_sum_of_the_changes(runs: list[Path], tmp_path: Path) -> None:
    weights = [0.5, -2.0, 1.0]
    out = tmp_path / "sum"
    found = combine(
        **vars(CombineConfig(runs=[str(r) for r in runs], weights=weights, out=str(out)))
    )
    assert (found.rank, found.lost) == (2 + 3 + 2, 0.0)  # v_proj is a target of all three
    parts, total = [dense(run) for run in runs], dense(out)
    assert total.keys() == {path for part in parts for path in part}
    for path, change in total.items():
        wanted = sum(w * part[path] for w, part in zip(weights, parts, strict=True) if path in part)
        assert torch.allclose(change, torch.as_tensor(wanted), rtol=0, atol=1e-7)  # stored in fp32
    made, kept = load_run(out), load_run(runs[0])
    config, first = made.config, kept.config
    assert made.labels == kept.labels
    assert torch.equal(made.network.score.weight, kept.network.score.weight)
    assert config.data == first.data


def test_an_adapter_less_itself_is_none(runs: list[Path], tmp_path: Path) -> None:
    pair = [str(runs[0]), str(runs[0])]
    combine(**vars(CombineConfig(runs=pair, weights=[1.0, -1.0], out=str(tmp_path / "none"))))
    assert max(float(change.abs().max()) for change in dense(tmp_path / "none").values()) <= 1e-9
    assert max(float(change.abs().max()) for change in dense(runs[0]).values()) > 1e-3


def test_a_cut_has_the_rank_and_says_what_it_lost(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "cut"
    pair = [str(run) for run in runs[:2]]
    command(CombineConfig(runs=pair, rank=1, out=str(out)))
    exact = combine(**vars(CombineConfig(runs=pair, out=str(tmp_path / "whole"))))
    assert exact.rank == 5
    whole, cut = dense(tmp_path / "whole"), dense(out)
    assert {int(torch.linalg.matrix_rank(change, tol=1e-6)) for change in cut.values()} == {1}
    lost = sum(float((whole[p] - cut[p]).square().sum()) for p in whole) ** 0.5
    share = lost / sum(float(w.square().sum()) for w in whole.values()) ** 0.5
    assert f"rank 1, {share:.2%} of the sum lost" in capsys.readouterr().out


def test_what_cannot_be_added_is_refused(
    runs: list[Path], small: TrainConfig, tmp_path: Path
) -> None:
    dora = replace(small, method="dora")
    elsewhere = replace(small, model=replace(small.model, init_seed=3))
    for config in (dora, elsewhere):
        trained(config)
    out = str(tmp_path / "o")
    for folders, weights, words in (
        ([], [], "runs is empty"),
        (runs[:2], [1.0], "weights must be 2 numbers, one a run"),
        ([runs[0], run_folder(dora)], [], "dora makes depends on the weight"),
        ([runs[0], run_folder(elsewhere)], [], "differ in their base"),
        ([runs[0]], [3e38], r"^weights=\[3e\+38\]: the sum .* not finite; try smaller ones$"),
    ):
        given = [str(folder) for folder in folders]
        with pytest.raises(UserError, match=words):
            combine(**vars(CombineConfig(runs=given, weights=weights, out=out)))
    assert not Path(out).exists()
