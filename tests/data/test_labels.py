"""Labels: which is the positive one, which may be one, which texts have two; counts in words."""

from pathlib import Path
from typing import Any

import pytest

from loraexp.config.schema import Data
from loraexp.data.labels import alike, in_words
from loraexp.data.splits import load_data
from loraexp.errors import UserError


def own(folder: Path, rows: list[tuple[str, str]], **keys: Any) -> Data:
    lines = [f"{text},{label}" for text, label in rows]
    (folder / "own.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return Data(name="csv", path=str(folder / "own.csv"), **keys)


def news(folder: Path, **keys: Any) -> Data:
    return own(folder, [(f"{w} {at}", w) for at in range(20) for w in ("fake", "real")], **keys)


def test_the_positive_label_is_the_second_and_texts_keep_theirs(tmp_path: Path) -> None:
    plain, chosen = load_data(news(tmp_path)), load_data(news(tmp_path, positive_label="fake"))
    assert plain.labels == ("fake", "real")
    assert chosen.labels == ("real", "fake")
    assert chosen.sha256 == plain.sha256
    assert chosen.source_sha256 == plain.source_sha256
    assert plain.classes() == "2 classes: 'fake' 20, 'real' 20; the positive one is 'real'"
    assert chosen.classes() == "2 classes: 'real' 20, 'fake' 20; the positive one is 'fake'"


def test_the_positive_label_of_any_data_set_can_be_chosen() -> None:
    assert load_data(Data(positive_label="ham")).labels == ("spam", "ham")
    assert load_data(Data(positive_label="spam")) == load_data(Data())


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("Fake", "unknown data.positive_label 'Fake'; did you mean 'fake'? known: fake, real"),
        ("", "unknown data.positive_label ''; known: fake, real"),
    ],
)
def test_a_positive_label_that_is_none_is_refused(label: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_data(news(tmp_path, positive_label=label))
    assert str(caught.value) == said


def test_a_positive_label_of_three_is_refused(tmp_path: Path) -> None:
    rows = [(f"{label} {at}", label) for label in "abc" for at in range(10)]
    with pytest.raises(UserError, match=r"^data\.positive_label=a needs two classes, got 3$"):
        load_data(own(tmp_path, rows, positive_label="a"))


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        (["True", "False", "TRUE", "false"], [["True", "TRUE"], ["False", "false"]]),
        (["1", "1.0", "01", "2", "-1"], [["1", "1.0", "01"]]),
        (["spam", "spam ", "ham"], [["spam", "spam "]]),
        (["not spam", "notspam", "Spam"], [["not spam", "notspam"]]),
        (["\ufb01n", "fin", "fine"], [["\ufb01n", "fin"]]),
        (["ham", "spam", "a", "A1", "10", "1"], []),
    ],
)
def test_labels_that_are_nearly_the_same(labels: list[str], groups: list[list[str]]) -> None:
    assert alike(labels) == groups


def test_nearly_equal_labels_are_warned_of(tmp_path: Path) -> None:
    rows = [(f"{label} {at}", label) for label in ("no", "yes", "Yes") for at in range(10)]
    (line,) = load_data(own(tmp_path, rows)).warnings()
    assert line == "the labels 'Yes', 'yes' are nearly the same and count as 2 classes"


def test_many_classes_are_cut_and_control_characters_escaped() -> None:
    assert in_words({f"c{at}": at + 1 for at in range(500)}) == (
        "500 classes of 1 to 500 texts: 'c0' 1, 'c1' 2, 'c2' 3, 'c3' 4, 'c4' 5, 'c5' 6 and 494 more"
    )
    assert in_words({"a\x1b[2J\n": 1_000, "b" * 50: 2}) == (
        f"2 classes: 'a\\x1b[2J\\n' 1,000, '{'b' * 39}…' 2"
    )


def test_texts_under_two_labels_are_warned_of_and_dedupe_says_what_it_drops(
    tmp_path: Path,
) -> None:
    rows = [(f"{label} {at}", label) for label in ("a", "b") for at in range(20)]
    twice = [*rows, ("a 0", "a"), ("a 1", "b"), ("a 1", "b"), ("b 2", "a")]
    told = load_data(own(tmp_path, twice)).warnings()
    assert told[0] == "2 texts stand under more than one label: no model can be right on all"
    data = load_data(own(tmp_path, twice, dedupe=True))
    assert data.warnings() == [
        "data.dedupe dropped 4 repeated texts, 3 of them under another label than the one kept"
    ]
    data = load_data(own(tmp_path, [*rows, rows[0]], dedupe=True))
    assert data.warnings() == []
    assert data.note.endswith("; data.dedupe dropped 1 repeated texts")
    assert "dedupe" not in load_data(own(tmp_path, rows, dedupe=True)).note


def test_a_class_without_a_text_in_a_split_is_warned_of(tmp_path: Path) -> None:
    rows = [(f"{label} {at}", label) for label in ("a", "b") for at in range(20)]
    data = load_data(own(tmp_path, [*rows, ("c 0", "c")]))
    assert data.warnings() == [
        f"no {name} text has the label 'c': its means over the classes are over the 2 that have one"
        for name in ("validation", "test")
    ]
    assert data.absent("train") is None
    assert load_data(own(tmp_path, rows)).warnings() == []
