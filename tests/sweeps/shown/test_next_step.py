"""What a run or a sweep ends with: one command, and it can be typed."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loraexp.records.record import Failure, Record
from loraexp.sweeps.plan import TRAIN, plan
from loraexp.sweeps.shown import next_step as module
from loraexp.sweeps.shown.next_step import next_step
from loraexp.sweeps.shown.outcome import show

MakeRecord = Callable[..., Record]


def ranks(make_record: MakeRecord, *seeds: int) -> list[Record]:
    return [make_record({"lora.rank": r, "seed": s}) for r in (4, 8) for s in seeds]


def typed_after(line: str | None, start: str) -> list[str]:
    assert line is not None
    _python, *words = shlex.split(line.partition(": ")[2])
    assert line.startswith(start)
    assert words[:2] == ["-m", "loraexp"]
    return words[2:]


def test_one_seed_is_followed_by_three(make_record: MakeRecord) -> None:
    arguments = ["lora.rank=4,8", "seed=7", "data.path='my file.csv'", "data=csv", "-m"]
    planned = plan(TRAIN, arguments)
    records = ranks(make_record, 7)
    line = next_step(records, Path("sweep"), planned.overrides)
    verb, *again = typed_after(line, "Next, for a verdict: ")
    assert verb == "train"
    jobs = plan(TRAIN, again).jobs
    assert [(job.lora.rank, job.seed) for job in jobs] == [(r, s) for r in (4, 8) for s in range(3)]
    assert {job.data.path for job in jobs} == {"my file.csv"}


@pytest.mark.parametrize(("seeds", "typed"), [((0, 1), ("lora.rank=4,8",)), ((0,), ())])
def test_where_seeds_are_there_or_cannot_be_added_a_report_follows(
    seeds: tuple[int, ...], typed: tuple[str, ...], make_record: MakeRecord
) -> None:
    line = next_step(ranks(make_record, *seeds), Path("a sweep"), typed)
    assert typed_after(line, "Next, to read it: ") == ["report", "runs=[a sweep]"]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_what_is_no_comparison_is_to_be_used(
    seeds: tuple[int, ...], make_record: MakeRecord
) -> None:
    records = [make_record({"seed": seed, "output_dir": "out"}) for seed in seeds]
    verb, run, text = typed_after(next_step(records, Path("sweep")), "Next, to use it: ")
    assert (verb, text) == ("predict", "text=a text of yours")
    assert run.startswith("run=out/train/")


def test_nothing_follows_where_all_failed() -> None:
    assert next_step([], Path("sweep"), ("lora.rank=4,8",)) is None


def test_an_environment_that_is_not_active_is_named_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(own))
    monkeypatch.chdir(tmp_path)
    assert module.python() == ".venv/bin/python"
    monkeypatch.setenv("PATH", str(own.parent), prepend=":")
    assert module.python() == "python"


def test_the_end_of_a_sweep_in_order(
    make_record: MakeRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = ranks(make_record, 0)
    failed = Failure("bad", records[0].config, "no memory", "")
    show([*records, failed], tmp_path, typed=("lora.rank=4,8",))
    printed = capsys.readouterr().out
    marks = [
        "\nmethod",
        "Failed:",
        "\nNo difference found; the smallest",
        "\nFigure: ",
        "\nTables: ",
    ]
    places = [printed.index(mark) for mark in [*marks, "\nNext, for a verdict: "]]
    assert places == sorted(places)
    (figure,) = [line for line in printed.splitlines() if line.startswith("Figure: ")]
    assert Path(figure.removeprefix("Figure: ").partition(" and ")[0]).is_file()
    assert printed.count("\n", places[-1] + 1) == 1  # the last line
