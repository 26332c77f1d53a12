"""People's own files are read as they are, or refused with one line that names file and row."""

import csv
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.data.files import READERS, read_chunks, read_labelled
from loraexp.data.reading import Reading
from loraexp.errors import UserError

Rows = list[tuple[str, str]]

NASTY = [
    ("a, b\t\"c\" 'd' \\", "ham"),
    ("first\nsecond\r\nthird\rfourth", "spam"),
    ("😀 👩‍👩‍👧 é ß 漢字 \u2028 \x85", "spam"),
    ("😀🎉", "ham"),
    ("<|endoftext|>", "ham"),
    ("\0", "ham"),
    ("=1+1", "ham"),
    ("  spaces kept  ", "NA"),
    ("null", "null"),
    ("x" * 100_000, "long"),
    ("y" * 200_000, "longer than csv's own limit"),
]


def frame_of(rows: Rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["text", "label"])


def write_csv(rows: Rows, path: Path) -> None:
    frame_of(rows).to_csv(path, index=False, quoting=csv.QUOTE_ALL)


def write_tsv(rows: Rows, path: Path) -> None:
    frame_of(rows).to_csv(path, index=False, sep="\t", quoting=csv.QUOTE_ALL)


def write_jsonl(rows: Rows, path: Path) -> None:
    lines = [json.dumps({"text": t, "label": c}, ensure_ascii=False) + "\n" for t, c in rows]
    path.write_text("".join(lines), encoding="utf-8", newline="")


def write_parquet(rows: Rows, path: Path) -> None:
    frame_of(rows).to_parquet(path)


WRITERS: dict[str, Callable[[Rows, Path], None]] = {
    ".csv": write_csv,
    ".tsv": write_tsv,
    ".jsonl": write_jsonl,
    ".ndjson": write_jsonl,
    ".parquet": write_parquet,
}
QUOTED = Reading(quoting="double")  # in TSV, too: no other way to carry a tab or a line end
LABELLED = [kind for kind in READERS if kind != ".txt"]


def read(path: Path) -> Rows:
    frame, _ = read_labelled(path, "text", "label", QUOTED)
    return list(zip(frame["text"], frame["label"], strict=True))


def refusal(path: Path, *columns: str) -> str:
    with pytest.raises(UserError) as error:
        read_labelled(path, *(columns or ("text", "label")))
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("kind", LABELLED)
def test_every_kind_of_file_gives_back_its_texts_and_labels(kind: str, tmp_path: Path) -> None:
    WRITERS[kind](NASTY, tmp_path / f"file{kind}")
    assert read(tmp_path / f"file{kind}") == NASTY


def test_unquoted_texts_would_not_come_back(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("text,label\n" + "".join(f"{t},{c}\n" for t, c in NASTY), encoding="utf-8")
    with pytest.raises(UserError):
        read(file)


CELL = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda cell: cell.strip())


@settings(deadline=None, max_examples=25)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=4), kind=st.sampled_from(LABELLED))
def test_any_text_comes_back(rows: Rows, kind: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"file{kind}"
        WRITERS[kind](rows, file)
        assert read(file) == rows


@pytest.mark.parametrize("kind", [".csv", ".tsv", ".jsonl"])
def test_byte_order_mark_is_no_part_of_the_first_column(kind: str, tmp_path: Path) -> None:
    plain, marked = tmp_path / f"plain{kind}", tmp_path / f"marked{kind}"
    WRITERS[kind](NASTY, plain)
    marked.write_bytes(b"\xef\xbb\xbf" + plain.read_bytes())
    assert read(marked) == NASTY


def test_windows_line_ends_are_no_part_of_a_cell(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(b"text,label\r\na,ham\r\nb,spam\r\n")
    assert read(file) == [("a", "ham"), ("b", "spam")]


def test_other_columns_may_hold_anything(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("id,label,words,\n1,ham,a,\n,spam,b,x\n", encoding="utf-8")
    frame, _ = read_labelled(file, "words", "label")
    assert frame.to_dict("list") == {"text": ["a", "b"], "label": ["ham", "spam"]}


def test_columns_named_crosswise_are_not_mixed_up(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("label,text\nhello,ham\n", encoding="utf-8")
    frame, _ = read_labelled(file, "label", "text")
    assert frame.to_dict("list") == {"text": ["hello"], "label": ["ham"]}


def test_parquet_column_that_is_a_pandas_index_is_read(tmp_path: Path) -> None:
    frame_of(NASTY).set_index("text").to_parquet(tmp_path / "file.parquet")
    assert read(tmp_path / "file.parquet") == NASTY


@pytest.mark.parametrize("kind", [".jsonl", ".parquet"])
def test_number_as_label_reads_as_it_is_written(kind: str, tmp_path: Path) -> None:
    file = tmp_path / f"file{kind}"
    frame = pd.DataFrame({"text": ["a", "b"], "label": [0, 10]})
    if kind == ".parquet":
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=True)
    assert read(file) == [("a", "0"), ("b", "10")]


GOOD = '{"text": "a", "label": "ham"}\n'
BAD_FILES = {
    "no bytes": ("f.csv", b"", "is empty"),
    "only a header": ("f.csv", b"text,label\n", "has no rows"),
    "only blank lines": ("f.jsonl", b"\n\n", "has no rows"),
    "missing column": ("f.csv", b"words,class\na,b\n", "no column 'text'; it has words, class"),
    "other separator": ("f.csv", b"text;label\na;b\n", "it has text;label; is the delimiter ';'?"),
    "no header": ("f.csv", b"hi,ham\nyo,spam\n", "it has hi, ham; no header? data.header=false"),
    "many columns": (
        "f.csv",
        b",".join([b"x" * 99] * 99) + b"\na\n",
        "xx…, and 91 more; no header?",
    ),
    "a column twice": ("f.csv", b"text,label,label\na,b,c\n", "2 columns called 'label'"),
    "bare comma": ("f.csv", b"text,label\na,ham\nb, c,spam\n", "row 2: cells 3, in the header 2"),
    "bare comma everywhere": ("f.csv", b"text,label\na,b,ham\n", "row 1: cells 3"),
    "missing cell": ("f.tsv", b"text\tlabel\na\tham\n\nb\n", "row 2: cells 1"),
    "open quote": ("f.csv", b'text,label\na,ham\n"b,spam\n', "row 2: wrong quotes"),
    "empty text": ("f.csv", b"text,label\na,ham\n ,spam\n", "row 2: text is empty"),
    "empty label": ("f.csv", b'text,label\n"a\nb",ham\nc,\n', "row 2: label is empty"),
    "not UTF-8": ("f.csv", "text,label\na,ham\né,spam\n".encode("latin-1"), "line 3, byte 1: not"),
    "UTF-16": ("f.csv", "text,label\na,ham\n".encode("utf-16"), "line 1, byte 1: not UTF-8"),
    "no JSON": ("f.jsonl", f"{GOOD}\n{{'text'\n".encode(), "row 3: no valid JSON"),
    "endless JSON": ("f.jsonl", b"[" * 100_000, "row 1: no valid JSON"),
    "JSON list": ("f.jsonl", f"{GOOD}[1]\n".encode(), "row 2: not a JSON object"),
    "key missing": ("f.jsonl", b'{"text": "a", "class": 1}', "row 1: no 'label'; it has text, cl"),
    "null": ("f.jsonl", b'{"text": "a", "label": null}', "row 1: label is null"),
    "empty in JSON": ("f.jsonl", f'{GOOD}\n{{"text": "", "label": 1}}'.encode(), "row 3: text is"),
    "half an emoji": ("f.jsonl", rb'{"text": "\ud83d", "label": 1}', r"row 1: '\ud83d' is half"),
    "no Parquet": ("f.parquet", b"PAR1 nothing PAR1", "f.parquet: "),
    "unknown ending": ("f.xlsx", b"PK", "cannot read .xlsx; save it as .csv; known: .csv"),
    "an array": ("f.json", b"[]", "cannot read .json; write one object a line and call it .jsonl"),
    "unknown": ("f.odt", b"PK", "cannot read .odt; known: .csv, .tsv, .jsonl"),
    "no ending": ("file", b"text,label\na,b\n", "cannot read a file without an ending"),
    "text only": ("f.txt", b"a\nb\n", "cannot read .txt; known: .csv"),
}


@pytest.mark.parametrize(("name", "content", "says"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_bad_file_is_refused_in_one_line(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    assert says in refusal(tmp_path / name)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "file.csv").startswith("no file ")
    with pytest.raises(UserError, match=r"^no file x{299}…$"):
        read(Path("x" * 5000))


@pytest.mark.parametrize("address", ["https://example.com/a/own.csv", "hf://datasets/x/own.csv"])
def test_an_address_is_told_from_a_file(address: str) -> None:
    for path in (Path(address), Path.cwd() / address):
        assert refusal(path) == f"{address} is an address; download it and name the file"


def test_a_column_that_is_not_read_may_be_there_twice(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("text,x,label,x\na,1,ham,2\n")
    assert read(tmp_path / "f.csv") == [("a", "ham")]


def test_folder_without_test_texts_is_refused(tmp_path: Path) -> None:
    write_csv(NASTY, tmp_path / "train.csv")
    with pytest.raises(UserError, match=r"no file .*test\.csv"):
        read_labelled(tmp_path, "text", "label")


def test_null_in_parquet_is_refused_by_row(tmp_path: Path) -> None:
    frame_of(NASTY).assign(label=["ham", None] + ["x"] * 9).to_parquet(tmp_path / "f.parquet")
    assert "row 2: label is null" in refusal(tmp_path / "f.parquet")


def test_missing_parquet_column_lists_those_there_are(tmp_path: Path) -> None:
    frame_of(NASTY).to_parquet(tmp_path / "f.parquet")
    message = refusal(tmp_path / "f.parquet", "words", "label")
    assert "no column 'words'; it has text, label" in message


@pytest.mark.parametrize("kind", list(READERS))
def test_no_chunk_is_larger_than_asked(kind: str, tmp_path: Path) -> None:
    file, texts = tmp_path / f"file{kind}", [f"text {i}" for i in range(20_000)]
    if kind == ".txt":
        file.write_text("\n".join(texts), encoding="utf-8")
    else:
        WRITERS[kind]([(text, "a") for text in texts], file)
    chunks = [list(chunk["text"]) for chunk in read_chunks(file, ["text"], 4096, QUOTED)]
    assert [len(chunk) for chunk in chunks] == [4096] * 4 + [3616]
    assert [text for chunk in chunks for text in chunk] == texts


def test_first_chunk_is_there_before_the_last_row_is_read(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("text\n" + "a\n" * 50_000 + "b,too,many\n", encoding="utf-8")
    chunks = read_chunks(file, ["text"])
    assert len(next(chunks)) == 4096
    with pytest.raises(UserError, match="row 50001: cells 3"):
        list(chunks)
