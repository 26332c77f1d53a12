"""Texts of strangers in every field of a run, through every output: shown, and never obeyed."""

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_records import record
from markdown_it import MarkdownIt

from loraexp.commands import report as report_command
from loraexp.commands import table as table_command
from loraexp.commands.report import ReportConfig
from loraexp.commands.table import TableConfig
from loraexp.records.record import Failure, Record
from loraexp.report import report as report_module
from loraexp.report.html import to_html
from loraexp.report.markdown import as_markdown
from loraexp.report.report import Report, report
from loraexp.results.beside import Beside
from loraexp.results.runs_table import runs_table
from loraexp.results.tables import FORMATS, Column, Table, to_terminal
from loraexp.runtime.escape import markdown_notes, printable
from loraexp.sweeps.shown.summary import Summary

HOSTILE = (
    *("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "</details><!--"),
    *("&lt;b&gt;", "a|b", "`code`", "```", "*em* _em_ ~~del~~", "# heading", "- item", "1. item"),
    *("[x](javascript:alert(1))", "![x](http://x.y/z.png)", "http://x.y www.x.y", "    code"),
    *("line\nFORGED", "line\r\nFORGED", "line\u2028FORGED", "\x1b[2J\x1b]0;x\x07", "\x9b31m"),
    *("\u202eevil\u2066\u200b\ufeff", "\ud800", "$x^2$ $y$", r"\input{/etc/passwd}", "x & y # %"),
    *("=cmd|' /C calc'!A0", "-1", "@SUM(A1)", "'quoted", "\t=1+1", "[5cm]", "*", "\\", "{{7*7}}"),
    *("[/red][bold]", "中文 العربية 😀 e\u0301", "\0", "~~~", "../../x", "/etc/x", "x" * 5000),
)
IDS = [f"{n}-{printable(text)[:12]}" for n, text in enumerate(HOSTILE)]


def run(text: str, seed: int) -> Record:
    """With the text in every field that a stranger may fill."""
    settings: dict[str, Any] = {"seed": seed, "data.positive_label": text, "data.text_column": text}
    settings |= {"data.path": text, "model.name": text, "data.name": text, "method": text}
    settings |= {"name": f"{text}{seed}"}
    made = record(settings, labels=[text, f"{text}2"], name=f"{text}{seed}")
    config = made.config | {text: {text: text}}
    versions = {"python": text, text: f"{text}{seed}"}
    data = {**made.data, "note": text, "synthetic": True, "warnings": [text]}
    mistakes = [{"text": text, "true": 1, "predicted": 0, "chance": 0.98}]
    return replace(
        made,
        config=config,
        data=data,
        mistakes=mistakes,
        versions=versions,
        device=text,
        precision=text,
        git_commit=text,
        finished=text,
        hashes=made.hashes | {text: text},
    )


@pytest.fixture(params=HOSTILE, ids=IDS)
def text(request: pytest.FixtureRequest) -> str:
    return request.param


@cache
def outcomes_of(text: str) -> list[Record | Failure]:
    runs: list[Record] = [run(text, seed) for seed in (0, 1)]
    return [*runs, Failure(text, runs[0].config, text, "")]


BY = ["data.name", "method", "data.positive_label"]


@cache
def report_of(text: str) -> Report:
    *runs, failure = outcomes_of(text)
    folders = {Path(f"run{n}"): one for n, one in enumerate(runs)}
    return report(folders, BY, None, text, Beside([failure]))  # type: ignore[arg-type, list-item]


@pytest.fixture
def outcomes(text: str) -> list[Record | Failure]:
    return outcomes_of(text)


@pytest.fixture
def made(text: str) -> Report:
    return report_of(text)


@pytest.fixture
def tables(outcomes: list[Record | Failure], made: Report, text: str) -> list[Table]:
    own = Table([Column(text, text, words=True), Column("n", "n")], [[text, 1]])
    page = made.pages.each[0]
    return [
        runs_table(outcomes),
        made.sections[0].compared.table,
        page.classes.matrix,
        page.mistakes,
        own,
    ]


def check_lines(shown: str) -> None:
    """Nothing steers a terminal, and no line is the text's own."""
    lines = shown.split("\n")
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("FORGED") for line in lines)


def test_a_terminal_is_not_steered(outcomes: list[Record | Failure], made: Report) -> None:
    summary = Summary.of(outcomes)
    check_lines("\n".join([summary.text, *summary.notes()]))
    check_lines(
        to_terminal(made.sections[0].compared.table, 1000)
    )  # folded, a word may begin a line


def test_csv_has_no_formula_and_gives_the_text_back(tables: list[Table]) -> None:
    for table in tables:
        check_lines(FORMATS["csv"](table))
        header, *rows = csv.reader(io.StringIO(FORMATS["csv"](table), newline=""))
        assert [name.removeprefix("'") for name in header] == [
            printable(name) for name in table.parted().header
        ]
        for row, cells in zip(rows, table.parted().rows, strict=True):
            for shown, cell in zip(row, cells, strict=True):
                if isinstance(cell, str):
                    assert not re.match(r"[=+\-@\t\r]", shown)
                    assert shown.removeprefix("'") == printable(cell)


def test_json_gives_the_text_back(tables: list[Table]) -> None:
    for table in tables:
        shown = FORMATS["json"](table)
        check_lines(shown)
        assert shown.isascii()
        rows = [dict(zip(table.parted().header, row, strict=True)) for row in table.parted().rows]
        assert json.loads(shown) == rows


OURS = re.compile(
    r"\\(?:[&%$#_{}]|text(?:backslash|ascii(?:tilde|circum)|less|greater|bar)\{\}|\\$)"
)


def test_latex_obeys_nothing(tables: list[Table]) -> None:
    for table in tables:
        shown = FORMATS["latex"](table)
        check_lines(shown)
        _, heading, rule, *rows, _ = shown.split("\n")
        assert rule == r"\hline"
        for line in (heading, *rows):
            assert line.endswith(r" \\")
            bare = re.sub(r"\{[\[\]*]\}", "", OURS.sub("", line))
            assert not re.search(r"[\\$#%~^_{}<>|*\[\]]", bare)
            assert bare.count(" & ") + 1 == bare.count("&") + 1 == len(table.columns)


# What a report is made of; the fence around the config and the pictures are ours.
BLOCKS = [
    "paragraph",
    "heading",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "bullet_list",
    "list_item",
]
ALLOWED = {f"{name}_{end}" for name in BLOCKS for end in ("open", "close")} | {"inline", "fence"}


def test_markdown_formats_and_links_nothing(made: Report, tables: list[Table], text: str) -> None:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    for shown in (as_markdown(made, "figures"), *map(FORMATS["markdown"], tables)):
        check_lines(shown)
        tokens = reader.parse(shown)
        assert {token.type for token in tokens} <= ALLOWED
        inside = [child for token in tokens for child in token.children or ()]
        assert {child.type for child in inside} <= {"text", "text_special", "softbreak"}
    tokens = reader.parse(as_markdown(made, "figures"))
    headings = [tokens[n + 1] for n, token in enumerate(tokens) if token.type == "heading_open"]
    found = ["".join(child.content for child in h.children or ()) for h in headings]
    names = [printable(one).strip() for one in (text, f"{text}0", f"{text}1")]
    assert found == [names[0], "Runs", *names[1:]]
    assert sum(token.type == "fence" for token in tokens) == 1


class Page(HTMLParser):
    """What a browser would make of a page: its tags, attributes and words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def test_html_runs_nothing_and_shows_the_text(made: Report, text: str) -> None:
    shown = to_html(made)
    check_lines(shown)
    page, plain = Page(shown), Page(to_html(replace(made, question="?")))
    assert page.tags == plain.tags
    assert page.tags.count("script") == 1
    assert not {"img", "b", "strong", "em", "code"} & {*page.tags}
    for name, value in page.attributes:
        assert not name.startswith("on")
        if name in ("href", "src"):
            assert re.fullmatch(r"#[A-Za-z0-9._-]+", value or "")
    ids = [value for name, value in page.attributes if name == "id"]
    links = [value for name, value in page.attributes if name == "href"]
    assert {*links} <= {f"#{one}" for one in ids}
    assert len({*ids}) == len(ids)
    assert " ".join(printable(text).split()) in " ".join(" ".join(page.words).split())


def print_tables(
    outcomes: list[Record | Failure], forms: Iterable[str], patch: pytest.MonkeyPatch
) -> None:
    records = [one for one in outcomes if isinstance(one, Record)]
    failures = [one for one in outcomes if isinstance(one, Failure)]
    found: Any = type("Found", (), {"records": records, "runs": {}, "beside": Beside(failures)})
    for command in (report_command, table_command):
        patch.setattr(command, "collect", lambda *_: found)
    for form in forms:
        table_command.run(TableConfig(format=form, by=BY))


def test_the_commands_print_nothing_raw_and_write_inside_their_folder(
    outcomes: list[Record | Failure],
    made: Report,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_tables(outcomes, [[*FORMATS][HOSTILE.index(text) % len(FORMATS)]], monkeypatch)
    monkeypatch.setattr(report_module, "report", lambda *_: made)
    for form in ("html", "markdown"):
        out = str(tmp_path / "a" / f"\x1b[2J{form}")
        report_command.run(ReportConfig(format=form, out=out, question=text))
    for stream in capsys.readouterr():
        check_lines(stream)
    assert [*tmp_path.iterdir()] == [tmp_path / "a"]
    assert len([*(tmp_path / "a").iterdir()]) == 2


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_prints_nothing_raw_of_all_of_them_at_once(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = [one for text in HOSTILE for one in outcomes_of(text)]
    print_tables(outcomes, [form], monkeypatch)
    for stream in capsys.readouterr():
        check_lines(stream)


@pytest.mark.parametrize("evil", ["[x](http://x.y)", "<b>", "![x](y)", "`x`", "*x*", "&amp;"])
def test_notes_of_a_markdown_table_act_only_if_printed_as_they_are(evil: str) -> None:
    notes = ["A note.", "because", f"- {evil}", f"- {evil}", f"{evil} at the end"]
    reader = MarkdownIt("commonmark", {"html": True})

    def words(shown: str) -> list[str]:
        found = [token.children or [] for token in reader.parse(shown) if token.type == "inline"]
        plain = {"text", "text_special", "softbreak"}
        return ["".join(c.content if c.type in plain else "!" for c in one) for one in found]

    wanted = ["A note.because", evil, evil, f"{evil} at the end"]
    assert words(markdown_notes(notes)) == wanted
    assert words("\n".join(notes)) != wanted
