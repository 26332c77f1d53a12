"""Cut a source into train, validation and test, and tell what is wrong with the cut."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256

import pandas as pd

from loraexp.config.schema import Data
from loraexp.data.cutting import ALL, SPLITTERS, with_validation
from loraexp.data.draws import WHICH, of_each_class, small_shares, within_limit
from loraexp.data.labels import absent, alike, in_words, listed, repeated_texts, short
from loraexp.data.out_of_scope import known, to_score
from loraexp.data.shortcuts import shortcuts
from loraexp.data.sources import Source, find_source
from loraexp.errors import UserError, unknown
from loraexp.records.record_types import OUT_OF_SCOPE, SPLITS

FEWER = 4  # of the draw of data.per_class; 0 to 3 are data.limit's and the measured train texts'
UNMEASURED = "data.split=all: every text is trained on, so no score here measures anything"


@dataclass(frozen=True)
class Split:
    """Texts and their classes as indices into the label names."""

    texts: list[str]
    classes: list[int]

    def __len__(self) -> int:
        return len(self.texts)

    def only(self, places: list[int]) -> "Split":
        return Split([self.texts[at] for at in places], [self.classes[at] for at in places])


@dataclass(frozen=True)
class TextData:
    """A data set ready to train on.

    Args:
        note: where the texts come from and what became of them.
        source_sha256: names the labelled texts as they were before the split.
        tested_sha256: what sha256 would be without data.per_class, where that is set: runs that
            differ in it alone are tested on the same texts.
        cautions: warnings of what was read, beside those that the splits give.
        out_of_scope: texts of no class, which no split holds.
    """

    train: Split
    validation: Split
    test: Split
    labels: tuple[str, ...]
    note: str
    synthetic: bool
    source_sha256: str = ""
    tested_sha256: str = ""
    cautions: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Split:
        if name not in SPLITS:
            raise unknown("split", name, SPLITS)
        split: Split = getattr(self, name)
        return split

    @property
    def sha256(self) -> str:
        """Names the content of all three splits, in order, labels by name, and texts of none."""
        digest = sha256()
        for name in SPLITS:
            for text, label in self.rows(name):
                digest.update(f"{name}\t{label}\t{text}\0".encode("utf-8", "surrogatepass"))
        for text in self.out_of_scope:
            digest.update(f"{OUT_OF_SCOPE}\t\t{text}\0".encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def rows(self, name: str) -> Iterator[tuple[str, str]]:
        """The texts of a split with their labels."""
        split = self[name]
        return zip(split.texts, (self.labels[at] for at in split.classes), strict=True)

    def repeats(self) -> dict[str, int]:
        """How many texts of validation and test stand verbatim in train, of test in validation."""
        return {
            name: sum(text in seen for text in self[split].texts)
            for name, split, seen in (
                ("validation", "validation", {*self.train.texts}),
                ("test", "test", {*self.train.texts}),
                ("test_in_validation", "test", {*self.validation.texts}),
            )
        }

    def classes(self) -> str:
        """How many texts each class has, and of which class the scores are, in words."""
        every = Counter(label for name in SPLITS for label in self[name].classes)
        words = in_words({label: every[index] for index, label in enumerate(self.labels)})
        positive = f"; the positive one is {short(self.labels[1])}" * (len(self.labels) == 2)
        return words + positive

    def warnings(self) -> list[str]:
        """What a reader of the results must know about this data, a line each."""
        lines = [*self.cautions]
        lines += [
            f"{n} of {len(self[split])} {split} texts stand verbatim in {other or 'train'} "
            "(data.dedupe=true drops repeated texts)"
            for name, n in self.repeats().items()
            for split, _, other in [name.partition("_in_")]
            if n
        ]
        lines += [line for name in SPLITS if (line := self.absent(name))]
        lines += [
            f"the labels {listed(group)} are nearly the same and count as {len(group)} classes"
            for group in alike(self.labels)
        ]
        return [*lines, *self.shortcuts]

    def absent(self, name: str) -> str | None:
        """Which classes have no text in a split, and what its scores then are; None if all have."""
        return absent(self.labels, self[name].classes, name)

    @cached_property
    def shortcuts(self) -> list[str]:
        return shortcuts({name: (self[name].texts, self[name].classes) for name in SPLITS})


def load_data(config: Data) -> TextData:
    """Read, deduplicate and split as `config` says.

    Raises:
        UserError: unreadable data, of one class, or a split that is left without texts.
    """
    source = find_source(config)
    if len(source.labels) < 2:
        named = f"data.path={config.path}" if config.path else f"data={config.name}"
        raise UserError(f"{named} has one class only: {source.labels[0]!r}")
    frames = cut(source, config)
    repeated, contradicting = repeated_texts(tutorials_or_own(source, config), config.dedupe)
    splits, remarks = {}, [*source.remarks, *repeated]
    for name, frame in frames.items():
        if frame.empty:
            raise UserError(f"{source.note}: no text is left for {name}; more texts are needed")
        splits[name] = numbered(frame, source.labels, config, name)
    outside, said = to_score(source, config)
    remarks += [said] if said else []
    if any(len(splits[name]) < len(frame) for name, frame in frames.items()):  # data.limit
        remarks.append(f"data.limit={config.limit} of each split, {WHICH[config.limit_by]}")
    sizes = {name: len(frame) for name, frame in frames.items()}
    uneven = [] if "split" in source.frame else small_shares(sizes)
    if config.split == ALL:
        uneven = [UNMEASURED]
    data = TextData(
        **splits,
        labels=source.labels,
        note="; ".join([source.note, *remarks]),
        synthetic=source.synthetic,
        source_sha256=source_hash(source),
        tested_sha256="",
        cautions=(*contradicting, *uneven, *known(outside, source)),
        out_of_scope=tuple(outside),
    )
    return data if config.per_class is None else with_fewer(data, config.per_class, config)


def with_fewer(data: TextData, most: int, config: Data) -> TextData:
    """The same validation and test texts, and at most so many train texts of each class."""
    kept = of_each_class(data.train.classes, most, (config.split_seed, FEWER))
    note = f"{data.note}; data.per_class={most} keeps {len(kept):,} of {len(data.train):,} to train"
    return replace(data, train=data.train.only(kept), note=note, tested_sha256=data.sha256)


def source_hash(source: Source) -> str:
    """sha256 over the labelled texts in their order, and the split that a source may bring; those
    of no class come last."""
    digest = sha256()
    for frame in (source.frame, source.out_of_scope):
        if frame is not None:
            own = frame[sorted(frame.columns)]  # label, split if there is one, text
            for row in own.itertuples(index=False, name=None):
                digest.update(f"{json.dumps(row)}\n".encode())
    return digest.hexdigest()


def load_whole(config: Data) -> TextData:
    """Every text as a test text, for a model that has seen none; of one class if need be.

    Raises:
        UserError: unreadable data.
    """
    source = find_source(config)
    frame = source.frame.drop_duplicates("text") if config.dedupe else source.frame
    test, none = numbered(frame, source.labels, config, "test"), Split([], [])
    note = f"{source.note}; {len(test):,} of {len(source.frame):,} texts are measured"
    outside, said = to_score(source, config, whole=True)
    return TextData(
        *(none, none, test, source.labels),
        note=f"{note}; {said}" if said else note,
        synthetic=source.synthetic,
        source_sha256=source_hash(source),
        out_of_scope=tuple(outside),
    )


def numbered(frame: pd.DataFrame, labels: tuple[str, ...], config: Data, name: str) -> Split:
    """The texts of a split that data.limit keeps, and their labels' numbers."""
    number = {label: index for index, label in enumerate(labels)}
    split = Split(list(frame["text"]), [number[label] for label in frame["label"]])
    places = within_limit(split.classes, config, SPLITS.index(name))
    return split.only(places) if places else split


def cut(source: Source, config: Data) -> dict[str, pd.DataFrame]:
    frame = tutorials_or_own(source, config)
    if config.dedupe:
        frame = frame.drop_duplicates("text")
    if "split" in frame:
        frames = {name: frame[frame["split"] == name] for name in SPLITS}
        frames = with_validation(frames, config.split_seed)
    else:
        frames = SPLITTERS[config.split](frame, config.split_seed)
    return {**frames, "train": frame} if config.split == ALL else frames


def tutorials_or_own(source: Source, config: Data) -> pd.DataFrame:
    if config.split != "book":
        return source.frame
    if source.read_by_tutorial is None:
        raise UserError(f"data.split=book belongs to data=sms_spam, got data={config.name}")
    return source.read_by_tutorial
