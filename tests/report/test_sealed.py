"""A report takes the place of one of ours that nobody has changed, and of nothing else."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loraexp.commands.report import ReportConfig, run
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.report.sealed import is_ours, sealed

MakeRecord = Callable[..., Record]
Make = Callable[..., None]
CURVES = "step,train_loss,train_accuracy\n3,0.7,0.5\n"


@pytest.fixture
def folder(make_record: MakeRecord, tmp_path: Path) -> Path:
    """A run on the disk, with curves."""
    made = replace(make_record(), name="a-run")
    made.write(tmp_path / "train" / "a-run")
    (tmp_path / "train" / "a-run" / "metrics.csv").write_text(CURVES)
    return tmp_path


@pytest.fixture
def make(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(folder)

    def report(out: str | Path, **given: Any) -> None:
        run(ReportConfig(runs=["train"], out=str(out), **given))

    return report


def files(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("given", [{}, {"format": "markdown"}], ids=["html", "markdown"])
def test_the_same_command_writes_its_report_anew(
    make: Make, folder: Path, given: dict[str, Any]
) -> None:
    make("out/r.x", **given, question="first?")
    before = files(folder / "out")
    assert all(is_ours(folder / "out" / name) for name in before)
    make("out/r.x", **given, question="first?")
    assert files(folder / "out") == before
    make("out/r.x", **given, question="second?")
    assert b"second?" in (folder / "out" / "r.x").read_bytes()
    assert files(folder / "out").keys() == before.keys()


@pytest.mark.parametrize("given", [{}, {"format": "markdown"}], ids=["html", "markdown"])
@pytest.mark.parametrize(
    "content",
    [b"", b"mine", b"\0" * 10_000, sealed("x").encode() + b"more", b"y" + sealed("x").encode()],
    ids=["empty", "text", "binary", "after the mark", "before it"],
)
def test_what_is_not_ours_or_was_changed_stays(
    make: Make, folder: Path, content: bytes, given: dict[str, Any]
) -> None:
    (folder / "r.x").write_bytes(content)
    before = files(folder)
    refusal = r"^out=r.x exists and is not a report of ours \(or was edited\): choose another out=$"
    with pytest.raises(UserError, match=refusal):
        make("r.x", **given)
    assert files(folder) == before


def test_a_report_that_was_changed_stays(make: Make, folder: Path) -> None:
    make("r.html")
    (folder / "r.html").write_text((folder / "r.html").read_text().replace("97.3%", "99.9%", 1))
    with pytest.raises(UserError, match="or was edited"):
        make("r.html")


def test_line_ends_of_another_system_are_no_change(make: Make, folder: Path) -> None:
    make("r.html")
    content = (folder / "r.html").read_bytes()
    (folder / "r.html").write_bytes(content.replace(b"\n", b"\r\n"))
    make("r.html")
    assert (folder / "r.html").read_bytes() == content


def test_figures_beside_markdown_take_the_place_of_our_own_only(make: Make, folder: Path) -> None:
    make("r.md", format="markdown")
    names = {file.name for file in (folder / "r-figures").iterdir()}
    assert names == {"section1-loss.svg"}
    (folder / "r-figures" / "old-loss.svg").write_text(sealed("<svg/>"))
    make("r.md", format="markdown")  # an unchanged figure of ours that is no longer one goes
    assert {file.name for file in (folder / "r-figures").iterdir()} == names
    for name in ("mine.svg", "mine.txt", "section1-loss.svg"):
        (folder / "r-figures" / name).write_text("mine")
        before = files(folder)
        with pytest.raises(UserError, match=rf"r-figures/{name} is not a figure of ours"):
            make("r.md", format="markdown")
        assert files(folder) == before
        (folder / "r-figures" / name).unlink()
    make("r.html")  # a page has no figures beside it, so it asks for none


def test_a_folder_of_figures_that_is_another_persons_stays(make: Make, folder: Path) -> None:
    (folder / "r-figures").mkdir()
    (folder / "r-figures" / "photo.png").write_bytes(b"mine")
    (folder / "s-figures").write_text("a file")
    for name in ("r", "s"):
        with pytest.raises(UserError, match=f"{name}-figures.* is not a figure of ours"):
            make(f"{name}.md", format="markdown")
        assert not (folder / f"{name}.md").exists()


def test_a_run_whose_name_leads_elsewhere_writes_its_figure_in_the_folder(
    make: Make, folder: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loraexp.commands import report as command
    from loraexp.results.beside import Beside
    from loraexp.sweeps.shown.collect import Collected

    runs = {}
    for n, name in enumerate(["../../x", "/etc/x", "a b", "A-B", "..", "中", "x" * 300]):
        path = folder / "odd" / str(n)
        path.mkdir(parents=True)
        (path / "metrics.csv").write_text(CURVES)
        runs[path] = replace(make_record({"seed": n}), name=name)
    monkeypatch.setattr(command, "collect", lambda *_: Collected(runs, Beside()))
    before = {*files(folder)}
    make("out/my report.md", format="markdown")
    new = {*files(folder)} - before - {"out/my report.md"}
    assert len(new) == len(runs)
    assert all(name.startswith("out/my report-figures/") for name in new)
    text = (folder / "out" / "my report.md").read_text()
    assert text.count("](my%20report-figures/") == len(new)


ODD = {
    "/": "is a folder: name a file",
    ".": "is a folder: name a file",
    "x" * 5000: "File name too long",
    "train": "is a folder: name a file",
    "train/a-run/record.json": "is not a report of ours",
    "train/a-run/record.json/r.html": "no file can be written in ",
    "dangling": "is not a report of ours",
    "pipe": "is not a report of ours",
    "/dev/zero": "is not a report of ours",
}


@pytest.mark.parametrize("format", ["html", "markdown"])
@pytest.mark.parametrize("out", ODD, ids=lambda out: repr(out[:20]))
def test_an_odd_place_is_one_short_line_before_any_work(
    make: Make, folder: Path, out: str, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "dangling").symlink_to("nowhere")
    monkeypatch.setattr("loraexp.commands.report.collect", lambda *_: pytest.fail("work"))
    with pytest.raises(UserError) as error:
        make(out, format=format)
    assert ODD[out] in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_folder_that_cannot_be_written_is_one_line_before_any_work(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("loraexp.commands.report.collect", lambda *_: pytest.fail("work"))
    with pytest.raises(UserError, match=r"^out=new/r.html: no file can be written in /"):
        make("new/r.html")
