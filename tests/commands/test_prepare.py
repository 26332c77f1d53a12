"""What `loraexp prepare` writes loads back as the very same split."""

import csv
from pathlib import Path

import pytest

from loraexp.commands import prepare
from loraexp.commands.prepare import PrepareConfig
from loraexp.config.schema import Data
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS

NASTY = [
    "first\nsecond",
    "first\r\nsecond",
    "\rfirst\rsecond",
    'he said "no", twice',
    '"',
    "=1+1",
    "+44 7700 900123",
    "  spaces  ",
    "NA",
    "\0",
    "😀",
    "a\u2028b\x85c",
    "\ufeffmark",
    "<|endoftext|>",
    "tab\there",
    "back\\slash",
    "x" * 150_000,
]


@pytest.fixture
def nasty(tmp_path: Path) -> Data:
    file = tmp_path / "nasty.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, quoting=csv.QUOTE_ALL)
        writer.writerow(["text", "label"])
        for label in ("=10", " 2", "no"):
            writer.writerows([f"{text} {label}", label] for text in NASTY)
    return Data(name="csv", path=str(file))


def prepared(data: Data, out: Path) -> TextData:
    prepare.run(PrepareConfig(data=data, out=str(out)))
    return load_data(Data(name="csv", path=str(out)))


def test_nasty_texts_load_back_as_the_same_split(nasty: Data, tmp_path: Path) -> None:
    before, after = load_data(nasty), prepared(nasty, tmp_path / "out")
    assert {name: after[name].texts for name in SPLITS} == {
        name: before[name].texts for name in SPLITS
    }
    assert after.sha256 == before.sha256


def test_files_without_quotes_would_not_load_back(nasty: Data, tmp_path: Path) -> None:
    before = load_data(nasty)
    for name in SPLITS:
        split = before[name]
        pairs = zip(split.texts, split.classes, strict=True)
        rows = "".join(f"{text},{before.labels[index]}\n" for text, index in pairs)
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    with pytest.raises(UserError):
        load_data(Data(name="csv", path=str(tmp_path)))


def test_book_split_loads_back_as_the_same_split(real_data: Path, tmp_path: Path) -> None:
    data = Data(name="sms_spam", path=str(real_data / "sms_spam"), split="book")
    assert prepared(data, tmp_path / "out").sha256 == load_data(data).sha256


def test_settings_of_the_split_are_heeded(tmp_path: Path) -> None:
    data = Data(limit=7, split_seed=9)
    assert prepared(data, tmp_path / "out").sha256 == load_data(data).sha256


def test_files_are_named_after_the_splits_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(Data(limit=7), tmp_path / "out")
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "test.csv",
        "train.csv",
        "validation.csv",
    ]
    shown = capsys.readouterr().out
    assert "synthetic messages" in shown
    assert shown.count("7 texts in ") == 3


def test_repeated_texts_are_warned_about(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sms = str(real_data / "sms_spam")
    data = Data(name="sms_spam", path=sms, split="book", strip=False)
    prepare.run(PrepareConfig(data=data, out=str(tmp_path)))
    assert "warning: 37 of 300 test texts stand verbatim in train" in capsys.readouterr().err


def test_books_split_of_other_data_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.split=book belongs to data=sms_spam"):
        prepare.run(PrepareConfig(data=Data(split="book"), out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def folder_of(tmp_path: Path, name: str, rows: int = 30) -> Path:
    """A folder of splits, each of its files with a column of its own."""
    folder = tmp_path / name
    folder.mkdir()
    for split in SPLITS:
        texts = "".join(f"{split} {i},{'ab'[i % 2]},{i}\n" for i in range(rows))
        (folder / f"{split}.csv").write_text(f"text,label,id\n{texts}")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("limit", [5, None])
def test_the_files_that_are_read_are_never_written_over(limit: int | None, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "own")
    before = contents(folder)
    with pytest.raises(UserError, match=r"^out: .*train\.csv is there already, and nothing is wr"):
        prepared(Data(name="csv", path=str(folder), limit=limit), folder)
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["train.csv", "test.csv", "dev.csv", "train.jsonl"])
def test_a_strangers_file_in_out_stays_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("text,label\na,b\n")
    with pytest.raises(UserError, match=rf"^out: .*{name}"):
        prepared(Data(limit=7), tmp_path / "out")
    assert contents(tmp_path / "out") == {name: "text,label\na,b\n"}
    (tmp_path / "out" / name).rename(tmp_path / "out" / "notes.csv")
    assert len(prepared(Data(limit=7), tmp_path / "out").train) == 7


def test_the_same_files_are_left_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(Data(limit=7), tmp_path)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    (tmp_path / "test.csv").unlink()
    capsys.readouterr()
    prepared(Data(limit=7), tmp_path)
    assert capsys.readouterr().out.count(", which was there already") == 2
    written.pop(tmp_path / "test.csv")
    assert {path: path.stat().st_mtime_ns for path in written} == written
    with pytest.raises(UserError, match="nothing is written over"):
        prepared(Data(limit=6), tmp_path)


def test_the_rows_that_were_read_are_said_and_no_name_steers_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path, "\x1b[31mred")
    (folder / "\nerror: forged").touch()
    prepared(Data(name="csv", path=str(folder)), tmp_path / "\x07out")
    shown = capsys.readouterr().out
    assert "red: 90 rows (train.csv 30, validation.csv 30, test.csv 30); not read: " in shown
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\nerror" not in shown
