"""A file is written whole or stays as it was."""

import os
import re
from pathlib import Path

import pytest

from loraexp.errors import UserError
from loraexp.runtime.atomic import check_new, whole, write_whole


def write_half(file: Path, error: type[BaseException]) -> None:
    with whole(file) as partial:
        partial.write_text("half")
        raise error


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_file_appears_when_the_block_ends_and_nothing_else_does(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "file.txt"
    with whole(file) as partial:
        partial.write_text("half")
        assert not file.exists()
        partial.write_text("whole")
    assert file.read_text() == "whole"
    assert names(file.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_file_and_no_partial_one(
    tmp_path: Path, error: type[BaseException]
) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old")
    with pytest.raises(error):
        write_half(file, error)
    assert file.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_failed_first_write_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        write_half(tmp_path / "file.txt", KeyError)
    assert names(tmp_path) == []


def test_a_block_that_writes_nothing_is_an_error_and_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old")
    with pytest.raises(FileNotFoundError), whole(file):
        pass
    assert file.read_text() == "old"


def test_two_processes_write_to_two_partial_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole(tmp_path / "file.txt") as first:
        first.write_text("first")
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with whole(tmp_path / "file.txt") as second:
            second.write_text("second")
        assert (tmp_path / "file.txt").read_text() == "second"
    assert (tmp_path / "file.txt").read_text() == "first"


@pytest.mark.parametrize("text", ["", "naïve £ 😀\n", "lone surrogate \ud800"])
def test_write_whole_replaces_the_text(tmp_path: Path, text: str) -> None:
    write_whole(tmp_path / "file.txt", "a longer text that was there before")
    write_whole(tmp_path / "file.txt", text)
    assert (tmp_path / "file.txt").read_bytes().decode("utf-8", "surrogatepass") == text


def test_a_file_that_a_library_made_private_gets_the_mode_of_any_other(tmp_path: Path) -> None:
    file, plain = tmp_path / "file.txt", tmp_path / "plain.txt"
    plain.touch()
    with whole(file) as partial:
        partial.touch(mode=0o600)
    assert file.stat().st_mode == plain.stat().st_mode != 0o100600


def test_a_new_file_may_be_written_and_the_same_one_is_left(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    assert check_new(file, "out", "text\n")
    write_whole(file, "text\n")
    assert not check_new(file, "out", "text\n")


@pytest.mark.parametrize("text", [None, "mine too\n", "MINE\n"])
def test_what_exists_is_refused_by_key_and_path(text: str | None, tmp_path: Path) -> None:
    file, link = tmp_path / "file.txt", tmp_path / "link"
    file.write_text("mine\n")
    link.symlink_to(tmp_path / "nowhere")
    for there in (file, link, tmp_path):
        with pytest.raises(
            UserError, match=rf"^out: {re.escape(str(there))} is .*nothing is written over"
        ):
            check_new(there, "out", text)
