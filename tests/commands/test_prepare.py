"""What `loraexp prepare` writes loads back as the very same split."""

import csv
from pathlib import Path

import pytest

from loraexp.commands import prepare
from loraexp.config import Data
from loraexp.data.files import SPLITS
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.schemas import PrepareConfig

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
    prepare.run(PrepareConfig(data=data, out=str(out)), None)
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
    prepare.run(PrepareConfig(data=data, out=str(tmp_path)), None)
    assert "warning: 37 of 300 test texts stand verbatim in train" in capsys.readouterr().err


def test_books_split_of_other_data_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.split=book belongs to data=sms_spam"):
        prepare.run(PrepareConfig(data=Data(split="book"), out=str(tmp_path / "out")), None)
    assert not (tmp_path / "out").exists()
