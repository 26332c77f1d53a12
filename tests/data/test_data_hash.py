"""The hash of the data names its texts before the split; that of the split, what became of them."""

from pathlib import Path
from typing import Any

from loraexp.config.schema import Data
from loraexp.data.splits import load_data


def test_the_hash_of_the_data_is_that_of_its_texts_however_they_are_split(tmp_path: Path) -> None:
    rows = [f"{word} {i},{label}" for i in range(20) for word, label in (("hi", "a"), ("yo", "b"))]

    def digests(rows: list[str], **keys: Any) -> tuple[str, str]:
        (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]) + "\n")
        data = load_data(Data(name="csv", path=str(tmp_path / "texts.csv"), **keys))
        return data.source_sha256, data.sha256

    whole, split = digests(rows)
    again, other = digests(rows, split_seed=5, limit=3)
    assert again == whole
    assert other != split
    changes = [rows[1:], [*rows[1:], rows[0]], ["hi 00,a", *rows[1:]], ["hi 0,b", *rows[1:]]]
    assert whole not in [digests(changed)[0] for changed in changes]
