"""The command line: help without torch; a mistake is one line and status 2, and nothing runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from verbs import SUMMARIES

from loraexp.cli import dispatch, main
from loraexp.errors import UserError


@pytest.mark.parametrize("typed", [[], ["-h"], ["--help"], ["help"]])
def test_nothing_and_help_show_the_verbs(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch(typed)
    assert "usage: python -m loraexp VERB" in capsys.readouterr().out


@pytest.mark.parametrize("verb", SUMMARIES)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_verb_has_help_wherever_the_flag_stands(
    verb: str, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    dispatch([verb, "lora.rank=4", flag])
    words = " ".join(capsys.readouterr().out.split())  # long lines are folded
    assert words.startswith(f"python -m loraexp {verb}: {SUMMARIES[verb]}")


@pytest.mark.parametrize(("typed", "verb"), [("trian", "train"), ("predcit", "predict")])
def test_a_misspelt_verb_is_told_the_nearest(typed: str, verb: str) -> None:
    with pytest.raises(UserError, match=f"^unknown verb '{typed}'; did you mean '{verb}'"):
        dispatch([typed])


def test_a_mistake_ends_with_status_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["loraexp", "train", "lora.rnk=4"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unknown key 'lora.rnk'; did you mean 'lora.rank'?")


def loraexp(*typed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loraexp", *typed]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_bad_value_in_the_last_job_of_a_sweep_stops_it_before_the_first(tmp_path: Path) -> None:
    ended = loraexp("train", "lora.rank=4,8,0", "-m", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: lora.rank must be at least 1, got 0\n"
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_that_only_the_command_can_see_is_one_line_too(tmp_path: Path) -> None:
    ended = loraexp("predict", "run=a", "text=hello, you", "file=b.csv", folder=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "error: predict takes text= or file=, not both\n"
    assert list(tmp_path.iterdir()) == []


def test_only_what_trains_or_measures_waits_for_lightning() -> None:
    tools = ("merging", "combining", "peft.to_peft", "peft.from_peft")
    script = f"""
import importlib, sys
for name in ("inference.predictor", *(f"tools.{{tool}}" for tool in {tools})):
    importlib.import_module(f"loraexp.{{name}}")
    if loaded := sys.modules.keys() & {{"lightning", "torchmetrics", "scipy"}}:
        sys.exit(f"{{name}} waits for {{loaded}}")
importlib.import_module("loraexp.training.fit")
sys.exit(0 if "lightning" in sys.modules else "the check sees nothing")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("typed", "heavy"),
    [
        ("--help", "torch lightning hydra omegaconf pandas dataclasses ctypes tempfile"),
        ("train --help", "torch lightning urllib.request"),
        ("params models=[gpt2,gpt2-xl] ranks=[4,8]", "torch lightning pandas urllib.request"),
        ("params data=csv data.path=own.csv", "torch lightning"),
    ],
)
def test_help_and_counting_start_without_heavy_imports(
    typed: str, heavy: str, tmp_path: Path
) -> None:
    (tmp_path / "own.csv").write_text("text,label\nwin,spam\nhi,ham\n")
    script = (
        "import sys; from loraexp.cli import dispatch; "
        f"dispatch({typed.split()!r}); "
        f"sys.exit(', '.join(sys.modules.keys() & {set(heavy.split())!r}) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_single_run_keeps_hydras_own_settings(tmp_path: Path) -> None:
    typed = ["model=tiny", "data.limit=16", "trainer.max_epochs=1", "logger=none"]
    own = ["hydra.job.chdir=true", "hydra.run.dir=elsewhere"]
    ended = loraexp("train", *typed, *own, folder=tmp_path)
    assert (ended.returncode, ended.stderr.count("Traceback")) == (0, 0)
    assert len([*(tmp_path / "elsewhere" / "outputs" / "train").iterdir()]) == 1
    assert not (tmp_path / "outputs").exists()
