"""What README.md and docs/ say holds: commands compose, tables are measured, links lead on."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from pages import (
    BLOCKS,
    COMMANDS,
    LANGUAGES,
    NOT_RUN,
    PAGES,
    ROOT,
    SHORTER,
    Block,
    shorter,
    why_not_run,
)
from typed_commands import check_typed, words_of

from loraexp.adapters.methods import METHODS
from loraexp.commands.params import ParamsConfig, params_table
from loraexp.errors import UserError

sys.path.append(str(ROOT / "tests" / "benchmarks"))
import made_tables


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With what pages take for granted: some files of the reader's, a base of an earlier line."""
    shutil.copytree(ROOT / "src" / "loraexp" / "assets" / "nano", tmp_path / "mybase")
    monkeypatch.chdir(tmp_path)
    GlobalHydra.instance().clear()
    yield tmp_path
    GlobalHydra.instance().clear()


@pytest.mark.parametrize("page", sorted({block.page for block, _ in COMMANDS}))
def test_every_command_of_a_page_composes(page: str, folder: Path) -> None:
    wrong = []
    for block, command in COMMANDS:
        if block.page == page:
            for words in words_of(command):
                try:
                    check_typed(words)
                except (UserError, AssertionError) as error:
                    wrong.append(f"{page}:{block.line}: {command}: {error}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "typo",
    [
        "python -m loraexp trian",
        "python -m loraexp train lora.rnak=4",
        "python -m loraexp train method=droa",
        "python -m loraexp eval run=a splitt=all",
        "make dmeo",
        "pyhton -m loraexp train",
    ],
)
def test_the_check_sees_a_typo(typo: str, folder: Path) -> None:
    with pytest.raises((UserError, AssertionError)):
        check_typed(shlex.split(typo))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page}:{block.line}")
def test_a_block_says_its_language_and_python_compiles(block: Block) -> None:
    assert block.language in LANGUAGES
    if block.language == "python":
        compile(block.text, block.page, "exec")


def test_no_rule_is_left_of_a_command_that_is_gone() -> None:
    typed = [command for _, command in COMMANDS]
    for start in NOT_RUN:
        assert any(why_not_run(command, {start: "it"}) for command in typed), start
    texts = [*typed, *(block.text for block in BLOCKS if block.language == "python")]
    for at, (looked_for, _, reason) in enumerate(SHORTER):
        cut = [shorter(text, SHORTER[:at]) for text in texts]
        assert reason
        assert any(re.search(looked_for, text, re.M) for text in cut), looked_for


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_tables_are_what_was_measured(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert made_tables.filled(text) == text, "make pages"
    assert (
        text.count("<!-- made: ")
        == text.count("<!-- end -->")
        == len(made_tables.MADE.findall(text))
    )


def test_every_table_is_shown_once() -> None:
    shown = [name for page in PAGES for _, name, _ in made_tables.MADE.findall(page.read_text())]
    assert sorted(shown) == sorted(made_tables.TABLES)


def test_a_changed_number_is_seen() -> None:
    text = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
    assert made_tables.filled(text.replace("591,360", "591,361")) == text


def test_the_table_of_methods_has_them_all_with_as_many_parameters_as_they_have() -> None:
    measured = json.loads((made_tables.RESULTS / "methods.json").read_text())
    table = params_table(ParamsConfig(models=["gpt2"], methods=[*METHODS]))
    at = table.header.index("trainable")
    counted = dict(zip(METHODS, [row[at] for row in table.rows], strict=True))
    assert {row["method"]: row["trainable"] for row in measured} == counted, "make methods"
    assert not [row for row in measured if any("NO" in str(cell) for cell in row.values())]


def test_every_page_is_in_the_index_and_in_the_navigation() -> None:
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).as_posix() for page in PAGES[1:]} - {"README.md"}
    index = set(re.findall(r"\]\(([\w/-]+\.md)\)", (docs / "README.md").read_text()))
    assert index == pages
    config = (ROOT / ".ci" / "mkdocs.yml").read_text(encoding="utf-8")
    assert set(re.findall(r": ([\w/-]+\.md)$", config, re.M)) == pages | {"README.md"}


def test_the_commands_of_the_readmes_ladder_compose(folder: Path) -> None:
    (ladder,) = re.findall(r"made: ladder -->(.*?)<!--", (ROOT / "README.md").read_text(), re.S)
    typed = re.findall(r"^\$ (.*?)(?:  +#.*)?$", ladder, re.M)
    assert len(typed) == 4
    for words in map(words_of, typed):
        check_typed(*words)


def test_links_lead_to_files_that_are_there() -> None:
    for page in PAGES:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if not re.match(r"https://[\w.-]+/\S*$|#", link):
                assert (page.parent / link.partition("#")[0]).is_file(), f"{page.name}: {link}"


def test_files_that_a_page_names_are_there() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:src|tests|conf|docs|\.ci)/[\w./-]+)`", text):
            assert (ROOT / name).exists() or "NAME" in name, f"{page.name}: {name}"


def test_the_readme_is_of_a_screen_and_a_half() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 75


def test_the_house_names_every_file_of_the_source_and_none_that_is_not_there() -> None:
    (house,) = [b.text for b in BLOCKS if b.page == "docs/the-house.md" and b.language == "text"]
    source = ROOT / "src" / "loraexp"
    # a file a row of a table: one word for all of them
    sets = ("commands", "branches")
    files = [
        f for f in source.rglob("*.py") if f.name != "__init__.py" and f.parent.name not in sets
    ]
    missing = [f.name for f in files if not re.search(rf"\b{f.stem}\b", house)]
    assert not missing
    there = {f.name for f in source.rglob("*.py")}
    assert set(re.findall(r"\w+\.py\b", house)) <= there
