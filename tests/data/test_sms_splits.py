"""The SMS texts are split as in the book, and their repeats are counted, or left out on demand."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from split_texts import named, texts_of

from loraexp.config.schema import Data
from loraexp.data.cutting import book
from loraexp.data.sources import find_source
from loraexp.data.splits import cut, load_data
from loraexp.records.record_types import SPLITS


@pytest.fixture(scope="module")
def sms(real_data: Path) -> Data:
    """As the tutorial has them: with the blanks that 187 of the messages end in."""
    return Data(name="sms_spam", path=str(real_data / "sms_spam"), split="book", strip=False)


@pytest.fixture(scope="module")
def recipe(real_data: Path) -> dict[str, pd.DataFrame]:
    """The book's recipe written down independently: balance, shuffle, cut at 0.7 and 0.1."""
    file = real_data / "sms_spam" / "SMSSpamCollection"
    everything = pd.read_csv(file, sep="\t", header=None, names=["Label", "Text"])
    count = (everything["Label"] == "spam").sum()
    ham = everything[everything["Label"] == "ham"].sample(count, random_state=123)
    balanced = pd.concat([ham, everything[everything["Label"] == "spam"]])
    balanced = balanced.sample(frac=1, random_state=123).reset_index(drop=True)
    train_end = int(len(balanced) * 0.7)
    validation_end = train_end + int(len(balanced) * 0.1)
    return {
        "ham": ham,
        "train": balanced[:train_end],
        "validation": balanced[train_end:validation_end],
        "test": balanced[validation_end:],
    }


def test_book_split_has_1045_149_and_300_texts(sms: Data) -> None:
    data = load_data(sms)
    assert [len(data[name]) for name in SPLITS] == [1045, 149, 300]


@pytest.mark.parametrize("name", SPLITS)
def test_book_split_is_that_of_the_recipe(
    name: str, sms: Data, recipe: dict[str, pd.DataFrame]
) -> None:
    wanted = recipe[name]
    assert named(load_data(sms), name) == list(zip(wanted["Text"], wanted["Label"], strict=True))


def test_another_seed_is_another_split_than_the_recipe(
    sms: Data, recipe: dict[str, pd.DataFrame]
) -> None:
    other = load_data(replace(sms, split_seed=124))
    assert sorted(other.train.texts) != sorted(recipe["train"]["Text"])


def test_sampled_ham_starts_with_the_published_rows(
    sms: Data, recipe: dict[str, pd.DataFrame]
) -> None:
    published = [4307, 4138, 4831, 4461, 5440]
    assert list(recipe["ham"].index[:5]) == published
    read = find_source(sms).read_by_tutorial
    assert read is not None
    rows = pd.concat(book(read, 123).values()).index
    assert set(published) <= set(rows)
    # rows sampled from the 5,574 messages, where the two joined ones stand apart, are others
    frame = find_source(sms).frame
    assert not set(published) <= set(pd.concat(book(frame, 123).values()).index)


def test_37_of_the_books_test_texts_stand_in_train_and_it_is_said(sms: Data) -> None:
    data = load_data(sms)
    assert data.repeats()["test"] == 37
    assert any(line.startswith("37 of 300 test texts stand verbatim") for line in data.warnings())


def test_stripped_texts_are_the_same_rows(sms: Data) -> None:
    as_read, data = load_data(sms), load_data(replace(sms, strip=True))
    for name in SPLITS:
        assert data[name].texts == [text.strip() for text in as_read[name].texts]
        assert data[name].classes == as_read[name].classes
    assert data.note.endswith("; white space left out at the ends of 187 texts")
    assert as_read.note == find_source(sms).note
    assert data.source_sha256 != as_read.source_sha256


@pytest.mark.parametrize("split", ["book", "stratified"])
@pytest.mark.parametrize("strip", [True, False])
def test_the_collection_has_no_shortcut(split: str, strip: bool, sms: Data) -> None:
    for seed in (0, 1, 123):
        assert load_data(replace(sms, split=split, strip=strip, split_seed=seed)).shortcuts == []


@pytest.mark.parametrize("split", ["book", "stratified"])
def test_dedupe_leaves_no_repeat(split: str, sms: Data) -> None:
    config = replace(sms, split=split)
    assert len(set(texts_of(load_data(config)))) < len(texts_of(load_data(config)))
    config.dedupe = True
    data = load_data(config)
    assert len(set(texts_of(data))) == len(texts_of(data))
    assert data.repeats() == {"validation": 0, "test": 0, "test_in_validation": 0}
    assert data.warnings() == []


def test_dedupe_keeps_every_text_once(sms: Data) -> None:
    config = replace(sms, split="stratified", dedupe=True)
    assert set(texts_of(load_data(config))) == set(find_source(config).frame["text"])


def test_cut_moves_no_text_between_two_reads(sms: Data) -> None:
    first, second = (cut(find_source(sms), sms) for _ in range(2))
    assert all(first[name].equals(second[name]) for name in SPLITS)
