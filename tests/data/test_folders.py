"""A folder's files are read for the splits that their names say, and the others are named."""

from pathlib import Path

import pandas as pd
import pytest

from loraexp.config.schema import Data
from loraexp.data.files import READERS
from loraexp.data.sources import find_source
from loraexp.data.split_files import KINDS
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError


def fill(folder: Path, *names: str) -> Path:
    """A file of four texts of each name; the texts say which."""
    folder.mkdir(exist_ok=True)
    for name in names:
        rows = [(f"{name} {i}", "ab"[i % 2]) for i in range(4)]
        frame = pd.DataFrame(rows, columns=["text", "label"])
        kind = Path(name).suffix.lower()
        if kind == ".parquet":
            frame.to_parquet(folder / name)
        elif kind in (".jsonl", ".ndjson"):
            frame.to_json(folder / name, orient="records", lines=True)
        else:
            frame.to_csv(folder / name, index=False, sep="\t" if kind == ".tsv" else ",")
    return folder


def load(folder: Path) -> TextData:
    return load_data(Data(name="csv", path=str(folder)))


def note(folder: Path) -> str:
    return find_source(Data(name="csv", path=str(folder))).note.removeprefix(f"{folder}: ")


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        load(folder)
    return str(error.value)


def files_of(data: TextData, split: str) -> set[str]:
    return {text.rpartition(" ")[0] for text in data[split].texts}


@pytest.mark.parametrize("name", ["validation.csv", "valid.tsv", "val.jsonl", "Dev.parquet"])
def test_the_validation_file_is_read_by_each_name_and_of_each_kind(
    name: str, tmp_path: Path
) -> None:
    folder = fill(tmp_path / "d", "training.parquet", name, "test.ndjson")
    data = load(folder)
    files = [files_of(data, split) for split in ("train", "validation", "test")]
    assert files == [{"training.parquet"}, {name}, {"test.ndjson"}]
    assert note(folder) == f"12 rows (training.parquet 4, {name} 4, test.ndjson 4)"


def test_without_a_validation_file_it_is_said_that_texts_are_held_out(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "train.csv", "test.csv")
    held = "no file for validation, so a tenth of the training texts is held out for it"
    assert note(folder) == f"8 rows (train.csv 4, test.csv 4); {held}"


def test_files_that_are_not_read_are_named_a_few_of_them(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "train.csv", "val.csv", "test.csv", "train2.csv")
    (folder / ".DS_Store").touch()
    (folder / "cache").mkdir()
    assert note(folder).endswith("test.csv 4); not read: train2.csv")
    for i in range(10):
        (folder / f"a{i}{'x' * 200}.md").touch()
    assert note(folder).endswith("x…, and 6 more")
    assert len(note(folder)) < 500


def test_parts_of_a_split_are_read_in_order(tmp_path: Path) -> None:
    parts = [f"train-{i:05}-of-00011.parquet" for i in range(11)]
    folder = fill(tmp_path / "d", *parts, "dev.csv", "test-00000-of-00001-0a1b2c.parquet")
    texts = load(folder).train.texts
    assert texts == [f"{part} {i}" for part in parts for i in range(4)]
    (folder / parts[3]).unlink()
    assert "train is in 11 parts, 10 are there" in refusal(folder)


@pytest.mark.parametrize(
    ("first", "second", "split"),
    [
        ("train.csv", "train.tsv", "train"),
        ("dev.csv", "val.csv", "validation"),
        ("train-00000-of-00001.csv", "training.csv", "train"),
        ("test-00000-of-00001.parquet", "test.jsonl", "test"),
    ],
)
def test_two_files_for_one_split_are_refused_by_name(
    first: str, second: str, split: str, tmp_path: Path
) -> None:
    rest = [f"{name}.csv" for name in ("train", "val", "test") if not split.startswith(name)]
    folder = fill(tmp_path / "d", *rest, first)
    assert load(folder)
    fill(folder, second)
    names = " and ".join(sorted((first, second)))
    assert f"two files for {split}: {names}; keep one" in refusal(folder)


def test_a_folder_without_files_for_training_names_what_it_has(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "reviews.csv", "test.csv")
    assert refusal(folder).endswith(
        "nor .tsv, .jsonl, .ndjson, .parquet of that name; it has test.csv, reviews.csv"
    )


def test_every_kind_that_holds_labels_may_be_in_a_folder() -> None:
    assert list(KINDS) == [kind for kind in READERS if kind != ".txt"]


def test_a_file_that_is_one_is_no_folder_of_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "d", "reviews.csv", "val.csv")
    assert note(folder / "reviews.csv") == "4 rows"
