"""Steps, curves and warnings of a run are those of the training that really happens."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.api import run_folder
from loraexp.config.schema import Data, TrainConfig
from loraexp.data.datamodule import TextDataModule
from loraexp.data.splits import load_data
from loraexp.model.tokenizer import from_bytes
from loraexp.records.record_types import SPLITS
from loraexp.training.fit import steps_an_epoch, warnings
from loraexp.training.run import train


def texts_of(config: TrainConfig) -> TextDataModule:
    longest = config.data.max_length or 1_000_000
    encode = from_bytes().encode
    return TextDataModule(load_data(config.data), config.data, encode, 256, longest, seed=0)


def curve(config: TrainConfig, column: str) -> list[str]:
    """The values of one column of metrics.csv, as written."""
    with (run_folder(config) / "metrics.csv").open(newline="") as file:
        return [row[column] for row in csv.DictReader(file) if row.get(column)]


def test_one_batch_an_epoch_is_enough_for_a_training_curve(small: TrainConfig) -> None:
    config = replace(small, data=Data(batch_size=4))  # 420 batches, of which one is taken
    config.trainer.limit_batches = config.trainer.max_epochs = 1
    config.logger.name = "csv"
    assert train(config).steps == steps_an_epoch(config, 1680) == 1
    assert len(curve(config, "train_loss")) == 1


def test_learning_rate_is_written_once_a_step(small: TrainConfig) -> None:
    small.trainer.accumulate, small.trainer.max_epochs, small.logger.name = 2, 1, "csv"
    assert train(small).steps == steps_an_epoch(small, 24) == 2  # of three batches
    assert len(curve(small, "lr-AdamW")) == 2


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, 3),
        ({"limit_batches": 2}, 2),
        ({"limit_batches": 9}, 3),
        ({"accumulate": 3, "limit_batches": 2}, 1),
        ({"devices": 2}, 2),
        ({"devices": 3, "accumulate": 2}, 1),
    ],
)
def test_steps_of_24_texts_in_batches_of_8(
    small: TrainConfig, settings: dict[str, int], steps: int
) -> None:
    assert steps_an_epoch(replace(small, trainer=replace(small.trainer, **settings)), 24) == steps


@pytest.mark.parametrize("warmup", [0.0, 0.5, 1.0, 5.0])
def test_warmup_that_ends_is_not_warned_about(small: TrainConfig, warmup: float) -> None:
    small.optim.warmup = warmup
    assert [*warnings(small, texts_of(small))] == []


@pytest.mark.parametrize("warmup", [6.0, 0.99])
def test_warmup_that_never_ends_is_warned_about(small: TrainConfig, warmup: float) -> None:
    small.optim.warmup = warmup
    assert [*warnings(small, texts_of(small))] == [
        "optim.warmup takes 6 of 6 steps: the learning rate never reaches optim.lr"
    ]


def test_texts_that_are_cut_are_counted_and_those_that_just_fit_are_not(
    small: TrainConfig, tmp_path: Path
) -> None:
    for split, longest in zip(SPLITS, (11, 10, 12), strict=True):
        rows = [f"{'x' * longest},a", f"{'y' * longest},b", "z,a"]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    config = replace(small, data=Data(name="csv", path=str(tmp_path), max_length=10))
    (line,) = warnings(config, texts_of(config))
    assert line == "texts are cut to 10 tokens: 2 of 3 train, 2 of 3 test"
