"""THE TABLE of data sets: from a name and a path to labelled texts.

To add one, write a function `Data -> Source` and a row, and conf/data/<name>.yaml.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

import pandas as pd

from loraexp.config.own_data import is_own
from loraexp.config.schema import Data
from loraexp.config.stored import from_home
from loraexp.data.demo import demo_messages
from loraexp.data.files import read_labelled
from loraexp.data.reading import Reading
from loraexp.errors import UserError, unknown
from loraexp.runtime.atomic import whole
from loraexp.runtime.quiet import quieted

SMS_URL = "https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip"
SMS_FILE = "SMSSpamCollection"
SMS_SHA256 = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"
SMS_BYTES = 477_907
SMS_LABELS = ("ham", "spam")


@dataclass(frozen=True)
class Source:
    """Labelled texts before they are split.

    Args:
        frame: columns text and label (both str); a column split where the source brings its own.
        labels: the classes in order; of two, the second is the positive one.
        note: where the texts come from, for the record and the terminal.
        synthetic: made by a program, not by people.
        read_by_tutorial: the frame as the source tutorial reads the same file, for data.split=book.
        remarks: what was done to the texts, for behind the note.
        out_of_scope: texts of no class, as in frame, where data.out_of_scope names their label.
    """

    frame: pd.DataFrame
    labels: tuple[str, ...]
    note: str
    synthetic: bool = False
    read_by_tutorial: pd.DataFrame | None = None
    remarks: tuple[str, ...] = ()
    out_of_scope: pd.DataFrame | None = None


def sms_demo(config: Data) -> Source:
    frame = pd.DataFrame(demo_messages(), columns=["label", "text"])
    note = "synthetic messages made by loraexp: fit for a first look, not for conclusions"
    return Source(frame, SMS_LABELS, note, synthetic=True)


def sms_spam(config: Data) -> Source:
    """The SMS Spam Collection (Almeida and Gomez Hidalgo; UCI data set 228, CC BY 4.0)."""
    file = sms_spam_at_hand(config) or download_sms_spam()
    content = file.read_bytes()
    if sha256(content).hexdigest() != SMS_SHA256:
        raise UserError(f"{file} is not the SMS Spam Collection (sha256 differs from {SMS_SHA256})")
    rows = [line.split("\t", 1) for line in content.decode("utf-8").split("\n") if line]
    # The tutorial reads it with pandas' default quoting, which joins three lines between two quotes
    # into one row: 5,572 rows of 5,574 messages, and the rows it samples depend on it.
    tutorial = pd.read_csv(file, sep="\t", header=None, names=["label", "text"], dtype=str)
    return Source(
        pd.DataFrame(rows, columns=["label", "text"]),
        SMS_LABELS,
        "SMS Spam Collection (UCI 228, CC BY 4.0)",
        read_by_tutorial=tutorial,
    )


def sms_spam_at_hand(config: Data) -> Path | None:
    """data.path, else in the folder LORAEXP_DATA_DIR, else downloaded before."""
    if config.path:
        path = Path(config.path)
        for file in (path, path / SMS_FILE):
            if file.is_file():
                return file
        raise UserError(f"data.path={config.path}: no {SMS_FILE} there")
    if data_dir := os.environ.get("LORAEXP_DATA_DIR"):
        for file in (Path(data_dir) / SMS_FILE, Path(data_dir) / "sms_spam" / SMS_FILE):
            if file.is_file():
                return file
    file = downloads() / SMS_FILE
    return file if file.is_file() else None


def downloads() -> Path:
    import pooch

    return Path(pooch.os_cache("loraexp"))


def download_sms_spam() -> Path:
    import pooch
    import requests

    cache = downloads()
    file = cache / SMS_FILE
    if file.is_file():
        return file
    # The archive is packed anew now and then, its content never: the hash is the inner file's.
    # A folder of its own: pooch would hand out a bad archive left in the cache for ever.
    with TemporaryDirectory() as folder, quieted(pooch.get_logger()):
        try:
            archive = pooch.retrieve(SMS_URL, known_hash=None, fname="sms_spam.zip", path=folder)
        except (OSError, requests.RequestException) as error:
            raise UserError(
                f"the SMS Spam Collection is not in {cache} and cannot be downloaded "
                f"({type(error).__name__}); set data.path=FILE, or LORAEXP_DATA_DIR to a folder "
                f"with {SMS_FILE}, or use data=sms_demo"
            ) from None
        content = unzipped(Path(archive))
    with whole(file) as partial:
        partial.write_bytes(content)
    return file


def unzipped(archive: Path) -> bytes:
    """The collection's file inside the downloaded archive."""
    try:
        with ZipFile(archive) as packed:
            content = packed.read(SMS_FILE)
    except (BadZipFile, KeyError):
        content = b""
    if sha256(content).hexdigest() != SMS_SHA256:
        raise UserError(f"{SMS_URL} holds another {SMS_FILE} than expected; nothing was kept")
    return content


def own_file(config: Data) -> Source:
    """Anyone's own CSV, TSV, JSONL or Parquet file, or a folder with one for each split."""
    if not config.path:
        raise UserError("data=csv needs data.path=FILE (CSV, TSV, JSONL or Parquet)")
    if config.text_column == config.label_column:
        raise UserError(
            f"data.text_column and data.label_column must differ, got {config.text_column!r} twice"
        )
    frame, said = read_labelled(
        Path(config.path), config.text_column, config.label_column, Reading.of(config)
    )
    labels = tuple(sorted(frame["label"].unique(), key=natural))
    return Source(frame, labels, f"{from_home(config.path)}: {said}")


def natural(label: str) -> tuple[bool, float, str]:
    """Sort numbers by value and before words: -1 before 2 before 10 before "ham"."""
    number = re.fullmatch(r"[+-]?\d+(\.\d+)?", label)
    return (False, float(label), label) if number else (True, 0.0, label)


SOURCES: dict[str, Callable[[Data], Source]] = {
    "sms_demo": sms_demo,
    "sms_spam": sms_spam,
    "csv": own_file,
}


def find_source(config: Data) -> Source:
    """The texts that `config` names, stripped and their labels in order as it says.

    Raises:
        UserError: no such source, what it cannot read, or a label that is none of its.
    """
    reader = SOURCES.get(config.name, own_file if is_own(config) else None)
    if reader is None:
        raise unknown("data", config.name, SOURCES)
    source = reader(config)
    source = stripped(source) if config.strip else source
    source = source if config.out_of_scope is None else set_aside(source, config.out_of_scope)
    return replace(source, labels=positive_last(source.labels, config.positive_label))


def set_aside(source: Source, label: str) -> Source:
    """Texts of this label are of no class, so that nothing below knows one of that name."""
    if label not in source.labels:
        raise unknown("data.out_of_scope", label, source.labels)
    if len(source.labels) == 1:
        raise UserError(f"data.out_of_scope={label}: no text has another label")
    frame, tutorial = source.frame, source.read_by_tutorial
    return replace(
        source,
        frame=frame[frame["label"] != label],
        labels=tuple(own for own in source.labels if own != label),
        read_by_tutorial=None if tutorial is None else tutorial[tutorial["label"] != label],
        out_of_scope=frame[frame["label"] == label],
    )


def positive_last(labels: tuple[str, ...], positive: str | None) -> tuple[str, ...]:
    if positive is None:
        return labels
    if positive not in labels:
        raise unknown("data.positive_label", positive, labels)
    if len(labels) > 2:
        raise UserError(f"data.positive_label={positive} needs two classes, got {len(labels)}")
    return (*(label for label in labels if label != positive), positive)


def stripped(source: Source) -> Source:
    """Without white space at both ends of texts: where it tells classes apart, it does so by how
    the set was made."""
    frame, touched = without_ends(source.frame)
    tutorial = source.read_by_tutorial
    remark = f"white space left out at the ends of {touched:,} texts"
    return replace(
        source,
        frame=frame,
        read_by_tutorial=None if tutorial is None else without_ends(tutorial)[0],
        remarks=(*source.remarks, *[remark] * (touched > 0)),
    )


def without_ends(frame: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The frame with stripped texts, and how many these are."""
    texts = frame["text"].str.strip()
    return frame.assign(text=texts), int((texts != frame["text"]).sum())
