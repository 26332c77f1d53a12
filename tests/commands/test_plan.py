"""What a plan says is what `train` would then do, and nothing is written for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra
from in_process import TINY, command
from small import small_run, trained
from verbs import plan

from loraexp.adapters.counts import Counts
from loraexp.api import run_folder
from loraexp.commands.params import ParamsConfig, params_table
from loraexp.sweeps.forecasts import ahead, needs
from loraexp.sweeps.forecasts.costs import Cost, Costs, kind_of
from loraexp.sweeps.forecasts.needs import disk

SWEEP = ("lora.rank=2,4", "seed=0,1", "-m")


@pytest.fixture(autouse=True)
def fresh_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def said(folder: Path, *typed: str) -> dict[str, Any]:
    status, out, err = command(folder, "plan", "train", *TINY, "format=json", *typed)
    assert status == 0, err
    content: dict[str, Any] = json.loads(out)
    return content


@pytest.mark.parametrize(
    "typed",
    [
        SWEEP,
        pytest.param(("experiment=rank_sweep",), marks=pytest.mark.slow),
        ("method=lora,head", "seeds=auto"),
        ("lora.rank=3",),
    ],
    ids=" ".join,
)
def test_its_jobs_are_those_of_train(typed: tuple[str, ...]) -> None:
    own, theirs = (plan(verb, [*typed]) for verb in ("plan", "train"))
    assert [one.run() for one in own.jobs] == theirs.jobs
    assert own.protocol == theirs.protocol


def test_parameters_are_those_that_params_counts(tmp_path: Path) -> None:
    found = said(tmp_path, *SWEEP, "probe=false")
    (config,) = plan("params", ["model=tiny", "ranks=[2,4]"]).jobs
    assert isinstance(config, ParamsConfig)
    counted = params_table(config)
    rows = [dict(zip(counted.header, row, strict=True)) for row in counted.rows]
    assert [{**row, "runs": 2} for row in rows] == found["settings"]


def test_nothing_is_written(tmp_path: Path) -> None:
    said(tmp_path, *SWEEP, "probe=false")
    assert not [*tmp_path.iterdir()]


def test_finished_runs_cost_nothing(tmp_path: Path) -> None:
    typed = (f"output_dir={tmp_path}", "trainer.max_epochs=1")
    (done, _) = plan("train", [*TINY, *typed, "lora.rank=2,4", "-m"]).jobs
    sizes = [said(tmp_path, *typed, "lora.rank=2,4", "-m", "probe=false")]
    trained(done)
    sizes += [said(tmp_path, *typed, "lora.rank=2,4", "-m", "probe=false")]
    assert [one["runs"]["finished"] for one in sizes] == [0, 1]
    assert sizes[0]["disk_bytes"]["most"] > sizes[1]["disk_bytes"]["most"]


def test_a_probe_gives_seconds_of_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = trained(small_run(tmp_path / "elsewhere", epochs=1, logger="none"))

    def rates(configs: Any, workers: int, width: int, reading: Any) -> Costs:
        cost = Cost(fixed=10.0, epoch=0.0, train=0.0, forward=0.0, peak=10**9, shapes=10**6)
        return Costs(7.0, {kind_of(one): cost for one in configs}, [record], 3.0)

    monkeypatch.setattr(ahead, "measured", rates)
    found = said(tmp_path, *SWEEP, "workers=2", "pack.width=1")
    seconds = found["seconds"]
    assert (seconds["cold"], seconds["probe"], seconds["runs"]) == (7, 3, [20, 20])
    assert seconds["total"][0] == pytest.approx(27 + seconds["start"] + seconds["finish"])
    on = {int(n): ends[0] for n, ends in found["seconds_on_units"].items()}
    assert on[1] - on[4] == on[1] - on[16] == 10  # four runs: no more than four are at work
    assert (found["process_bytes"], found["process_bytes_are_measured"]) == (10**9, True)
    assert not [path for path in tmp_path.iterdir() if path.name != "elsewhere"]


def test_a_tuned_sweep_says_a_range(tmp_path: Path) -> None:
    typed = (*SWEEP[:-1], "tune=lr", "tune.most=4", "-m", "probe=false")
    assert said(tmp_path, *typed)["runs"] == {"least": 10, "most": 12, "finished": 0}
    status, out, _ = command(tmp_path, "plan", "train", *TINY, *typed)
    assert status == 0
    assert "10 to 12" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("device=v100",), "data sheet stored; known: here, epyc-2-cores, h100, h200, a100"),
        (("probe=true,false", "-m"), "probe has several values: give one"),
        (("hydra/launcher=basic", *SWEEP), "plan knows no launcher or sweeper of Hydra's"),
        (("lora.rank=2,0", "-m"), "lora.rank must be at least 1, got 0"),
        (("verb=eval",), "unknown verb 'eval'"),
        (("lora.target_modules=[none]",), "lora.target_modules"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_mistakes_are_told_before_anything_is_measured(
    typed: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    status, out, err = command(tmp_path, "plan", "train", *TINY, *typed)
    assert (status, out) == (2, "")
    assert message in err
    assert not [*tmp_path.iterdir()]


def test_of_another_device_only_what_was_measured_is_said(tmp_path: Path) -> None:
    typed = ("device=epyc-2-cores", "data.limit=24")
    tiny = said(tmp_path, *typed)
    assert (tiny["seconds_on_units"], tiny["no_seconds"]) == (
        {},
        "not measured of lora on tiny (of methods with a branch on nano, distilgpt2, gpt2, "
        "gpt2-medium)",
    )
    nano = said(tmp_path, *typed, "model=nano", "seed=0,1,2,3", "-m")
    on = {int(n): ends[0] for n, ends in nano["seconds_on_units"].items()}
    assert on[1] == pytest.approx(4 * on[4]) == pytest.approx(4 * on[16])


def test_of_a_data_sheet_all_but_time_is_said_and_of_time_a_bound(tmp_path: Path) -> None:
    typed = ("method=lora,full", "lora.rank=2", "seed=0,1", "-m", "workers=1", "pack.width=2")
    here, there = (
        said(tmp_path, *typed, *more)
        for more in (("probe=false",), ("device=h100", "trainer.precision=auto"))
    )
    same = ("runs", "settings", "packs", "disk_bytes", "downloads")
    assert [here[name] for name in same] == [there[name] for name in same]
    assert (there["seconds"], there["seconds_on_units"]) == (None, {})
    (one, four, many) = there["no_less_than_seconds_on_units"].values()
    assert one > four == many > 0  # four runs, of which the longest is more than a quarter
    assert here["no_less_than_seconds_on_units"] == {}  # the control


def test_a_gpu_that_is_not_here_gets_packs_as_wide_as_fit_into_it(tmp_path: Path) -> None:
    typed = ("model=gpt2", "model.weights=random", "data.limit=24", "seed=range(20)", "-m")
    status, out, err = command(tmp_path, "plan", "train", *typed, "device=h100")
    assert status == 0, err
    assert "2 packs of 10 runs in step" in out
    assert "NVIDIA H100 SXM has 80.0 GB: it fits" in " ".join(out.split())
    assert "no less than" in out
    assert "what it takes nobody has measured" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_what_does_not_fit_into_a_gpu_is_said(tmp_path: Path) -> None:
    found = said(tmp_path, "device=a100", "data.batch_size=10000000")
    assert found["process_bytes"] > 80 * 10**9
    assert "a process (computed); NVIDIA A100 80GB SXM has 80.0 GB" in found["does_not_fit"]


def test_where_runs_may_end_early_there_is_no_bound(tmp_path: Path) -> None:
    typed = ("lora.rank=2,4", "search.trials=2", "search.pruner=median", "device=h100")
    found = said(tmp_path, *typed)
    assert found["no_less_than_seconds_on_units"] == {}
    assert found["no_seconds"] == "no least is known: search.pruner=median ends trials early"
    assert said(tmp_path, *typed, "search.pruner=none")["no_seconds"] == "nobody has measured"


def test_what_would_be_fetched_is_said_and_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "sms_spam_at_hand", lambda data: None)
    monkeypatch.setattr(needs, "at_hand", lambda model: False)
    monkeypatch.setattr(needs, "tokenizer_at_hand", lambda model: False)
    status, out, err = command(
        tmp_path, "plan", "train", "model=gpt2", "data=sms_spam", "format=json"
    )
    assert status == 0, err
    found = json.loads(out)
    assert [*found["downloads"].values()] == [477_907, 4 * 124_439_808, None]
    assert (found["seconds"], found["process_bytes"]) == (None, None)
    assert said(tmp_path, "probe=false")["downloads"] == {}  # the control


def test_what_a_higher_rank_adds_to_the_disk_is_what_it_left(tmp_path: Path) -> None:
    left, computed = [], []
    for rank in (2, 32):
        config = small_run(tmp_path, epochs=1, logger="none")
        config.lora.rank = rank
        counts = trained(config).counts
        files = [file for file in run_folder(config).rglob("*") if file.is_file()]
        left.append(sum(file.stat().st_size for file in files))
        own = Counts(int(counts["trainable"]), int(counts["total"]), int(counts["adapted_modules"]))
        computed.append(disk(config, own, 24, "whole"))
    assert computed[1] - computed[0] == pytest.approx(left[1] - left[0], rel=0.01)
