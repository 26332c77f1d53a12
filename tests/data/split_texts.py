"""What the parts of split data hold, as lists to compare."""

from loraexp.data.splits import TextData
from loraexp.records.record_types import SPLITS


def texts_of(data: TextData) -> list[str]:
    return [text for name in SPLITS for text in data[name].texts]


def named(data: TextData, name: str) -> list[tuple[str, str]]:
    labels = [data.labels[index] for index in data[name].classes]
    return list(zip(data[name].texts, labels, strict=True))
