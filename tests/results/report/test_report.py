"""The report: what it says, and that nothing a data set holds gets out of its place."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from loraexp.commands.report import ReportConfig
from loraexp.commands.report import run as command
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.results.report.html import to_html
from loraexp.results.report.markdown import as_markdown
from loraexp.results.report.report import Report, report

MakeRecord = Callable[..., Record]
EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u202e`|\x1b[2J'


@pytest.fixture
def runs(make_record: MakeRecord, tmp_path: Path) -> dict[Path, Record]:
    """Two ranks by three seeds on the disk; one has a text in it that wants out."""
    found = {}
    for rank in (4, 16):
        for seed in range(3):
            made = make_record({"lora.rank": rank, "seed": seed})
            mistakes = [{"text": EVIL, "true": 1, "predicted": 0, "chance": 0.98}]
            counts = {**made.counts, "trainable": 1000 * rank}
            made = replace(made, name=f"r{rank}-s{seed}", counts=counts, mistakes=mistakes)
            folder = tmp_path / "train" / made.name
            made.write(folder)
            found[folder] = made
    curves = "epoch,lr-AdamW,step,train_accuracy,train_loss,val_accuracy,val_loss\n0,,3,0.5,0.7,,\n"
    (next(iter(found)) / "metrics.csv").write_text(curves)
    return found


@pytest.fixture
def made(runs: dict[Path, Record]) -> Report:
    return report(runs, [])


def test_it_asks_answers_and_says_whether_to_believe(made: Report) -> None:
    assert made.question == "Which rank is enough?"
    assert made.answer == [
        "Best on the test texts: rank 4, 97.3% (95 % over 3 seeds: 97.3% to 97.3%).",
        "Not told apart from it: rank 16.",
        "This is not evidence of which is better; the reasons are below the table.",
    ]
    assert any("learning rates tried" in note for note in made.compared.notes)
    assert {*made.figures} == {"rank", "parameters", "confusion"}


def test_a_dearer_best_arm_has_its_cheapest_equal_named(
    runs: dict[Path, Record], make_record: MakeRecord
) -> None:
    better = {
        folder: replace(
            record,
            metrics={**record.metrics, "test": {**record.metrics["test"], "accuracy": accuracy}},
        )
        for folder, record in runs.items()
        for accuracy in [0.98 if record.config["lora"]["rank"] == 16 else 0.97]
    }
    assert "The cheapest of these: rank 4, 4,000 parameters train." in report(better, []).answer


def test_every_run_has_a_page_with_its_config_and_mistakes(made: Report) -> None:
    assert [page.name for page in made.pages] == [f"r{r}-s{s}" for r in (4, 16) for s in range(3)]
    first = made.pages[0]
    assert {*first.figures} == {"loss"}
    assert first.confusion.rows == [["ham", 148, 2], ["spam", 5, 145]]
    assert yaml.safe_load(first.config)["lora"]["rank"] == 4
    assert first.mistakes.rows[0][1:] == ["spam", "ham", 0.98]


def test_the_page_loads_nothing_and_runs_its_own_script_only(made: Report) -> None:
    html = to_html(made)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)
    assert "default-src 'none'" in html
    assert html.count("<script") == 1


def test_texts_are_escaped_in_html_and_markdown(made: Report) -> None:
    for page in (to_html(made), as_markdown(made, "figures")):
        assert "\u202e" not in page
        assert "\x1b" not in page
    assert "&lt;img src=x" in to_html(made)
    assert "<img src=x" not in to_html(made)
    assert "<img src=x" not in as_markdown(made, "figures")


def test_the_command_writes_a_page_or_markdown_with_its_figures(
    runs: dict[Path, Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"runs": [str(tmp_path / "train")], "by": ["lora.rank"]}
    command(ReportConfig(**given, out=str(tmp_path / "a.html"), question="Q?"))
    assert "<h1>Q?</h1>" in (tmp_path / "a.html").read_text(encoding="utf-8")
    command(ReportConfig(**given, out=str(tmp_path / "a.md"), format="markdown"))
    text = (tmp_path / "a.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)]+\.svg)\)", text)
    assert len(linked) == 3 + 1
    assert all((tmp_path / name).is_file() for name in linked)
    assert "Which rank is enough?" in text
    assert "Best on the test texts" in capsys.readouterr().out
    with pytest.raises(UserError, match="no finished run there with seed=9"):
        command(ReportConfig(**given, where=["seed=9"]))


def test_the_same_records_give_the_same_page(runs: dict[Path, Record]) -> None:
    assert to_html(report(runs, [])) == to_html(report(runs, []))


@pytest.mark.parametrize("verb", ["table", "report"])
def test_it_starts_without_torch(runs: dict[Path, Record], tmp_path: Path, verb: str) -> None:
    script = (
        "import sys; from loraexp.cli import dispatch; "
        f"dispatch([{verb!r}, 'runs=[train]']); "
        "sys.exit(', '.join(sys.modules.keys() & {'torch', 'lightning'}) or 0)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
