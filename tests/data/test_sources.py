"""Each source gives the texts it names, from where the user put them, or says what to do."""

import io
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pooch
import pytest
import requests

from loraexp.config.schema import Data
from loraexp.data.sources import (
    SMS_FILE,
    SMS_SHA256,
    SOURCES,
    download_sms_spam,
    find_source,
    sms_spam_at_hand,
)
from loraexp.data.splits import load_data
from loraexp.errors import UserError

Retrieve = Callable[..., str]


@pytest.fixture
def sms_file(real_data: Path) -> Path:
    return real_data / "sms_spam" / SMS_FILE


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no folder with data, and no network."""

    def offline(*_: object, **__: object) -> str:
        pooch.get_logger().info("Downloading data")
        raise requests.ConnectionError("no route to host")

    monkeypatch.delenv("LORAEXP_DATA_DIR", raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(pooch, "retrieve", offline)
    return tmp_path / "cache" / "loraexp"


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """What pooch tells the terminal."""
    handler = logging.StreamHandler(io.StringIO())
    pooch.get_logger().addHandler(handler)
    yield handler.stream
    pooch.get_logger().removeHandler(handler)


def answer(content: bytes, name: str = SMS_FILE) -> Retrieve:
    """A download that ends well with a zip of one file."""

    def retrieve(url: str, *, known_hash: None, fname: str, path: str) -> str:
        archive = Path(path) / fname
        with ZipFile(archive, "w") as packed:
            packed.writestr(name, content)
            packed.writestr("readme", "of another day")
        return str(archive)

    return retrieve


def left(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.is_file()]


def own(tmp_path: Path, *labels: str) -> Data:
    rows = "".join(f'"text {i}","{label}"\n' for i, label in enumerate(labels))
    (tmp_path / "own.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    return Data(name="csv", path=str(tmp_path / "own.csv"))


def test_raw_collection_has_5574_messages_of_which_747_are_spam(sms_file: Path) -> None:
    frame = find_source(Data(name="sms_spam", path=str(sms_file), strip=False)).frame
    lines = sms_file.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    assert list(frame["label"] + "\t" + frame["text"]) == lines
    assert Counter(frame["label"]) == {"ham": 4827, "spam": 747}


def test_tutorial_reads_two_rows_fewer(sms_file: Path) -> None:
    source = find_source(Data(name="sms_spam", path=str(sms_file)))
    assert source.read_by_tutorial is not None
    assert len(source.read_by_tutorial) == 5572


def test_a_changed_byte_is_refused_by_name(sms_file: Path, tmp_path: Path) -> None:
    content = bytearray(sms_file.read_bytes())
    content[1000] ^= 1
    changed = tmp_path / "changed.txt"
    changed.write_bytes(content)
    with pytest.raises(UserError, match=rf"changed\.txt is not the SMS .*{SMS_SHA256}"):
        find_source(Data(name="sms_spam", path=str(changed)))


def test_path_may_be_the_file_or_its_folder(sms_file: Path) -> None:
    for path in (sms_file, sms_file.parent):
        assert sms_spam_at_hand(Data(name="sms_spam", path=str(path))) == sms_file


def test_path_without_the_file_is_refused_and_nothing_is_downloaded(
    cache: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"no {SMS_FILE} there"):
        sms_spam_at_hand(Data(name="sms_spam", path=str(tmp_path)))


@pytest.mark.parametrize("below", [".", "sms_spam"])
def test_data_dir_holds_the_file_or_its_folder(
    below: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "data" / below / SMS_FILE
    file.parent.mkdir(parents=True)
    file.write_text("ham\thello\n")
    monkeypatch.setenv("LORAEXP_DATA_DIR", str(tmp_path / "data"))
    assert sms_spam_at_hand(Data(name="sms_spam")) == file


def test_path_goes_before_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("mine", "everyones"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / SMS_FILE).touch()
    monkeypatch.setenv("LORAEXP_DATA_DIR", str(tmp_path / "everyones"))
    found = sms_spam_at_hand(Data(name="sms_spam", path=str(tmp_path / "mine")))
    assert found == tmp_path / "mine" / SMS_FILE


@pytest.mark.parametrize("data_dir", [None, "empty"])
def test_offline_without_the_file_names_the_ways_out(
    data_dir: str | None,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: io.StringIO,
) -> None:
    if data_dir:
        monkeypatch.setenv("LORAEXP_DATA_DIR", str(tmp_path / data_dir))
    with pytest.raises(UserError) as error:
        find_source(Data(name="sms_spam"))
    message = str(error.value)
    assert "\n" not in message
    for way in ("data.path=", "LORAEXP_DATA_DIR", "data=sms_demo", str(cache), "ConnectionError"):
        assert way in message
    assert said.getvalue() == ""


def test_download_is_kept_and_used_the_second_time(
    cache: Path, sms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = pooch.retrieve
    monkeypatch.setattr(pooch, "retrieve", answer(sms_file.read_bytes()))
    first = download_sms_spam()
    monkeypatch.setattr(pooch, "retrieve", offline)
    assert download_sms_spam() == first == cache / SMS_FILE
    assert left(cache) == [SMS_FILE]
    assert len(find_source(Data(name="sms_spam")).frame) == 5574


def not_a_zip(url: str, *, known_hash: None, fname: str, path: str) -> str:
    (Path(path) / fname).write_text("<html>Sign in to the hotel's network</html>")
    return str(Path(path) / fname)


@pytest.mark.parametrize(
    "download",
    [answer(b"ham\tother messages\n"), answer(b"ham\thello\n", "other_name"), not_a_zip],
    ids=["other content", "other file", "no zip"],
)
def test_wrong_download_is_refused_and_not_kept(
    download: Retrieve, cache: Path, sms_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pooch, "retrieve", download)
    with pytest.raises(UserError, match="holds another SMSSpamCollection than expected"):
        download_sms_spam()
    assert left(cache) == []
    monkeypatch.setattr(pooch, "retrieve", answer(sms_file.read_bytes()))
    assert download_sms_spam().is_file(), "a wrong archive would be handed out for ever"


def test_damaged_file_in_the_cache_is_refused_by_name(cache: Path, sms_file: Path) -> None:
    cache.mkdir(parents=True)
    (cache / SMS_FILE).write_bytes(sms_file.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"loraexp.SMSSpamCollection is not the SMS Spam"):
        find_source(Data(name="sms_spam"))


def test_numeric_labels_are_sorted_by_value(tmp_path: Path) -> None:
    labels = find_source(own(tmp_path, "10", "2", "-1", "3.5", "ham", "100", "Ham", "-")).labels
    assert labels == ("-1", "2", "3.5", "10", "100", "-", "Ham", "ham")
    assert sorted(labels) != list(labels)


def test_of_minus_one_and_one_the_positive_class_is_one(tmp_path: Path) -> None:
    assert find_source(own(tmp_path, "1", "-1", "1")).labels == ("-1", "1")


def test_there_may_be_many_classes(tmp_path: Path) -> None:
    names = [f"class {i:03}" for i in range(150)]
    assert find_source(own(tmp_path, *reversed(names))).labels == tuple(names)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"own\.csv has one class only: 'ham'"):
        load_data(own(tmp_path, "ham", "ham"))


def test_one_column_for_both_is_refused(tmp_path: Path) -> None:
    config = own(tmp_path, "ham", "spam")
    config.label_column = "text"
    with pytest.raises(UserError, match=r"must differ, got 'text' twice"):
        find_source(config)


def test_own_file_needs_a_path() -> None:
    with pytest.raises(UserError, match=r"data=csv needs data\.path"):
        find_source(Data(name="csv"))


def test_unknown_source_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown data 'sms_dmeo'; did you mean 'sms_demo'"):
        find_source(Data(name="sms_dmeo"))


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_has_labels_for_all_its_texts(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    config = own(tmp_path, "ham", "spam") if name == "csv" else Data(name=name)
    if name == "sms_spam":
        config.path = str(request.getfixturevalue("sms_file"))
    source = find_source(config)
    assert set(source.frame["label"]) == set(source.labels)
    assert source.note
    assert source.synthetic == (name == "sms_demo")
