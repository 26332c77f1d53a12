"""A run that is trained again has the threads of the record that it repeats, and so its bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from crafted import GONE, changed
from forging import record_of, reseal

from loraexp.api import run_folder
from loraexp.config.schema import Data, TrainConfig
from loraexp.records.record import FILE, Record
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import hardware
from loraexp.training import measure
from loraexp.training.measure import measure_again
from loraexp.training.run import train


@contextmanager
def threads(number: int) -> Iterator[None]:
    """This process as if it had been started with so many."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
        assert torch.get_num_threads() == number  # the next run of this process has its own
    finally:
        torch.set_num_threads(before)


def write_texts(config: TrainConfig, words: str) -> None:
    rows = [f"{words * 8} {i},{'spam' if i % 2 else 'ham'}" for i in range(60)]
    Path(str(config.data.path)).write_text("\n".join(["text,label", *rows, ""]))


@pytest.fixture
def wide(small: TrainConfig, tmp_path: Path) -> TrainConfig:
    """Of sums that are large enough to be shared out among threads."""
    data = Data(name="csv", path=str(tmp_path / "own.csv"), batch_size=24)
    trainer = replace(small.trainer, max_epochs=1)
    config = replace(small, model=replace(small.model, d_model=128), data=data, trainer=trainer)
    write_texts(config, "first")
    return config


def by_two(config: TrainConfig) -> Record:
    with threads(2):
        return train(config)


def by_one(config: TrainConfig) -> Record:
    with threads(1):
        return train(replace(config, rerun=True))


def test_a_rerun_has_the_threads_of_the_record_it_repeats(
    wide: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    first = by_two(wide)
    write_texts(wide, "second")
    with caplog.at_level("INFO", "loraexp"):
        second = by_one(wide)
    assert "with 2 threads, as the run of before: this process has 1" in caplog.text
    write_texts(wide, "first")
    again = by_one(wide)
    assert (first.threads, second.threads, again.threads) == (2, 2, 2)
    assert again.hashes == first.hashes != second.hashes
    assert again.device == first.device


@pytest.mark.parametrize(
    ("field", "value"),
    [("threads", GONE), ("device", "another CPU, 2 threads")],
    ids=["of before", "another device"],
)
def test_without_a_number_or_on_another_device_it_has_those_of_its_process(
    wide: TrainConfig, field: str, value: Any
) -> None:
    first, run = by_two(wide), run_folder(wide)
    reseal(run, changed(record_of(run), field, value))
    RunFolder.of(wide).set_aside()
    again = by_one(wide)
    assert again.threads == 1
    assert again.hashes["split"] == first.hashes["split"]
    assert again.hashes["adapter"] != first.hashes["adapter"]


def test_a_damaged_record_that_was_set_aside_is_told_and_stops_nothing(
    wide: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    by_two(wide)
    (run_folder(wide) / FILE).write_text("{")
    RunFolder.of(wide).set_aside()
    assert by_one(wide).threads == 1
    assert "is damaged" in caplog.text


def test_figures_are_measured_again_with_the_threads_of_their_record(
    wide: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, seen = by_one(wide), []
    measured = measure.evaluate

    def evaluate(*args: Any) -> measure.Evaluation:
        seen.append(torch.get_num_threads())
        return measured(*args)

    monkeypatch.setattr(measure, "evaluate", evaluate)
    with threads(2):
        assert measure_again(run_folder(wide), "test") == record.metrics["test"]
        monkeypatch.setattr(hardware, "device_name", lambda *args: "another CPU")
        measure_again(run_folder(wide), "test")  # the control
    assert seen == [1, 2]
