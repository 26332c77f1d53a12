"""A file is read with the quotes, separator, encoding and header that the keys say."""

import os
from pathlib import Path
from typing import Any

import pytest

from loraexp.commands.predict import PredictConfig
from loraexp.config.rules import check
from loraexp.config.schema import Data
from loraexp.data.files import read_chunks, read_labelled
from loraexp.data.reading import Reading
from loraexp.data.sources import SMS_FILE, find_source
from loraexp.errors import UserError

BARE = 'text\tlabel\nfine\ta\n"Second\ta\nThird\tb\nFourth text"\tb\n'


def source(file: Path, content: str | bytes, **keys: Any) -> tuple[list[tuple[str, str]], str]:
    """What data=csv reads, and what it says of it."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = Data(name="csv", path=str(file), **keys)
    check(config)
    found = find_source(config)
    return list(zip(found.frame["text"], found.frame["label"], strict=True)), found.note


def texts(file: Path, content: str | bytes, **keys: Any) -> list[str]:
    """What predict reads."""
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    config = PredictConfig(**keys)
    column = config.text_column or "text"
    frames = read_chunks(file, [column], reading=Reading.of(config))
    return [text for frame in frames for text in frame[column]]


def test_a_quote_in_tsv_is_a_character(tmp_path: Path) -> None:
    rows, said = source(tmp_path / "own.tsv", BARE)
    assert rows == [("fine", "a"), ('"Second', "a"), ("Third", "b"), ('Fourth text"', "b")]
    assert said.endswith("own.tsv: 4 rows")
    merged, said = source(tmp_path / "own.tsv", BARE, quoting="double")
    assert len(merged) == 2, "three texts in one"
    assert said.endswith("own.tsv: 2 rows")


def test_a_quote_in_csv_quotes_unless_it_is_said_that_it_does_not(tmp_path: Path) -> None:
    content = 'text,label\n"a, b",ham\n'
    assert source(tmp_path / "own.csv", content)[0] == [("a, b", "ham")]
    with pytest.raises(UserError, match=r"row 1: cells 3, in the header 2; data\.quoting=double"):
        source(tmp_path / "own.csv", content, quoting="none")
    with pytest.raises(UserError, match=r"row 1: wrong quotes .*; data\.quoting=none reads them"):
        source(tmp_path / "own.csv", 'text,label\n"a,ham\n')
    assert source(tmp_path / "own.csv", 'text,label\n"a,ham\n', quoting="none")[0] == [
        ('"a', "ham")
    ]


def test_texts_of_a_tsv_that_stand_in_quotes_are_remarked_on(tmp_path: Path) -> None:
    content = 'text\tlabel\n"say ""no"""\tham\nplain\tspam\n'
    rows, said = source(tmp_path / "own.tsv", content)
    assert rows[0] == ('"say ""no"""', "ham")
    assert said.endswith("; 1 texts stand in quotes, kept as theirs (data.quoting=double: not)")
    rows, said = source(tmp_path / "own.tsv", content, quoting="double")
    assert rows[0] == ('say "no"', "ham")
    assert said.endswith("2 rows")


@pytest.mark.parametrize("headed", [True, False])
def test_the_real_messages_as_tsv_are_all_read(
    headed: bool, real_data: Path, tmp_path: Path
) -> None:
    content = (real_data / "sms_spam" / SMS_FILE).read_bytes()
    if headed:
        rows, said = source(tmp_path / "sms.tsv", b"label\ttext\n" + content)
    else:
        named = {"text_column": "2", "label_column": "1"}
        rows, said = source(tmp_path / "sms.tsv", content, header=False, **named)
    assert "sms.tsv: 5,574 rows" in said
    lines = content.decode().removesuffix("\n").split("\n")
    labelled = [line.split("\t", 1) for line in lines]
    assert rows == [(text.strip(), label) for label, text in labelled]


@pytest.mark.parametrize(("delimiter", "mark"), [("tab", "\t"), (";", ";"), ("|", "|"), (" ", " ")])
def test_the_delimiter_may_be_any_character(delimiter: str, mark: str, tmp_path: Path) -> None:
    content = f'text{mark}label\n"a{mark}b",c{mark}ham\n'.replace('",c', '"')
    assert source(tmp_path / "own.csv", content, delimiter=delimiter)[0] == [(f"a{mark}b", "ham")]
    with pytest.raises(UserError, match="no column 'text'"):
        source(tmp_path / "own.csv", content)


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", r"\t", "x" * 5000])
def test_no_delimiter_is_refused_by_key(delimiter: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.delimiter must be auto, tab or one char") as error:
        source(tmp_path / "own.csv", "text,label\na,b\n", delimiter=delimiter)
    assert len(str(error.value)) < 150


ENCODINGS = ["utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32", "UTF8", "gb18030"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl"])
def test_a_file_is_decoded_as_it_is_said(kind: str, encoding: str, tmp_path: Path) -> None:
    content = '{"text": "café", "label": "ü"}\n' * 2
    if kind != ".jsonl":
        mark = "\t" if kind == ".tsv" else ","
        content = f"text{mark}label\n" + f"café{mark}ü\n" * 2
    rows, _ = source(tmp_path / f"own{kind}", content.encode(encoding), encoding=encoding)
    assert rows == [("café", "ü")] * 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(encoding: str, tmp_path: Path) -> None:
    content = "\ufefftext,label\na,b\n".encode(encoding)
    assert source(tmp_path / "own.csv", content, encoding=encoding)[0] == [("a", "b")]


@pytest.mark.parametrize("encoding", ["", "no-such", "hex", "rot13", "undefined", "x" * 5000])
def test_an_unknown_encoding_is_refused_by_key(encoding: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.encoding must be one that Python kn") as error:
        source(tmp_path / "own.csv", "text,label\na,b\n", encoding=encoding)
    assert len(str(error.value)) < 180


@pytest.mark.parametrize(
    ("content", "encoding", "said"),
    [
        (
            "text,label\na,é\n".encode("cp1252"),
            "utf-8",
            "line 2, byte 3: not UTF-8; data.encoding=",
        ),
        ("text,label\na,b\n".encode("utf-16"), "utf-8", "e.g. utf-16"),
        (b"text,label\na,\x81\n", "cp1252", "line 2, byte 3: not cp1252; data.encoding=NAME"),
        (b"text,label\na", "utf-16", "own.csv: not UTF-16"),
    ],
)
def test_another_encoding_is_refused(
    content: bytes, encoding: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as error:
        source(tmp_path / "own.csv", content, encoding=encoding)
    assert said in str(error.value)


def test_without_a_header_the_columns_are_numbers(tmp_path: Path) -> None:
    named = {"text_column": "2", "label_column": "1", "header": False}
    rows, said = source(tmp_path / "own.csv", "\nham,hello\n\nspam,win\n", **named)
    assert rows == [("hello", "ham"), ("win", "spam")]
    assert said.endswith("2 rows")
    with pytest.raises(UserError, match=r"row 2: cells 3, in the first row 2"):
        source(tmp_path / "own.csv", "ham,hello\nspam,win,now\n", **named)
    with pytest.raises(UserError, match=r"it has 1, 2 \(data\.header=false numbers the columns\)"):
        source(tmp_path / "own.csv", "ham,hello\n", header=False)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (".jsonl", {"header": False}),
        (".jsonl", {"quoting": "none"}),
        (".txt", {"delimiter": "tab"}),
        (".parquet", {"encoding": "latin-1"}),
    ],
)
def test_a_key_that_would_be_left_aside_is_refused(
    kind: str, keys: dict[str, Any], tmp_path: Path
) -> None:
    [key] = keys
    with pytest.raises(UserError, match=rf"^{key}=.* says nothing of .*own\{kind}: leave it out"):
        texts(tmp_path / f"own{kind}", "x", **keys)
    with pytest.raises(UserError, match=rf"^data\.{key}=.* says nothing of "):
        Reading.of(Data(**keys)).check(kind, "x")


def test_keys_of_runs_of_before_are_taken_for_every_kind() -> None:
    for kind in (".csv", ".jsonl", ".parquet"):
        Reading.of(Data(quoting="double")).check(kind, "any")


def test_one_column_has_as_many_texts_as_lines(tmp_path: Path) -> None:
    assert texts(tmp_path / "in.csv", "text\na\n\nb\n\n") == ["a", "", "b", ""]
    assert texts(tmp_path / "in.csv", "\na\n\nb\n", header=False, text_column="1") == [
        *("", "a", "", "b")
    ]


def test_blank_lines_between_records_of_several_cells_are_none(tmp_path: Path) -> None:
    content = 'text,id\na,1\n\n"",2\n\n'
    assert texts(tmp_path / "in.csv", content) == ["a", ""]


def test_predicts_keys_are_named_as_they_are_typed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no header\? header=false$"):
        texts(tmp_path / "in.csv", "hi,ham\n")
    with pytest.raises(UserError, match=r"^encoding must be one"):
        texts(tmp_path / "in.csv", "text\n", encoding="no-such")


def test_labelled_rows_of_a_file_are_counted_where_a_text_has_line_ends(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text('text,label\n"a, d\nb, e",ham\nc,spam\n')
    assert read_labelled(tmp_path / "own.csv", "text", "label")[1] == "2 rows"


@pytest.mark.parametrize("order", ["text,label", "label,text"])
def test_texts_of_a_csv_that_hold_whole_rows_are_remarked_on(order: str, tmp_path: Path) -> None:
    rows = [("fine", "b"), ('"Second', "a"), ("Third", "b"), ('Fourth text"', "b")]
    lines = [f"{t},{c}" if order == "text,label" else f"{c},{t}" for t, c in rows]
    content = "\n".join([order, *lines]) + "\n"
    read, said = source(tmp_path / "own.csv", content)
    assert len(read) == 2
    assert said.endswith("2 rows; 1 texts hold whole rows: a bare quote? (data.quoting=none)")
    assert source(tmp_path / "own.csv", content, quoting="none")[1].endswith("own.csv: 4 rows")


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(UserError, match=r"pipe\.csv is no regular file"):
        next(read_chunks(tmp_path / "pipe.csv", ["text"]))
    (tmp_path / "pipe.csv").unlink()
    (tmp_path / "pipe.csv").mkdir()
    with pytest.raises(UserError, match=r"pipe\.csv is a folder"):
        next(read_chunks(tmp_path / "pipe.csv", ["text"]))
