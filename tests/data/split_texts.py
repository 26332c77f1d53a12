"""What the parts of split data hold, as lists to compare."""

from loraexp.data.files import SPLITS
from loraexp.data.splits import TextData


def texts_of(data: TextData) -> list[str]:
    return [text for name in SPLITS for text in data[name].texts]


def named(data: TextData, name: str) -> list[tuple[str, str]]:
    labels = [data.labels[index] for index in data[name].classes]
    return list(zip(data[name].texts, labels, strict=True))
