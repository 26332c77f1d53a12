"""The LightningDataModule: texts of a TextData as padded, length-grouped batches of token ids."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from loraexp.config.schema import Data
from loraexp.data.batching import EVALUATION, Batch, EncodedTexts, LengthGrouped, collate
from loraexp.data.splits import TextData
from loraexp.data.truncation import WHOLE, cut
from loraexp.records.record_types import OUT_OF_SCOPE

# Texts to lists of at most `max_length` token ids; the model's tokenizer brings one.
Encode = Callable[[Sequence[str], int], list[list[int]]]


class TextDataModule(LightningDataModule):
    """Tokenizes each split once, on first use, and keeps it in memory.

    Args:
        encode: texts to token ids.
        pad: token id of padding.
        max_length: longest text in tokens; longer ones are cut.
        seed: of the order of the training texts.
    """

    def __init__(
        self, data: TextData, config: Data, encode: Encode, pad: int, max_length: int, seed: int
    ) -> None:
        super().__init__()
        self.data, self.config, self.encode = data, config, encode
        self.pad, self.max_length, self.seed = pad, max_length, seed
        self.encoded: dict[str, EncodedTexts] = {}
        self.longer: dict[str, int] = {}  # texts of each split that were cut

    def split(self, name: str) -> EncodedTexts:
        if name not in self.encoded:
            # Texts of no class have 0 in its place; nobody looks at what comes of that.
            texts, classes = (
                (self.data.out_of_scope, [0] * len(self.data.out_of_scope))
                if name == OUT_OF_SCOPE
                else (self.data[name].texts, self.data[name].classes)
            )
            side = self.config.truncation
            # One more: was there any?
            rows = self.encode(texts, self.max_length + 1 if side == "end" else WHOLE)
            self.longer[name] = sum(len(row) > self.max_length for row in rows)
            rows = [cut(row, self.max_length, side) for row in rows]
            self.encoded[name] = EncodedTexts(rows, classes)
        return self.encoded[name]

    def full_length(self, name: str) -> int:
        """How many texts of a split fill the whole length: they may have been cut."""
        return sum(len(row) == self.max_length for row in self.split(name).rows)

    def cut(self, name: str) -> int:
        """How many texts of a split are longer than the whole length."""
        self.split(name)
        return self.longer[name]

    def loader(
        self, name: str, *, shuffle: bool = False, only: Sequence[int] | None = None
    ) -> DataLoader[Batch]:
        """Batches of a split, or of the texts at some places; shuffled anew each epoch, or not."""
        texts = self.split(name)
        if only is not None:
            rows, classes = zip(*(texts[at] for at in only), strict=True)
            texts = EncodedTexts(rows, classes)
        sampler = LengthGrouped(
            [len(row) for row in texts.rows],
            self.config.batch_size * (1 if shuffle else EVALUATION),
            seed=self.seed if shuffle else None,
            rank=self.trainer.global_rank if self.trainer else 0,
            world=self.trainer.world_size if self.trainer else 1,
        )
        pad = partial(collate, pad=self.pad, pad_to=self.config.pad_to)
        return DataLoader[Any](texts, batch_sampler=sampler, collate_fn=pad)

    def train_dataloader(self) -> DataLoader[Batch]:
        return self.loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self.loader("validation")

    def test_dataloader(self) -> DataLoader[Batch]:
        return self.loader("test")
