"""Weights & Biases, with the real client, offline: what a run leaves for `wandb sync`."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from offline import records_of

from loraexp.api import run_folder
from loraexp.config.schema import Logger, TrainConfig
from loraexp.errors import UserError
from loraexp.sweeps.shown.outcome import show
from loraexp.training.callbacks.sanity import SanityChecks
from loraexp.training.run import train


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key anywhere, as on a fresh machine."""
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")


def read_offline(folder: Path) -> dict[str, Any]:
    """The records the client wrote, by kind; history and summary by name."""
    found = records_by_kind(folder)
    until = time.monotonic() + 30  # a process of the client's own writes, and may still be at it
    while not found["exit"] and time.monotonic() < until:
        time.sleep(0.2)
        found = records_by_kind(folder)
    items = [item for history in found["history"] for item in history.item]
    summaries = [item for summary in found["summary"] for item in summary.update]
    return {
        "run": found["run"][0],
        "exit": [exit.exit_code for exit in found["exit"]],
        "history": {i.key or i.nested_key[0] for i in items},
        "summary": {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in summaries},
    }


def records_by_kind(folder: Path) -> dict[str, list[Any]]:
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return records_of(file)


def stop(*_: Any) -> None:
    raise UserError("stopped")


def wandb_config(config: TrainConfig) -> TrainConfig:
    return replace(config, logger=Logger(name="wandb", project="tests"))


@pytest.mark.usefixtures("offline")
def test_run_without_a_login_is_kept_offline_with_config_curves_metrics_table_and_plot(
    small: TrainConfig,
) -> None:
    config = wandb_config(small)
    record = train(config, group="sweep-1")
    kept = read_offline(run_folder(config))
    assert kept["run"].project == "tests"
    assert kept["run"].run_group == "sweep-1"
    assert kept["run"].display_name == run_folder(config).name
    saved = {item.key: json.loads(item.value_json) for item in kept["run"].config.update}
    assert saved["lora"]["rank"] == config.lora.rank
    assert {"train_loss", "val_loss", "loss", "run", "confusion"} <= kept["history"]
    assert kept["summary"]["test/accuracy"] == record.metrics["test"]["accuracy"]
    assert kept["summary"]["counts/trainable"] == record.counts["trainable"]
    assert kept["exit"] == [0]
    # An artifact's record names the file that `wandb sync` is to send; that name stays here.
    records = records_by_kind(run_folder(config))
    told = str({kind: found for kind, found in records.items() if kind != "artifact"})
    assert "~/outputs" in told
    assert not [own for own in (os.environ["HOME"], os.getcwd(), sys.executable) if own in told]
    assert (kept["run"].host, records["environment"], records["output_raw"]) == ("", [], [])


@pytest.mark.usefixtures("offline")
def test_jobs_of_a_sweep_are_separate_runs_of_one_group(small: TrainConfig) -> None:
    jobs = [wandb_config(replace(small, seed=seed)) for seed in (0, 1)]
    for job in jobs:
        train(job, group="sweep-2")
    first, second = (read_offline(run_folder(job))["run"] for job in jobs)
    assert first.run_id != second.run_id
    assert first.run_group == second.run_group == "sweep-2"
    assert first.display_name != second.display_name


@pytest.mark.usefixtures("offline")
def test_run_that_fails_is_marked_as_failed(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = wandb_config(small)
    monkeypatch.setattr(SanityChecks, "on_train_start", stop)
    with pytest.raises(UserError):
        train(config)
    assert read_offline(run_folder(config))["exit"] == [1]


@pytest.mark.usefixtures("offline")
def test_a_run_that_goes_on_goes_on_in_its_run_of_wandb(small: TrainConfig) -> None:
    config = wandb_config(small)
    for attempt in ("run-20250101_101010-first", "offline-run-20250102_101010-second"):
        (run_folder(config) / "wandb" / attempt).mkdir(parents=True)
    train(config)
    train(other := wandb_config(replace(small, seed=1)))
    assert read_offline(run_folder(config))["run"].run_id == "second"
    assert read_offline(run_folder(other))["run"].run_id != "second"


@pytest.mark.usefixtures("offline")
def test_a_sweep_has_a_summary_run_of_tables_and_figures_and_a_line_that_sends_all(
    small: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = [wandb_config(replace(small, seed=seed)) for seed in (0, 1)]
    records = [train(job, group="sweep-3") for job in jobs]
    folder = tmp_path / "outputs" / "sweeps" / "sweep-3"
    show(records, folder)
    kept = read_offline(folder)
    assert kept["run"].run_group == "sweep-3"
    assert kept["run"].job_type == "summary"
    assert {"runs", "comparison", "confusion"} <= kept["history"]
    assert kept["exit"] == [0]
    said = capsys.readouterr().out.splitlines()[-1]
    patterns = said.partition("wandb sync ")[2].split()
    assert len(patterns) == 3
    assert all([*Path("/").glob(pattern.removeprefix("/"))] for pattern in patterns)
