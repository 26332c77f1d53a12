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
from loraexp.records.record import Failure, Record
from loraexp.report import pages
from loraexp.report.html import MOST_AT_ONCE, to_html
from loraexp.report.markdown import as_markdown
from loraexp.report.pages import MISTAKES, SCORES
from loraexp.report.report import Report, report
from loraexp.results.beside import Beside
from loraexp.results.beyond_p import COLUMNS
from loraexp.results.classes import OF_CLASS, PAIRS
from loraexp.results.comparison import FIGURES
from loraexp.results.explained import explained
from loraexp.results.runs_table import RUN_COLUMNS
from loraexp.stats.significance import wilson_interval

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


def test_it_asks_and_answers_in_a_sentence_with_an_interval(made: Report) -> None:
    assert made.question == "Which rank is enough?"
    ends = wilson_interval(0.9733333587646484, 300).ends
    assert ends is not None
    assert made.answer == [
        "No difference found; the smallest is rank 4: 97.3% of 300 test texts "
        f"(95 % over the texts: {ends[0]:.1%} to {ends[1]:.1%})."
    ]
    (section,) = made.sections
    assert section.badge == "not evidence: 1 reason"
    (reason,) = section.compared.reasons
    assert reason == "only 1 of at least 3 learning rates tried: rank 4; rank 16"
    assert [*section.charts] == ["rank", "parameters"]


def test_every_run_has_a_page_with_what_is_its_own(made: Report) -> None:
    assert [page.name for page in made.pages.each] == [
        f"r{r}-s{s}" for r in (4, 16) for s in range(3)
    ]
    first = made.pages.each[0]
    assert first.about == "rank 4, seed 0"
    assert first.figures == {"lr": "0.001", "validation": "98.7 %", "test": "97.3 %"}
    assert first.chart is not None
    assert first.classes.matrix.rows == [["ham", 148, 2], ["spam", 5, 145]]
    assert first.mistakes.rows[0][1:] == ["spam", "ham", 0.98]


def test_a_config_is_what_differs_from_the_defaults_and_the_rest_stands_once(made: Report) -> None:
    assert made.pages.each[0].settings == {"lora.rank": "4"}
    assert made.pages.settings == {}
    shared = yaml.safe_load(made.pages.config)
    assert shared["lora"]["alpha"] == 16
    assert "rank" not in shared["lora"]
    assert to_html(made).count("weight_decay") == 1


def test_what_is_alike_in_all_rows_stands_once_above_the_table(made: Report) -> None:
    main = made.sections[0].main
    assert [(column.name, shown) for column, shown in main.alike][:2] == [
        ("lr", "0.001"),
        ("seeds", "3"),
    ]
    assert main.table.header[0] == "lora.rank"
    assert {"test", "verdict"} <= {*main.table.header}


def tables(page: str) -> list[list[list[str]]]:
    """The cells of each body of a table in it, templates too."""
    found = []
    for body in re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
        found.append([re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows])
    return found


def test_no_column_is_empty_and_each_is_explained_where_it_stands(
    made: Report, make_record: MakeRecord
) -> None:
    metrics = make_record().metrics
    none = {split: scores | {"auroc": None} for split, scores in metrics.items()}
    one = report({Path("a"): make_record(metrics=none)}, [])
    for page in (to_html(made), to_html(one)):
        heads = re.findall(r'<th [^>]*><button type="button" title="([^"]*)"', page)
        assert len(heads) == page.count("<th ")
        assert all(len(words) > 5 for words in heads)
        for rows in tables(page):
            assert all(any(cells) for cells in zip(*rows, strict=True))
    every = [*FIGURES, *COLUMNS, *RUN_COLUMNS, *SCORES, *MISTAKES, *OF_CLASS, *PAIRS]
    assert [column.name for column in every if not explained(column)] == []


def elsewhere(record: Record, path: str, split: str) -> Record:
    data = {**record.config["data"], "name": "csv", "path": path}
    facts = record.data | {"note": f"{path}, 1,494 rows", "warnings": [f"{path} has no header"]}
    hashes = {**record.hashes, "split": split * 64}
    return replace(record, config=record.config | {"data": data}, data=facts, hashes=hashes)


def test_data_sets_have_sections_of_their_own_and_no_folder_is_named(
    runs: dict[Path, Record],
) -> None:
    given = {
        folder / name: elsewhere(record, f"/home/somebody/{name}/train.csv", split)
        for folder, record in runs.items()
        for name, split in (("mail10", "d"), ("mail9", "e"))
    }
    failure = Failure("lost", next(iter(given.values())).config, "no /home/somebody/x.csv", "")
    made = report(given, [], beside=Beside([failure]))
    assert [one.title for one in made.sections] == ["mail9/train.csv", "mail10/train.csv"]
    assert made.question == "Which rank is enough?"
    for section in made.sections:
        assert [row[0] for row in section.compared.table.rows] == [4, 16]
        assert {*section.compared.by} == {"lora.rank"}
        assert all(row[-1] != "not paired" for row in section.main.table.rows)
    for page in (to_html(made), as_markdown(made, "figures")):
        assert "somebody" not in page
        assert "mail9" in page


def test_many_runs_wait_in_templates_that_hold_texts_only(
    runs: dict[Path, Record], make_record: MakeRecord
) -> None:
    """No script builds the page of a run from data: it is escaped where all else is."""
    given = {
        folder.with_name(f"{folder.name}-{n}"): record
        for folder, record in runs.items()
        for n in range(MOST_AT_ONCE)
    }
    page = to_html(report(given, []))
    waiting = re.findall(r"<template>(.*?)</template>", page, re.DOTALL)
    assert len(waiting) == len(given)
    assert all("&lt;img src=x" in one and "<img" not in one for one in waiting)
    assert "<template>" not in to_html(report(runs, []))
    script = page.split("<script>")[1]
    assert not re.search("innerHTML|insertAdjacent|document.write|eval", script)


def test_of_too_many_runs_each_has_a_line_and_the_first_of_each_row_a_page(
    runs: dict[Path, Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST", 3)
    made = report(runs, [])
    assert [line.name for line in made.pages.lines] == [record.name for record in runs.values()]
    assert [page.name for page in made.pages.each] == ["r4-s0", "r4-s1", "r16-s0"]
    html, words = to_html(made), as_markdown(made, "figures")
    for text in (html, words):
        assert "Of 6 runs 3 have a page: the first ones of each row." in text
    assert [f'id="{name}"' in html for name in ("r4-s2", "r16-s2")] == [True, True]
    assert html.count('<details class="run"') == words.count("### r") == 3
    monkeypatch.undo()
    assert "have a page" not in to_html(report(runs, []))


def test_the_page_loads_nothing_and_runs_its_own_script_only(made: Report) -> None:
    html = to_html(made)
    assert not re.findall(r'(?:src|href)="(?!#)', html)
    assert not re.findall(r"url\(|@import", html)
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
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert ">Q?</h1>" in html
    assert "python -m loraexp report &#39;runs=[train]&#39;" in html
    assert str(tmp_path) not in html
    command(ReportConfig(**given, out=str(tmp_path / "a.md"), format="markdown"))
    text = (tmp_path / "a.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\(([^)]+\.svg)\)", text)
    assert len(linked) == 2 + 1
    assert all((tmp_path / name).is_file() for name in linked)
    assert "Which rank is enough?" in text
    assert "No difference found" in capsys.readouterr().out
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
