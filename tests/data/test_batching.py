"""Batches cover every text once an epoch, waste little padding, and are dealt fairly."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import LightningModule, Trainer

from loraexp.config.schema import Data
from loraexp.data.batching import WINDOW, LengthGrouped, collate
from loraexp.data.datamodule import TextDataModule
from loraexp.data.splits import Split, TextData
from loraexp.training.lightning_environment import quiet

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=300)
SIZE = st.integers(1, 17)
WORLD = st.integers(1, 3)
PAD = 256


def dealt(
    lengths: Sequence[int], size: int, *, seed: int | None, world: int, epoch: int = 0
) -> list[list[list[int]]]:
    """The batches of each process."""
    ranks = []
    for rank in range(world):
        sampler = LengthGrouped(lengths, size, seed=seed, rank=rank, world=world)
        sampler.set_epoch(epoch)
        ranks.append(list(sampler))
        assert len(sampler) == len(ranks[-1])
    return ranks


def flat(ranks: Sequence[Sequence[Sequence[int]]]) -> list[int]:
    return [index for batches in ranks for batch in batches for index in batch]


def waste(lengths: np.ndarray, batches: Sequence[Sequence[int]]) -> float:
    """Padding as a share of real tokens."""
    padded = sum(len(batch) * max(lengths[index] for index in batch) for batch in batches)
    return float(padded / lengths.sum() - 1)


def encode(texts: Sequence[str], most: int) -> list[list[int]]:
    return [list(text.encode())[:most] for text in texts]


def texts_module(n: int, **settings: int) -> TextDataModule:
    """n texts in each split, the i-th of 1 + i % 30 letters."""
    split = Split(["x" * (1 + i % 30) for i in range(n)], [i % 2 for i in range(n)])
    data = TextData(split, split, split, ("a", "b"), "", True)
    return TextDataModule(data, Data(**settings), encode, PAD, 64, seed=0)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, size=SIZE, seed=st.integers(0, 99), epoch=st.integers(0, 9))
def test_training_takes_every_text_exactly_once_an_epoch(
    lengths: list[int], size: int, seed: int, epoch: int
) -> None:
    (batches,) = dealt(lengths, size, seed=seed, world=1, epoch=epoch)
    assert sorted(flat([batches])) == list(range(len(lengths)))
    assert max(map(len, batches)) <= size


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, size=SIZE, world=WORLD)
def test_processes_train_as_many_steps_and_together_on_every_text(
    lengths: list[int], size: int, world: int
) -> None:
    ranks = dealt(lengths, size, seed=0, world=world)
    assert len({len(batches) for batches in ranks}) == 1
    assert set(flat(ranks)) == set(range(len(lengths)))
    surplus = sum(map(len, ranks)) - len(dealt(lengths, size, seed=0, world=1)[0])
    assert surplus < world


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, size=SIZE, world=WORLD)
def test_processes_evaluate_every_text_exactly_once(
    lengths: list[int], size: int, world: int
) -> None:
    ranks = dealt(lengths, size, seed=None, world=world)
    assert sorted(flat(ranks)) == list(range(len(lengths)))
    assert max(len(batch) for batches in ranks for batch in batches) <= size


@settings(deadline=None, max_examples=50)
@given(lengths=LENGTHS, size=SIZE, world=WORLD)
def test_no_process_is_left_without_a_batch_to_evaluate(
    lengths: list[int], size: int, world: int
) -> None:
    ranks = dealt(lengths, size, seed=None, world=world)
    assert all(ranks) or len(lengths) < world


def test_same_seed_and_epoch_give_the_same_order_others_another() -> None:
    lengths = [i % 40 for i in range(200)]
    first = dealt(lengths, 8, seed=3, world=1, epoch=1)
    assert dealt(lengths, 8, seed=3, world=1, epoch=1) == first
    assert dealt(lengths, 8, seed=3, world=1, epoch=2) != first
    assert dealt(lengths, 8, seed=4, world=1, epoch=1) != first


def test_evaluation_takes_the_longest_first() -> None:
    lengths = np.random.default_rng(0).integers(0, 50, 100)
    batches = list(LengthGrouped(list(lengths), 8, seed=None))
    assert list(lengths[flat([batches])]) == sorted(lengths, reverse=True)


def test_grouped_batches_waste_much_less_than_random_ones() -> None:
    generator = np.random.default_rng(0)
    # like text messages: 30 tokens on average, few of them long
    lengths = np.clip(generator.lognormal(3.2, 0.6, 2000).astype(int), 1, 200)
    grouped = waste(lengths, list(LengthGrouped(list(lengths), 8, seed=0)))
    shuffled = generator.permutation(len(lengths)).reshape(-1, 8).tolist()
    assert grouped < 0.1
    assert waste(lengths, shuffled) > 5 * grouped


def test_batches_of_an_epoch_do_not_go_by_length() -> None:
    lengths = np.arange(WINDOW * 8 * 2)
    longest = [max(lengths[batch]) for batch in LengthGrouped(list(lengths), 8, seed=0)]
    assert abs(np.corrcoef(longest, range(len(longest)))[0, 1]) < 0.3
    ordered = [max(lengths[batch]) for batch in LengthGrouped(list(lengths), 8, seed=None)]
    assert abs(np.corrcoef(ordered, range(len(ordered)))[0, 1]) > 0.99


def test_collate_pads_on_the_right_to_the_longest() -> None:
    tokens, lengths, classes = collate([([5, 6], 1), ([7, 8, 9], 0), ([], 2)], PAD)
    assert tokens.tolist() == [[5, 6, PAD], [7, 8, 9], [PAD] * 3]
    assert lengths.tolist() == [2, 3, 0]
    assert classes.tolist() == [1, 0, 2]
    assert {tensor.dtype for tensor in (tokens, lengths, classes)} == {torch.int64}


def test_collate_pads_to_a_fixed_width() -> None:
    tokens, lengths, _ = collate([([5, 6], 1)], PAD, pad_to=4)
    assert tokens.tolist() == [[5, 6, PAD, PAD]]
    assert lengths.tolist() == [2]


def test_batch_of_empty_texts_has_one_column_of_padding() -> None:
    assert collate([([], 0), ([], 1)], PAD).tokens.tolist() == [[PAD], [PAD]]


def test_texts_are_cut_to_the_longest_allowed_and_counted() -> None:
    module = texts_module(60)
    module.max_length = 20
    assert max(map(len, module.split("train").rows)) == 20
    assert module.full_length("train") == 22  # twice the lengths 20 to 30
    assert module.cut("train") == 20  # twice the lengths 21 to 30


def test_split_is_tokenized_once() -> None:
    module = texts_module(4)
    assert module.split("train") is module.split("train")


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_loader_of_some_places_has_their_texts_only(name: str) -> None:
    module = texts_module(40, batch_size=4)
    loader = module.loader(name, only=range(0, 20, 2))
    lengths = [n for batch in loader for n in batch.lengths.tolist()]
    assert sorted(lengths) == list(range(1, 21, 2))
    assert sum(len(batch.classes) for batch in module.loader(name)) == 40


def test_loader_pads_every_batch_to_pad_to() -> None:
    assert {b.tokens.shape[1] for b in texts_module(40, pad_to=50).train_dataloader()} == {50}
    assert len({b.tokens.shape[1] for b in texts_module(40).train_dataloader()}) > 1


class Watcher(LightningModule):
    """Notes the lengths of the batches that Lightning hands it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen: list[list[list[int]]] = []

    def on_train_epoch_start(self) -> None:
        self.seen.append([])

    def training_step(self, batch: object, index: int) -> torch.Tensor:
        self.seen[-1].append(batch.lengths.tolist())  # type: ignore[attr-defined]
        return self.weight

    def validation_step(self, batch: object, index: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def epochs(n: int) -> list[list[list[int]]]:
    """The lengths of each batch of n epochs under Lightning."""
    watcher = Watcher()
    with quiet():
        Trainer(
            max_epochs=n,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
        ).fit(watcher, datamodule=texts_module(64))
    return watcher.seen


def test_lightning_shuffles_anew_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = epochs(3)
    assert first != second != third != first
    assert sorted(flat([first])) == sorted(flat([second])) == sorted(flat([third]))
    monkeypatch.delattr(LengthGrouped, "sampler")
    first, second = epochs(2)
    assert first == second, "Lightning finds set_epoch without it: delete it"
