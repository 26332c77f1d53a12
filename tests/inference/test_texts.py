"""Texts to label come a line or a row each, a chunk at a time, and are UTF-8 or refused."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from predicting import csv_rows, json_rows, run

from loraexp.commands.predict import PredictConfig
from loraexp.data.reading import Reading
from loraexp.errors import UserError
from loraexp.inference.inputs import CHUNK, chunks
from loraexp.inference.predictor import Predictor


def test_text_file_has_a_text_a_line(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("one, two\n\n=three\n", encoding="utf-8")
    run(finished, file=str(tmp_path / "in.txt"), format="json")
    assert [text for _, _, text in json_rows(capsys.readouterr().out)] == ["one, two", "", "=three"]


def test_stdin_has_a_text_a_line(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO('first "text"\n\nthird\n'))
    run(finished)
    assert [text for _, _, text in csv_rows(capsys.readouterr().out)] == [
        'first "text"',
        "",
        "third",
    ]


def piped(monkeypatch: pytest.MonkeyPatch, content: bytes, **locale: str) -> None:
    """Stdin as a pipe is, under a locale's encoding and errors."""
    stdin = io.TextIOWrapper(io.BytesIO(content), **{"encoding": "utf-8", **locale})
    monkeypatch.setattr(sys, "stdin", stdin)


def read(**keys: Any) -> list[str]:
    config = PredictConfig(**keys)
    return [text for texts in of(config) for text in texts]


def of(config: PredictConfig) -> Iterator[list[str]]:
    given = chunks(config.text, config.file, [config.text_column or "text"], Reading.of(config))
    return ([text for text, *_ in rows] for rows in given)


LOCALES = [  # of most; of C; of old ones
    {"errors": "strict"},
    {"errors": "surrogateescape"},
    {"encoding": "ascii"},
    {"encoding": "latin-1"},
]


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_stdin_is_utf8_whatever_the_locale(
    locale: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "é\r\n\n漢字 \u2028 x".encode(), **locale)
    assert read() == ["é", "", "漢字 \u2028 x"]
    piped(monkeypatch, "a\né\n".encode("latin-1"), **locale)
    with pytest.raises(UserError, match=r"^stdin, line 2: not UTF-8; encoding=NAME says"):
        read()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "shift_jis"])
def test_stdin_is_decoded_as_it_is_said(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "漢字" if encoding == "shift_jis" else "é"
    piped(monkeypatch, f"{text}\nb\n".encode(encoding))
    assert read(encoding=encoding) == [text, "b"]


def test_stdin_that_is_not_utf16_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    piped(monkeypatch, b"abc")
    with pytest.raises(UserError, match=r"^stdin, after line 0: not UTF-16"):
        read(encoding="utf-16")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_byte_order_mark_is_no_part_of_the_first_text(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, "\ufeffa\n\ufeffb\n".encode(encoding))
    assert read(encoding=encoding) == ["a", "\ufeffb"]


@pytest.mark.parametrize("closed", [True, False])
def test_closed_stdin_is_refused(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.StringIO()
    stdin.close()
    monkeypatch.setattr(sys, "stdin", stdin if closed else None)
    with pytest.raises(UserError, match=r"^stdin is closed; predict needs text="):
        run(Path("any"))


def test_without_stdin_one_text_and_a_file_are_labelled(
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    (tmp_path / "in.txt").write_text("two\n")
    run(finished, text="one", format="json")
    run(finished, file=str(tmp_path / "in.txt"), format="json")
    assert [text for _, _, text in json_rows(capsys.readouterr().out)] == ["one", "two"]


@pytest.mark.parametrize("keys", [{"header": False}, {"quoting": "none"}, {"delimiter": ";"}])
def test_keys_of_files_are_refused_for_stdin_and_a_text(
    keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    piped(monkeypatch, b"a\n")
    for what in ("lines on stdin", "text="):
        with pytest.raises(UserError, match=rf"^{next(iter(keys))}=.* says nothing of {what}"):
            read(**keys, **({"text": "a"} if what == "text=" else {}))


def test_text_that_is_not_utf8_is_refused(finished: Path) -> None:
    with pytest.raises(UserError, match="text is not UTF-8"):
        run(finished, text=b"caf\xe9".decode("utf-8", "surrogateescape"))


def test_missing_column_lists_those_there_are(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("words,label\na,b\n", encoding="utf-8")
    with pytest.raises(UserError, match="no column 'text'; it has words, label"):
        run(finished, file=str(tmp_path / "in.csv"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("in.csv", None, "no file"),
        ("in.csv", b"words,label\na,b\n", "no column 'text'"),
        ("in.csv", b"", "is empty"),
        ("in.txt", b"caf\xe9\n", "line 1, byte 4: not UTF-8"),
    ],
)
def test_bad_file_is_refused_before_the_model_is_loaded_and_anything_printed(
    name: str, content: bytes | None, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=said):
        run(tmp_path / "no run", file=str(tmp_path / name), format="csv")
    assert capfd.readouterr().out == ""


def test_only_a_chunk_of_a_long_file_is_read_ahead(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "in.txt"
    file.write_text("".join(f"text {i}\n" for i in range(20_000)), encoding="utf-8")
    config, read = PredictConfig(file=str(file)), []

    def counted() -> Iterator[list[str]]:
        for chunk in of(config):
            read.append(len(chunk))
            yield chunk

    def guess(self: Predictor, texts: list[str]) -> torch.Tensor:
        return torch.tensor([[0.25, 0.75]]).expand(len(texts), 2)

    monkeypatch.setattr(Predictor, "probabilities", guess)
    labelled = Predictor(finished, 32).stream(counted())
    for done, (text, label, chance) in enumerate(labelled):
        assert (text, label, chance) == (f"text {done}", "spam", 0.75)
        assert len(read) == done // CHUNK + 1
    assert sum(read) == 20_000
    assert max(read) == CHUNK
