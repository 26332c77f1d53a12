"""The command that lists runs and removes those that are named."""

import csv
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock
from in_process import command
from lightning.pytorch import Callback, LightningModule, Trainer
from made_records import MakeRecord

from loraexp.commands.runs import rows
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.records.record import Failure, Record, Trial
from loraexp.runs.run_folder import LOCK, RunFolder
from loraexp.sweeps.shown.listing import STATES, listing
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.run import train


@pytest.fixture
def outputs(tmp_path: Path, make_record: MakeRecord) -> Path:
    """A run of each state, by its name; the damaged one is the newest."""
    folder, made = tmp_path / "outputs" / "train", make_record({"seed": 1})
    when = "2026-11-{:02}T10:00:00+00:00".format
    make_record({"seed": 1}, name="finished", finished=when(10)).write(folder / "finished")
    Failure("failed", made.config, "no memory", when(11)).write(folder / "failed")
    scores = made.metrics["validation"]
    Trial("scored", made.config, scores, when(12)).write(folder / "scored")
    for name in ("cut_short", "running"):
        run = RunFolder(folder / name)
        run.write_config(replace(TrainConfig(), seed=1))
        (run.path / LOCK).touch()
    curves = "epoch,val_loss,train_loss\n0,,0.5\n0,0.4,\n1,0.3,\n2,,0.2\n"
    (folder / "cut_short" / "metrics.csv").write_text(curves)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "record.json").write_text("{")
    return tmp_path


@pytest.fixture
def runs(outputs: Path) -> Callable[..., tuple[int, str, str]]:
    """Of `runs` beside what is trained there just now."""

    def listed(*words: str) -> tuple[int, str, str]:
        with FileLock(outputs / "outputs" / "train" / "running" / LOCK):
            return command(outputs, "runs", *words)

    return listed


Runs = Callable[..., tuple[int, str, str]]


def there(outputs: Path) -> set[str]:
    return {run.name for run in (outputs / "outputs" / "train").iterdir()}


def test_each_run_is_listed_with_what_it_came_to_the_newest_first(runs: Runs) -> None:
    status, out, _ = runs()
    assert status == 0
    *lines, last = out.splitlines()
    told = {line.split()[0]: line for line in lines}
    assert [*told][-3:] == ["scored", "failed", "finished"]
    assert {*told} == {*STATES}
    day = datetime(2026, 11, 10, 10, tzinfo=UTC).astimezone()
    assert told["finished"].split() == ["finished", *f"{day:%Y-%m-%d %H:%M}".split(), "sms_demo",
                                        "test", "97.3%"]  # fmt: skip
    assert told["failed"].endswith("  failed: no memory")
    assert told["scored"].endswith("  validation loss 0.1312")
    assert told["cut_short"].endswith("  cut short after 2 of 3 epochs")
    assert told["running"].endswith("  running")
    assert "damaged: " in told["damaged"]
    assert last.startswith("6 runs (")
    assert "delete" not in last


@pytest.mark.parametrize("state", STATES)
def test_a_state_is_a_condition(runs: Runs, state: str) -> None:
    status, out, _ = runs(f"where=[state={state}]", "format=csv")
    (row,) = csv.DictReader(out.splitlines())
    assert (status, row["state"], Path(row["run"]).name) == (0, state, state)


def test_conditions_are_those_of_table_and_hold_together(runs: Runs) -> None:
    _, out, _ = runs("where=[seed=1,state=finished|failed]", "format=json")
    assert {row["state"] for row in json.loads(out)} == {"finished", "failed"}
    assert runs("where=[seed=2]")[1] == "0 runs, 0 B\n"


def test_a_config_is_known_of_all_but_the_damaged(runs: Runs) -> None:
    _, out, _ = runs("where=[data.name=sms_demo]", "format=json")
    assert {row["state"] for row in json.loads(out)} == {*STATES} - {"damaged"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["where=[sead=1]"], "where=sead=1: no key 'sead'; did you mean 'seed'?"),
        (["where=[stat=failed]"], "where=stat=failed: no key 'stat'; did you mean 'state'?"),
        (["where=[state=faild]"], "unknown state 'faild'; did you mean 'failed'?"),
        (["where=[failed]"], "where=failed: write key=value"),
        (["runs=[nowhere]"], "runs=nowhere: no such folder"),
        (["delete=true"], "delete=true needs to be told which runs"),
        (["delete=true", "runs=[outputs]"], "delete=true needs to be told which runs"),
        (["delete=true", "runs=[outputs/train]"], "delete=true needs to be told which runs"),
        (["delete=true", "runs=[.,outputs/train/failed]"], "delete=true needs to be told which"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_removes_nothing(
    runs: Runs, outputs: Path, words: list[str], message: str
) -> None:
    status, out, err = runs(*words)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1
    assert there(outputs) == {*STATES}


def test_what_a_condition_names_is_counted_first_and_removed_when_asked(
    runs: Runs, outputs: Path
) -> None:
    where = "where=[state=failed|cut_short]"
    *_, last = runs(where)[1].splitlines()
    assert last.startswith("2 runs (1 cut short, 1 failed), ")
    assert last.endswith("; the same command with delete=true removes them")
    assert there(outputs) == {*STATES}
    *_, last = runs(where, "delete=true")[1].splitlines()
    assert last.startswith("2 of 2 runs removed, ")
    assert there(outputs) == {*STATES} - {"failed", "cut_short"}


def test_what_is_held_or_not_ours_alone_is_kept_and_named(runs: Runs, outputs: Path) -> None:
    (outputs / "outputs" / "train" / "failed" / "notes.txt").write_text("mine")
    status, out, err = runs("where=[seed=1]", "delete=true")
    assert status == 0
    assert out.splitlines()[-1].startswith("3 of 5 runs removed, ")
    assert there(outputs) == {"running", "failed", "damaged"}
    kept = sorted(err.splitlines())
    assert len(kept) == 2
    assert kept[0].endswith("failed: it holds what no run has written: notes.txt")
    assert kept[1].endswith("running is being trained by another process")


def test_folders_of_runs_are_enough_to_say_which(runs: Runs, outputs: Path) -> None:
    named = "runs=[outputs/train/failed,outputs/train/cut_short]"
    assert runs(named, "delete=true")[0] == 0
    assert there(outputs) == {*STATES} - {"failed", "cut_short"}


def test_of_a_sweep_those_of_its_jobs_go_and_table_says_that_they_are_gone(
    runs: Runs, outputs: Path
) -> None:
    train = outputs / "outputs" / "train"
    sweep = Sweep(outputs / "outputs" / "sweeps" / "a")
    sweep.plan([train / "finished", train / "failed"])
    for number, name in enumerate(["finished", "failed"]):
        sweep.begin(number, train / name)
    one = ("table", "runs=[outputs/sweeps/a]")
    assert "gone" not in command(outputs, *one)[2]
    runs("runs=[outputs/train/failed]", "delete=true")
    status, _, err = command(outputs, *one)
    assert status == 0
    assert err == "warning: outputs/sweeps/a: 1 of its 2 runs are gone: failed\n"
    status, _, err = runs(
        "runs=[outputs/sweeps]", "delete=true"
    )  # of all sweeps: never by one word
    assert (status, "needs to be told which runs" in err) == (2, True)
    assert runs("runs=[outputs/sweeps/a]", "delete=true")[1].endswith("\n")
    assert there(outputs) == {*STATES} - {"failed", "finished"}
    status, _, err = command(outputs, *one)
    assert status == 2
    assert "2 of its 2 runs are gone: failed, finished" in err
    assert err.splitlines()[-1] == "error: runs=outputs/sweeps/a: no finished run there"


def test_a_base_that_is_made_is_no_run(outputs: Path) -> None:
    base = outputs / "outputs" / "base"
    (base / "checkpoints").mkdir(parents=True)
    (base / LOCK).touch()
    assert base in {run.path for run in listing([str(outputs)], [])}
    (base / "pretrain.yaml").touch()
    assert base not in {run.path for run in listing([str(outputs)], [])}


@pytest.mark.parametrize("width", [40, 60, 72, 80, 120, 300, None])
def test_a_run_has_a_line_or_two_that_fit(make_record: Callable[..., Record], tmp_path: Path,
                                          width: int | None) -> None:  # fmt: skip
    for name in ("sms_demo-nano-lora-r8-seed0-18b626a5", "x" * 90 + "-seed1-0f0ee6c0"):
        failure = Failure(name, plain(TrainConfig()), "a reason\x1b[2J " * 20, "")
        failure.write(tmp_path / name)
    found = listing([str(tmp_path)], [])
    lines = "\n".join(rows(found, width)).splitlines()
    assert len(lines) == (4 if width in (40, 60) else 2)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) <= (width or 1000)
    names = {line.split()[0] for line in lines if not line.startswith(" ")}
    assert len(names) == 2
    assert all(name.endswith(("18b626a5", "0f0ee6c0")) for name in names)
    if width is None:
        assert names == {run.path.name for run in found}


def test_the_newest_file_dates_a_run_without_a_result(outputs: Path) -> None:
    run = outputs / "outputs" / "train" / "cut_short"
    for file in run.iterdir():
        os.utime(file, (0, 86400))
    (found,) = listing([str(run)], [])
    assert (found.when.timestamp(), found.accuracy) == (86400, None)


class Struck(Callback):
    """Ends a training in its second epoch."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize(("logger", "words"), [("csv", " after 1 of 3 epochs"), ("none", "")])
def test_a_run_that_was_cut_short_says_of_what_it_is_and_how_far(
    small: TrainConfig, logger: str, words: str
) -> None:
    small.logger.name, small.trainer.max_epochs = logger, 3
    with pytest.raises(KeyboardInterrupt):
        train(small, progress=Struck())
    where = ["state=cut_short", "lora.rank=2", f"data.limit={small.data.limit}"]
    (found,) = listing([small.output_dir], where)
    assert found.told == f"cut short{words}"
    assert found.path == RunFolder.of(small).path.resolve()
