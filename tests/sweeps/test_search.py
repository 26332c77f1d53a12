"""Optuna's search as typed on the command line: validation alone guides it, test is read once."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

PRESENT = find_spec("hydra_plugins") and find_spec("hydra_plugins.hydra_optuna_sweeper")
TINY = [
    "model=tiny",
    "data.limit=24",
    "trainer.max_epochs=1",
    "logger=none",
]
needs_plugin = pytest.mark.skipif(
    not PRESENT, reason="no hydra-optuna-sweeper: pip install it to run this"
)
SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "lora.rank=choice(1,2,4)"]


def loraexp(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loraexp", "train", *TINY, *arguments, "-m"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.skipif(
    bool(PRESENT),
    reason="tests what is said where hydra-optuna-sweeper is missing, and here it is not",
)
def test_without_the_plugin_one_line_says_what_to_install(tmp_path: Path) -> None:
    done = loraexp(tmp_path, *SEARCH)
    assert done.returncode == 2
    assert done.stderr == "error: hydra/sweeper=optuna needs: pip install hydra-optuna-sweeper\n"


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("search")
    lr = "optim.lr=tag(log,interval(1e-4,1e-1))"
    return folder, loraexp(folder, *SEARCH, lr)


@needs_plugin
def test_it_ends_with_the_best_trial_alone_measured_on_test(
    searched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = searched
    assert done.returncode == 0, done.stderr
    (table,) = folder.glob("outputs/sweeps/*/trials.csv")
    trials = pd.read_csv(table)
    assert len(trials) == 4
    assert trials["validation_loss"].is_monotonic_increasing
    (record,) = folder.glob("outputs/train/*/record.json")  # no other trial has test figures
    loss = json.loads(record.read_text())["metrics"]["validation"]["loss"]
    assert loss == pytest.approx(trials["validation_loss"].min(), abs=1e-12)
    scored = [*folder.glob("outputs/train/*/validation.json")]
    assert len(scored) >= 3
    assert all("test" not in json.loads(file.read_text()) for file in scored)
    assert "job 4 of 4; best validation loss so far" in done.stderr


@needs_plugin
def test_the_same_search_again_trains_nothing(
    searched: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, first = searched
    done = loraexp(folder, *SEARCH, "optim.lr=tag(log,interval(1e-4,1e-1))")
    assert "parameters train" not in done.stderr
    assert done.stdout.split("The best")[0] == first.stdout.split("The best")[0]


@needs_plugin
def test_jobs_that_fail_are_told_and_do_not_end_the_search(tmp_path: Path) -> None:
    done = loraexp(
        tmp_path,
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=3",
        "optim.lr=choice(0.01,1e30)",
    )
    assert "failed: the loss is" in done.stderr
    assert done.returncode == 1, done.stderr
    assert "of 2 jobs failed; the same command tries these again" in done.stderr.splitlines()[-1]
    assert "\x1b[" not in done.stderr
    assert "the loss is" in done.stdout
