"""pack.width=N: runs of a sweep in step leave what each leaves alone, whatever cuts them short."""

import csv
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from in_process import TINY, command, train

from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import TrainConfig
from loraexp.model.classifier import GPT2Classifier
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.packed_check import beside
from loraexp.sweeps.packs import packs, shared, why_apart
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.callbacks import prefix_cache
from loraexp.training.packs.lockstep import Member, Pack
from loraexp.training.packs.network import PackNetwork

GRID = [
    *("lora.rank=1,3", "optim.lr=1e-3,1e30", "seed=0,1", "lora.dropout=0.1"),
    *("trainer.max_epochs=2", "logger=csv", "-m"),
]
RUNS = 8


def runs(folder: Path) -> dict[str, RunFolder]:
    return {path.name: RunFolder(path) for path in (folder / "outputs" / "train").iterdir()}


def curves(run: RunFolder) -> list[list[float]]:
    """All numbers of metrics.csv but the speed."""
    with (run.path / "metrics.csv").open() as file:
        rows = [*csv.DictReader(file)]
    return [[float(row[k] or 0) for k in sorted(row) if k != "texts_per_second"] for row in rows]


def check_same(packed: dict[str, RunFolder], alone: dict[str, RunFolder]) -> None:
    assert packed.keys() == alone.keys()
    for name, run in packed.items():
        if run.failed:
            assert run.failure().reason == alone[name].failure().reason
            continue
        compared = beside(run, alone[name])
        assert compared.apart <= 1e-5, compared
        assert compared.others == 0
        assert torch.allclose(torch.tensor(curves(run)), torch.tensor(curves(alone[name])))
        ours, theirs = run.record(), alone[name].record()
        assert (ours.epochs, ours.best_epoch, ours.steps) == (
            *(theirs.epochs, theirs.best_epoch, theirs.steps),
        )
        assert {f.name for f in run.path.iterdir()} == {f.name for f in alone[name].path.iterdir()}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunFolder]:
    """Eight runs, four of which fail, one after another."""
    folder = tmp_path_factory.mktemp("alone")
    assert train(folder, *GRID)[0] == 1
    return runs(folder)


def test_a_sweep_in_packs_leaves_what_its_runs_leave_alone(
    alone: dict[str, RunFolder], tmp_path: Path
) -> None:
    assert train(tmp_path, *GRID, "pack.width=8")[0] == 1
    found = runs(tmp_path)
    check_same(found, alone)
    assert sum(run.failed for run in found.values()) == RUNS // 2
    records = [run.record() for run in found.values() if run.finished]
    assert {record.pack for record in records} == {RUNS}
    assert {run.record().pack for run in alone.values() if run.finished} == {1}


@pytest.mark.parametrize("then", ["pack.width=1", "pack.width=3"])
def test_a_pack_that_was_cut_short_goes_on_in_any_other(
    then: str, alone: dict[str, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def until(self: Pack, waiting: Sequence[Member]) -> None:
        calls.append(len(waiting))
        if len(calls) == 12:  # in the second epoch
            raise KeyboardInterrupt
        serve(self, waiting)

    serve = Pack.serve
    monkeypatch.setattr(Pack, "serve", until)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, *GRID, "pack.width=8")
    monkeypatch.setattr(Pack, "serve", serve)
    assert not any(run.finished for run in runs(tmp_path).values())
    status, _, said = train(tmp_path, *GRID, then)
    assert status == 1
    assert said.count("going on after epoch 1") == RUNS // 2
    check_same(runs(tmp_path), alone)


@pytest.mark.slow
def test_so_do_methods_that_draw_or_ask_the_data(tmp_path: Path) -> None:
    """Each beside others of its kind and of other kinds."""
    methods = "method=dylora,lora_ga,eva,oft,randlora"
    words = [methods, "lora.rank=4", "seed=0,1", "trainer.max_epochs=2", "logger=csv", "-m"]
    found = []
    for width in (1, 10):
        (folder := tmp_path / str(width)).mkdir()
        assert train(folder, *words, f"pack.width={width}")[0] == 0
        found.append(runs(folder))
    assert {run.record().pack for run in found[1].values()} == {10}
    check_same(found[1], found[0])


def test_what_shares_no_base_is_done_alone_and_said(tmp_path: Path) -> None:
    _, _, said = train(
        tmp_path, "method=lora,full,head", "seed=0,1", "trainer.max_epochs=1", "-m", "pack.width=9"
    )
    assert "2 of 6 jobs are done alone, not in a pack: method=full trains tensors of the" in said
    packed = {run.record().config["method"]: run.record().pack for run in runs(tmp_path).values()}
    assert packed == {"lora": 4, "full": 1, "head": 4}


def test_frozen_blocks_are_computed_once_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled = []

    def counted(network: GPT2Classifier, *rest: Any) -> None:
        filled.append(network)
        fill(network, *rest)

    fill = prefix_cache.fill
    monkeypatch.setattr(prefix_cache, "fill", counted)
    words = ["method=head", "seed=0,1", "optim.lr=1e-2,1e-3", "trainer.max_epochs=2", "-m"]
    for folder, more, fills in (("packed", "pack.width=4", 2), ("alone", "pack.width=1", 8)):
        (tmp_path / folder).mkdir()
        filled.clear()
        assert train(tmp_path / folder, *words, "logger=csv", more)[0] == 0
        assert len(filled) == fills  # of train and validation texts
    check_same(runs(tmp_path / "packed"), runs(tmp_path / "alone"))


def test_a_tuned_sweep_finds_the_same_rates_in_packs(tmp_path: Path) -> None:
    words = ["lora.rank=1,2", "seed=0,1", "tune=lr", "tune.most=3", "trainer.max_epochs=1", "-m"]
    found = []
    for folder, more in (("packed", "pack.width=4"), ("alone", "pack.width=1")):
        (tmp_path / folder).mkdir()
        assert train(tmp_path / folder, *words, more)[0] == 0
        found.append({name for name, run in runs(tmp_path / folder).items() if run.finished})
    assert found[0] == found[1]
    trials = [RunFolder(p) for p in (tmp_path / "packed" / "outputs" / "train").iterdir()]
    assert sum(run.tried for run in trials) >= 6


def test_what_does_not_fit_into_memory_at_once_is_done_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(self: PackNetwork, texts: dict[int, Any], stream: Any = None) -> Any:
        raise MemoryError

    monkeypatch.setattr(PackNetwork, "logits", short)
    status, _, said = train(tmp_path, "seed=0,1", "trainer.max_epochs=1", "-m", "pack.width=2")
    assert status == 0
    assert said.count("not in a pack: all of them do not fit into memory at once") == 2
    assert {run.record().pack for run in runs(tmp_path).values()} == {1}


class Release(logging.Handler):
    """Lets a process go on when it is said that its run is not done in the pack."""

    def __init__(self, stdin: IO[str]) -> None:
        super().__init__()
        self.stdin = stdin

    def emit(self, record: logging.LogRecord) -> None:
        if "not in a pack" in record.getMessage():
            self.stdin.close()


def test_a_run_that_another_process_holds_is_done_afterwards(tmp_path: Path) -> None:
    words, names = ["seed=0,1", "trainer.max_epochs=1"], tmp_path / "names"
    names.mkdir()
    code = (
        "import select, sys\n"
        "from pathlib import Path\n"
        "from loraexp.runs.run_folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).held():\n"
        "    print('held', flush=True)\n"
        "    select.select([sys.stdin], [], [], 60)\n"
    )
    train(names, *words[1:], "seed=1")
    (name,) = runs(names)
    held = tmp_path / "outputs" / "train" / name
    with subprocess.Popen(
        [sys.executable, "-c", code, str(held)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        release = Release(process.stdin)
        logging.getLogger("loraexp").addHandler(release)
        status, _, said = train(tmp_path, *words, "-m", "pack.width=2")
        logging.getLogger("loraexp").removeHandler(release)
    assert status == 0
    assert "is done alone, not in a pack" in said
    assert all(run.finished for run in runs(tmp_path).values())


methods = st.sampled_from([*METHODS])


@given(
    made=st.lists(st.tuples(methods, st.integers(0, 3), st.booleans()), max_size=30),
    width=st.integers(1, 9),
    workers=st.integers(1, 4),
)
def test_every_job_is_in_one_pack(
    made: list[tuple[str, int, bool]], width: int, workers: int
) -> None:
    jobs = []
    for number, (method, seed, other) in enumerate(made):
        config = as_method(TrainConfig(output_dir="nowhere", seed=seed), method)
        config.model.dropout = 0.1 * other
        jobs.append(Job(Sweep(Path("nowhere")), number, config))
    parts = packs(jobs, width, workers)
    assert sorted(job.number for part in parts for job in part) == [*range(len(jobs))]
    for part in parts:
        assert len(part) <= width
        assert len({shared(job.config) for job in part}) == 1
        assert len(part) == 1 or not any(why_apart(job.config) for job in part)
    together = [part for part in parts if not why_apart(part[0].config)]
    several = [len(part) for part in together if shared(part[0].config) == shared(jobs[0].config)]
    assert not several or width == 1 or max(several) - min(several) <= 1


@pytest.mark.parametrize("width", ["0", "-1", "1.5", "all", "99999"])
def test_a_width_is_a_number_or_auto(width: str, tmp_path: Path) -> None:
    status, _, said = train(tmp_path, "seed=0,1", "-m", f"pack.width={width}")
    assert status == 2
    assert "pack.width must be auto or a number from 1 to 9999" in said


def test_verify_packed_shows_how_far_runs_are_apart(tmp_path: Path) -> None:
    words = [w for w in TINY if not w.startswith("logger")]
    status, out, _ = command(
        tmp_path, "verify_packed", *words, "trainer.max_epochs=1", "seed=0,1", "-m"
    )
    assert status == 0
    rows = [line.split() for line in out.splitlines() if line.startswith("sms_demo")]
    assert len(rows) == 2
    assert all(row[1] == "2" and float(row[3]) <= 1e-5 and row[4] == "0" for row in rows)
    assert not [*tmp_path.iterdir()]
    status, _, said = command(
        tmp_path, "verify_packed", *words, "search.trials=2", "lora.rank=1,2", "-m"
    )
    assert (status, "takes a plain sweep: leave out search.trials" in said) == (2, True)


@pytest.mark.slow
def test_each_run_of_a_pack_has_a_run_of_weights_and_biases(tmp_path: Path) -> None:
    words = ["seed=0,1", "trainer.max_epochs=1", "logger=wandb", "-m", "pack.width=2"]
    assert train(tmp_path, *words)[0] == 0
    for run in runs(tmp_path).values():
        assert run.record().pack == 2
        assert len([*run.path.glob("wandb/offline-run-*")]) == 1


@pytest.mark.slow
def test_kills_of_workers_with_packs_change_nothing(
    alone: dict[str, RunFolder], tmp_path: Path
) -> None:
    """kill -9 of the whole command, again and again, at other times each."""
    words = ["train", *TINY, *GRID, "workers=2", "pack.width=2", "trainer.max_epochs=2"]
    asked = [sys.executable, "-m", "loraexp", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    for wait in (9, 11, 13, 15):
        process = subprocess.Popen(
            asked, cwd=tmp_path, env=environment, start_new_session=True, stderr=subprocess.DEVNULL
        )
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert train(tmp_path, *GRID, "pack.width=5")[0] == 1
    check_same(runs(tmp_path), alone)
