"""A config folder of one's own is used like ours, from anywhere, in a sweep and when it goes on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from loraexp.cli import dispatch
from loraexp.config.flags import read_flags
from loraexp.config.overrides import look_in
from loraexp.errors import UserError
from loraexp.sweeps.driving import again, keep_command
from loraexp.sweeps.plan import TRAIN, plan


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a, b/conf"
    for name, text in {
        "experiment/mine.yaml": "# @package _global_\ntrainer: {max_epochs: 7}\n",
        "data/notes.yaml": "name: csv\npath: notes.csv\n",
        "method/small.yaml": "# @package _global_\nmethod: lora\nlora: {rank: 3}\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    yield folder
    look_in([])


def ways(mine: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    yield from (["--config-dir", str(mine)], ["-cd", str(mine)], [f"--config-dir={mine}"])
    yield [f'hydra.searchpath=["file://{mine}"]']
    monkeypatch.chdir(mine.parent)
    yield from (["--config-dir=conf"], ["hydra.searchpath=[conf]"], ["hydra.searchpath=conf"])


def test_its_options_are_those_of_any_group(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = ["experiment=mine", "data=notes", "method=small"]
    for typed in ways(mine, monkeypatch):
        planned = plan(TRAIN, [*typed, *own])
        (job,) = planned.jobs
        assert (job.trainer.max_epochs, job.data.path, job.lora.rank) == (7, "notes.csv", 3)
        assert not planned.by_hydra
    with pytest.raises(UserError, match="unknown experiment 'mine'; known: alpha"):
        plan(TRAIN, own)  # the next command does not know it


def test_a_sweep_has_it_in_every_job_and_goes_on_with_it_elsewhere(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = f"output_dir={tmp_path / 'outputs'}"
    monkeypatch.chdir(mine.parent)
    typed = ["--config-dir=conf", outputs, "method=small,pissa", "seed=0,1", "-m"]
    planned = plan(TRAIN, typed)
    assert [job.lora.rank for job in planned.jobs] == [3, 3, 8, 8]
    assert planned.sweep is not None
    keep_command(planned.sweep, planned)
    monkeypatch.chdir(tmp_path)
    assert again(planned.sweep).jobs == planned.jobs


def test_a_folder_without_a_group_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no folder in it is a group: data, debug, experiment"):
        read_flags(["--config-dir", str(tmp_path)])


@pytest.mark.parametrize(
    "typed",
    [["--cfg", "job", "-p", "optim"], ["-c", "job", "--package=optim", "--resolve"]],
)
def test_hydra_prints_a_part_of_the_config(
    typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loraexp", "train", *typed])
    dispatch(["train", *typed, "optim.lr=0.5"])
    assert capsys.readouterr().out.startswith("# @package optim\nlr: 0.5\n")


def test_the_version_is_that_of_what_computes(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    dispatch(["--version"])
    name, own, python = capsys.readouterr().out.strip().split(", ")
    assert name.startswith("loraexp ")
    assert own == f"torch {torch.__version__}"
    assert python == f"Python {sys.version.split()[0]}"
