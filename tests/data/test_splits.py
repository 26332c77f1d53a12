"""A split is fixed by its seed, keeps the proportions of the labels, and loses no text."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from split_texts import named, texts_of

from loraexp.config.schema import Data
from loraexp.data.cutting import stratified
from loraexp.data.splits import UNMEASURED, Split, TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS


def frame_of(labels: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "text": [f"text {i}" for i in range(len(labels))]})


def own(folder: Path, rows: Sequence[tuple[str, str]], **settings: object) -> Data:
    folder.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=["text", "label"]).to_csv(folder / "own.csv", index=False)
    return Data(name="csv", path=str(folder / "own.csv"), **settings)  # type: ignore[arg-type]


def test_texts_that_stand_in_validation_and_test_are_counted_and_said() -> None:
    train, validation = Split(["a", "b"], [0, 1]), Split(["b", "c", "d"], [1, 0, 0])
    test = Split(["c", "c", "e"], [0, 0, 1])
    data = TextData(train, validation, test, ("ham", "spam"), "", False)
    assert data.repeats() == {"validation": 1, "test": 0, "test_in_validation": 2}
    first, second = data.warnings()
    assert first.startswith("1 of 3 validation texts stand verbatim in train (")
    assert second.startswith("2 of 3 test texts stand verbatim in validation (")


def test_book_split_of_other_data_is_refused(tmp_path: Path) -> None:
    rows = [("a", "ham"), ("b", "spam"), ("c", "spam")]
    with pytest.raises(UserError, match=r"data\.split=book belongs to data=sms_spam"):
        load_data(own(tmp_path, rows, split="book"))


@pytest.mark.parametrize("dedupe", [False, True])
def test_every_text_trains_where_nothing_is_to_be_measured(dedupe: bool, tmp_path: Path) -> None:
    rows = [(f"text {at // 2}", "ham" if at % 4 < 2 else "spam") for at in range(80)]
    whole = load_data(own(tmp_path, rows, split="all", dedupe=dedupe))
    held_out = load_data(own(tmp_path, rows, dedupe=dedupe))
    assert sorted(whole.train.texts) == sorted([text for text, _ in rows][:: 2 if dedupe else 1])
    assert whole.test == held_out.test
    assert whole.repeats()["test"] == len(whole.test)
    assert UNMEASURED in whole.warnings()
    assert UNMEASURED not in held_out.warnings()


def test_every_text_of_files_for_each_split_trains_too(tmp_path: Path) -> None:
    for name in SPLITS:
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name} a,x\n{name} b,y\n")
    data = load_data(Data(name="csv", path=str(tmp_path), split="all"))
    assert sorted(data.train.texts) == sorted(f"{name} {x}" for name in SPLITS for x in "ab")
    assert data.test.texts == ["test a", "test b"]


SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=1)


@settings(deadline=None, max_examples=50)
@given(sizes=SIZES, seed=st.integers(0, 2**32 - 1))
def test_stratified_split_keeps_proportions_and_loses_nothing(
    sizes: dict[str, int], seed: int
) -> None:
    frame = frame_of([label for label, n in sizes.items() for _ in range(n)])
    parts = stratified(frame, seed)
    assert sorted(pd.concat(parts.values()).index) == list(range(len(frame)))
    for name, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        counts = Counter(parts[name]["label"])
        for label, n in sizes.items():
            assert abs(counts[label] - share * n) <= 1, (name, label)


def test_a_split_blind_to_labels_would_not_keep_proportions() -> None:
    frame = frame_of(["rare"] * 10 + ["common"] * 990)
    blind = frame.sample(frac=1, random_state=0)[:700]
    assert abs(Counter(blind["label"])["common"] - 693) > 1
    assert Counter(stratified(frame, 0)["train"]["label"]) == {"rare": 7, "common": 693}


def test_split_depends_on_split_seed_only() -> None:
    same = [load_data(Data(batch_size=size)).sha256 for size in (1, 8)]
    assert same[0] == same[1]
    assert load_data(Data(split_seed=7)).sha256 != same[0]


def test_classes_are_mixed_within_a_split() -> None:
    head = load_data(Data()).train.classes[:200]
    assert 60 <= sum(head) <= 140


def test_split_of_demo_messages_has_no_repeat_and_no_warning() -> None:
    data = load_data(Data())
    assert data.warnings() == []
    assert [len(data[name]) for name in SPLITS] == [1680, 240, 480]


@pytest.mark.parametrize("n", [1, 2])
def test_class_with_one_or_two_texts_goes_to_train(n: int, tmp_path: Path) -> None:
    rows = [(f"common {i}", "common") for i in range(40)] + [
        (f"rare {i}", "rare") for i in range(n)
    ]
    data = load_data(own(tmp_path, rows))
    assert [data[name].classes.count(1) for name in SPLITS] == [n, 0, 0]
    assert sorted(texts_of(data)) == sorted(text for text, _ in rows)


@pytest.mark.parametrize(("n", "left_out"), [(1, "validation"), (2, "validation")])
def test_too_few_texts_name_the_split_left_empty(n: int, left_out: str, tmp_path: Path) -> None:
    rows = [(f"{label} {i}", label) for label in ("a", "b") for i in range(n)]
    with pytest.raises(UserError, match=rf"own\.csv: \d rows: no text is left for {left_out}"):
        load_data(own(tmp_path, rows))


def test_limit_by_first_keeps_the_first_texts_of_each_split() -> None:
    full, some = load_data(Data()), load_data(Data(limit=5, limit_by="first"))
    for name in SPLITS:
        assert named(some, name) == named(full, name)[:5]


def test_folder_with_three_files_is_split_as_it_says(tmp_path: Path) -> None:
    rows = {name: [(f"{name} b", "b"), (f"{name} a", "a")] for name in SPLITS}
    for name, content in rows.items():
        frame = pd.DataFrame(content, columns=["text", "label"])
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    data = load_data(Data(name="csv", path=str(tmp_path)))
    assert {name: named(data, name) for name in SPLITS} == rows


def test_class_without_training_text_is_warned_about(tmp_path: Path) -> None:
    for name, label in zip(SPLITS, ("a", "b", "a"), strict=True):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name},{label}\n", encoding="utf-8")
    data = load_data(Data(name="csv", path=str(tmp_path)))
    assert data.warnings() == [
        "no train text has the label 'b' (so none is learnt): its F1, precision, recall and AUROC "
        "are not defined",
        "no validation text has the label 'a': its AUROC is not defined",
        "no test text has the label 'b': its F1, precision, recall and AUROC are not defined",
    ]


def test_hash_names_texts_labels_order_and_split() -> None:
    one, swapped, relabelled = Split(["a", "b"], [0, 1]), Split(["b", "a"], [1, 0]), [1, 1]
    variants = [
        (one, one, ("ham", "spam")),
        (one, swapped, ("ham", "spam")),
        (swapped, one, ("ham", "spam")),
        (one, Split(one.texts, relabelled), ("ham", "spam")),
        (one, one, ("spam", "ham")),
    ]
    hashes = [
        TextData(train, one, test, labels, "", False).sha256 for train, test, labels in variants
    ]
    assert len(set(hashes)) == len(variants)


def test_hash_does_not_depend_on_how_labels_are_numbered() -> None:
    one, other = Split(["a", "b"], [0, 1]), Split(["a", "b"], [1, 0])
    first = TextData(one, one, one, ("ham", "spam"), "here", False)
    second = TextData(other, other, other, ("spam", "ham"), "there", True)
    assert first.sha256 == second.sha256


def test_unknown_split_names_those_there_are() -> None:
    with pytest.raises(UserError, match="unknown split 'tset'; did you mean 'test'"):
        load_data(Data(limit=1))["tset"]


def test_folder_without_validation_gives_a_tenth_of_each_class_of_train(tmp_path: Path) -> None:
    def write(name: str, rows: list[tuple[str, str]]) -> None:
        pd.DataFrame(rows, columns=["text", "label"]).to_csv(tmp_path / name, index=False)

    rows = [(f"{label} {i}", label) for label in ("a", "b", "c") for i in range(20)]
    write("train.csv", rows)
    write("test.csv", [("a test", "a"), ("b test", "b")])
    data = load_data(Data(name="csv", path=str(tmp_path)))
    assert data.test.texts == ["a test", "b test"]
    assert sorted(data.train.texts + data.validation.texts) == sorted(text for text, _ in rows)
    assert Counter(data.validation.classes) == {0: 2, 1: 2, 2: 2}
    other = load_data(Data(name="csv", path=str(tmp_path), split_seed=7))
    assert other.validation.texts != data.validation.texts
    write("validation.csv", [("a held out", "a")])
    data = load_data(Data(name="csv", path=str(tmp_path)))
    assert data.validation.texts == ["a held out"]
    assert len(data.train) == 60
