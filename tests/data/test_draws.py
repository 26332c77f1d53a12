"""Drawn texts: from a seed, classes in proportion, in their order; small classes can be split."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_texts import texts_of

from loraexp.config.schema import Data
from loraexp.data.draws import drawn, of_each_class
from loraexp.data.splits import load_data, load_whole
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS


def file_of(path: Path, labels: list[str]) -> Data:
    rows = [f"text {at} of {label},{label}" for at, label in enumerate(labels)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return Data(name="csv", path=str(path))


def folder_of(folder: Path, **splits: list[str]) -> Data:
    for name, labels in splits.items():
        file_of(folder / f"{name}.csv", labels)
    return Data(name="csv", path=str(folder))


@settings(deadline=None, max_examples=50)
@given(classes=st.lists(st.integers(0, 6), min_size=1, max_size=80), data=st.data())
def test_each_class_has_its_share_to_one_text(classes: list[int], data: st.DataObject) -> None:
    n = data.draw(st.integers(0, len(classes)))
    places = drawn(classes, n, (3, 1))
    assert len(places) == n
    assert places == sorted({*places})
    assert places == drawn(classes, n, (3, 1))
    kept = Counter(classes[at] for at in places)
    for label, size in Counter(classes).items():
        assert abs(kept[label] - n * size / len(classes)) < 1


def test_another_seed_draws_other_texts() -> None:
    assert drawn([0] * 50 + [1] * 50, 10, (0,)) != drawn([0] * 50 + [1] * 50, 10, (1,))


def test_a_limit_of_a_file_sorted_by_class_has_every_class(tmp_path: Path) -> None:
    every = [f"c{at}" for at in range(5) for _ in range(20)]
    config = folder_of(tmp_path, train=every, validation=every, test=every)
    config.limit = 10
    data = load_data(config)
    for name in SPLITS:
        assert Counter(data[name].classes) == dict.fromkeys(range(5), 2)
        whole = load_data(Data(name="csv", path=str(tmp_path)))[name].texts
        assert [text for text in whole if text in {*data[name].texts}] == data[name].texts
    assert data.note.endswith("; data.limit=10 of each split, drawn, classes in proportion")
    assert data.warnings() == [
        line for line in data.warnings() if "stand verbatim" in line
    ]  # no class is missing
    config.split_seed = 5
    assert load_data(config).train.texts != data.train.texts
    config.limit_by = "first"
    first = load_data(config)
    assert {*first.train.classes} == {0}
    assert first.note.endswith("; data.limit=10 of each split, the first")
    assert "and 0 more" not in "".join(first.warnings())
    assert "no train text has the label 'c1', 'c2', 'c3', 'c4' (so none is learnt)" in "".join(
        first.warnings()
    )


def test_a_limit_of_a_whole_file_is_drawn_too(tmp_path: Path) -> None:
    config = file_of(tmp_path / "own.csv", ["a"] * 30 + ["b"] * 30)
    config.limit = 10
    assert Counter(load_whole(config).test.classes) == {0: 5, 1: 5}


def test_a_limit_that_drops_nothing_changes_and_says_nothing() -> None:
    all_of_it, limited = load_data(Data()), load_data(Data(limit=100_000))
    assert limited == all_of_it


def test_500_classes_of_5_texts_are_split(tmp_path: Path) -> None:
    config = file_of(tmp_path / "own.csv", [f"c{at % 500:03}" for at in range(2500)])
    data = load_data(config)
    assert [len(data[name]) for name in SPLITS] == [1750, 250, 500]
    assert sorted(texts_of(data)) == sorted(texts_of(load_data(config)))
    assert len({*texts_of(data)}) == 2500
    assert {*data.train.classes} == {*range(500)}
    assert len({*data.validation.classes}) == 250
    assert max(Counter(data.test.classes).values()) == 1
    (line,) = data.warnings()
    assert line.startswith("no validation text has the label 'c0")
    assert line.endswith("and 244 more: its means over the classes are over the 250 that have one")
    config.split_seed = 6
    assert {*load_data(config).validation.classes} != {*data.validation.classes}


@pytest.mark.parametrize(("n", "sizes"), [(4, [5, 1, 2]), (2, [140, 20, 40])])
def test_classes_of_few_texts_keep_one_to_learn_from(
    n: int, sizes: list[int], tmp_path: Path
) -> None:
    classes = 100 if n == 2 else 2
    labels = [f"c{at}" for at in range(classes) for _ in range(n)]
    data = load_data(file_of(tmp_path / "own.csv", labels))
    assert [len(data[name]) for name in SPLITS] == sizes
    assert {*data.train.classes} == {*range(classes)}


def test_500_classes_of_one_text_cannot_be_split(tmp_path: Path) -> None:
    config = file_of(tmp_path / "own.csv", [f"c{at}" for at in range(500)])
    with pytest.raises(UserError, match="no text is left for validation"):
        load_data(config)


def test_a_folder_of_small_classes_gets_its_validation_texts(tmp_path: Path) -> None:
    labels = [f"c{at % 50}" for at in range(200)]
    data = load_data(folder_of(tmp_path, train=labels, test=labels[:50]))
    assert [len(data[name]) for name in SPLITS] == [180, 20, 50]
    assert {*data.train.classes} == {*range(50)}


def test_a_split_of_less_than_half_its_share_is_warned_of(tmp_path: Path) -> None:
    labels = [f"c{at % 100}" for at in range(400)] + ["big"] * 6
    config = file_of(tmp_path / "own.csv", labels)
    told = "validation has only 1 of 406 texts: most classes are too small for one"
    assert told in load_data(config).warnings()
    assert "has only" not in "".join(load_data(Data()).warnings())


@settings(deadline=None, max_examples=30)
@given(classes=st.lists(st.integers(0, 4), min_size=1, max_size=60), most=st.integers(1, 20))
def test_of_each_class_at_most_so_many_and_fewer_are_among_more(
    classes: list[int], most: int
) -> None:
    places, more = (of_each_class(classes, n, (3, 4)) for n in (most, most + 1))
    assert places == sorted({*places})
    assert {*places} <= {*more}
    kept = Counter(classes[at] for at in places)
    assert kept == {label: min(most, n) for label, n in Counter(classes).items()}


def test_per_class_keeps_validation_and_test_and_says_whose_part_it_is() -> None:
    whole, some, other = (load_data(Data(per_class=n)) for n in (None, 5, 6))
    assert (some.validation, some.test) == (whole.validation, whole.test)
    assert Counter(some.train.classes) == {0: 5, 1: 5}
    assert {*some.train.texts} < {*other.train.texts} < {*whole.train.texts}
    assert some.tested_sha256 == other.tested_sha256 == whole.sha256
    assert len({one.sha256 for one in (whole, some, other)}) == 3
    assert whole.tested_sha256 == ""
    assert some.source_sha256 == whole.source_sha256
    assert "data.per_class=5 keeps 10 of 1,680 to train" in some.note
    again = load_data(Data(per_class=5, split_seed=9))
    assert again.tested_sha256 != some.tested_sha256
