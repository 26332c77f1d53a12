"""What has the name of a run's file and is none is refused before anybody opens it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crafted import NO_FILES

from loraexp.adapters.adapter_files import CARD, TENSORS
from loraexp.commands import combine, eval, export, merge, predict, rank_curve, verify
from loraexp.commands.combine import CombineConfig
from loraexp.commands.eval import EvalConfig
from loraexp.commands.export import ExportConfig
from loraexp.commands.merge import MergeConfig
from loraexp.commands.predict import PredictConfig
from loraexp.commands.rank_curve import RankCurveConfig
from loraexp.commands.verify import VerifyConfig
from loraexp.errors import UserError
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.atomic import read_text, regular, write_whole
from loraexp.sweeps.shown.collect import collect
from loraexp.sweeps.sweep_folder import JOBS, PLAN, Sweep
from loraexp.training.checkpoints import resumable

VERBS: dict[str, Callable[[str, str], Any]] = {
    "eval": lambda run, out: eval.run(EvalConfig(run=run)),
    "predict": lambda run, out: predict.run(PredictConfig(run=run, text="hi")),
    "verify": lambda run, out: verify.run(VerifyConfig(run=run)),
    "merge": lambda run, out: merge.run(MergeConfig(run=run, out=out)),
    "export": lambda run, out: export.run(ExportConfig(run=run, out=out)),
    "combine": lambda run, out: combine.run(CombineConfig(runs=[run], out=out)),
    "rank_curve": lambda run, out: rank_curve.run(RankCurveConfig(run=run)),
}


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "runs" / "run"))


@pytest.mark.parametrize("name", [CARD, TENSORS])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_a_fifo(run: Path, tmp_path: Path, verb: str, name: str) -> None:
    (run / "adapter" / name).unlink()
    NO_FILES["no regular file"](run / "adapter" / name)
    with pytest.raises(UserError, match=f"{name} is no regular file"):
        VERBS[verb](str(run), str(tmp_path / "out"))


@pytest.mark.parametrize("reason", NO_FILES)
@pytest.mark.parametrize("name", ["config.yaml", f"adapter/{CARD}"])
def test_verify_names_it(run: Path, reason: str, name: str) -> None:
    (run / name).unlink()
    NO_FILES[reason](run / name)
    with pytest.raises(UserError, match=reason):
        VERBS["verify"](str(run), "")


@pytest.mark.parametrize("reason", NO_FILES)
@pytest.mark.parametrize("name", [PLAN, f"{JOBS}/000000.txt"])
def test_a_sweep_names_it(tmp_path: Path, reason: str, name: str) -> None:
    sweep = Sweep(tmp_path / "sweeps" / "a")
    sweep.plan([tmp_path / "run"])
    sweep.begin(0, tmp_path / "run")
    assert sweep.planned() == sweep.begun() == [tmp_path / "run"]
    (sweep.folder / name).unlink()
    NO_FILES[reason](sweep.folder / name)
    with pytest.raises(UserError, match=reason):
        sweep.planned() if name == PLAN else sweep.begun()
    if name != PLAN and "cannot be followed" not in reason:
        with pytest.raises(UserError, match=reason):
            collect([str(sweep.folder)], [])


@pytest.mark.parametrize("text", ["a\0b", "\xff", "/" + "x" * 70_000], ids=range(3))
def test_a_job_that_names_no_folder_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / JOBS).mkdir()
    (tmp_path / JOBS / "000000.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"000000\.txt"):
        collect([str(tmp_path)], [])


@pytest.mark.parametrize("reason", [reason for reason in NO_FILES if "large" not in reason])
def test_a_checkpoint_is_none(tmp_path: Path, reason: str) -> None:
    (tmp_path / "checkpoints").mkdir()
    assert resumable(RunFolder(tmp_path), {}) is None
    NO_FILES[reason](tmp_path / "checkpoints" / "last.ckpt")
    with pytest.raises(UserError, match=reason):
        resumable(RunFolder(tmp_path), {})


def test_a_file_is_read_as_it_was_written_and_through_links_within(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "naïve \ud800\r\n")
    (tmp_path / "b.txt").symlink_to(tmp_path / "a.txt")
    (tmp_path / "elsewhere").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "elsewhere"):
        for name in ("a.txt", "b.txt"):
            assert read_text(folder, name) == "naïve \ud800\r\n"
    with pytest.raises(UserError, match=r"a\.txt is too large: 12 bytes, at most 10"):
        read_text(tmp_path, "a.txt", 10)
    with pytest.raises(FileNotFoundError):
        regular(tmp_path, "c.txt")
