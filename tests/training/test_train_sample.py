"""The train texts that are measured at the end: how many, which, and that old runs keep theirs."""

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.api import run_folder
from loraexp.commands import eval as eval_command
from loraexp.commands.eval import EvalConfig
from loraexp.config.schema import Data, TrainConfig, Trainer
from loraexp.config.stored import BEFORE
from loraexp.data.splits import Split, TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record_types import SPLITS
from loraexp.results.arm_keys import varied
from loraexp.runs.naming import run_name
from loraexp.runs.run_folder import RunFolder
from loraexp.training import train_sample as module
from loraexp.training.measure import measure_again
from loraexp.training.run import train
from loraexp.training.train_sample import CAP, LEAST, PART, affordable, train_sample

OLD = Path(__file__).parents[1] / "before"
MANY = st.integers(1, 300_000)
FEW = st.none() | st.integers(1, 400)


def texts_of(classes: list[int]) -> TextData:
    """Train texts of these classes, and 30 of validation and test each."""
    small = Split(["text"] * 30, [0, 1] * 15)
    whole = Split([f"text {at}" for at in range(len(classes))], classes)
    return TextData(whole, small, small, ("ham", "spam", "eggs"), "", True)


def config_of(asked: str, epochs: int = 1, **data: object) -> TrainConfig:
    trainer = Trainer(max_epochs=epochs, train_metrics=asked)
    return TrainConfig(data=Data(**data), trainer=trainer)  # type: ignore[arg-type]


def sample_of(config: TrainConfig, data: TextData) -> list[int] | None:
    """Of a method that trains in every block."""
    return train_sample(config, data, Fraction(0))


@settings(deadline=None, max_examples=300)
@given(
    st.tuples(MANY, MANY, MANY),
    st.integers(1, 60),
    st.integers(1, 64),
    FEW,
    FEW,
    st.integers(0, 12),
    st.data(),
)
def test_a_sample_costs_a_twentieth_of_its_run_or_is_of_200_texts(
    sizes: tuple[int, int, int],
    epochs: int,
    batch: int,
    limit: int | None,
    patience: int | None,
    blocks: int,
    data: st.DataObject,
) -> None:
    trainer = Trainer(max_epochs=epochs, limit_batches=limit, patience=patience)
    config = TrainConfig(data=Data(batch_size=batch), trainer=trainer)
    n = affordable(config, dict(zip(SPLITS, sizes, strict=True)), Fraction(blocks, 12))
    # However early patience ends the run: after an epoch that is better, `patience` that are not.
    least = epochs if patience is None else min(epochs, 1 + patience)
    most, larger = (limit or 300_000) * batch, (limit or 300_000) * batch * module.EVALUATION
    learnt, validation, test = (
        min(pair) for pair in zip(sizes, (most, larger, larger), strict=True)
    )
    cost = 12 * (validation + test)  # in blocks that a text goes through
    for epoch in range(data.draw(st.integers(least, epochs))):
        through = 12 if epoch == 0 else 12 - blocks  # the states after frozen blocks are kept
        cost += through * (learnt + validation) + 2 * (12 - blocks) * learnt
    assert 12 * n * PART <= cost or n <= LEAST
    assert min(sizes[0], LEAST) <= n <= sizes[0]


def test_a_text_more_would_cost_more_than_a_twentieth() -> None:
    sizes = dict(zip(SPLITS, (1680, 240, 480), strict=True))
    for epochs in (1, 3):
        n = affordable(config_of("sample", epochs), sizes, Fraction(0))
        cost = 3 * epochs * 1680 + epochs * 240 + 240 + 480
        assert LEAST < n < 1680
        assert (n + 1) * PART > cost


def test_a_sample_has_each_class_in_proportion_and_hangs_on_the_split_seed_alone() -> None:
    data = texts_of([0] * 1500 + [1] * 900 + [2] * 600)
    config = config_of("sample")
    places = sample_of(config, data)
    assert places is not None
    kept = Counter(data.train.classes[at] for at in places)
    for label, size in Counter(data.train.classes).items():
        assert abs(kept[label] - len(places) * size / 3000) < 1
    assert places == sample_of(replace(config, seed=7), data)
    assert places != sample_of(config_of("sample", split_seed=7), data)
    assert places == sample_of(config_of("sample", limit_by="first"), data)


def test_another_process_draws_the_same_sample() -> None:
    code = (
        "from loraexp.config.schema import TrainConfig;"
        "from loraexp.data.splits import load_data;"
        "from loraexp.training.train_sample import train_sample;"
        "config = TrainConfig(); print(train_sample(config, load_data(config.data), 0))"
    )
    other = {**os.environ, "PYTHONHASHSEED": "1"}
    ended = subprocess.run([sys.executable, "-c", code], env=other, capture_output=True, check=True)
    config = TrainConfig()
    places = sample_of(config, load_data(config.data))
    assert places is not None
    assert json.loads(ended.stdout) == places


def test_a_sample_of_all_is_all_and_so_is_what_is_asked_for() -> None:
    assert sample_of(config_of("sample"), texts_of([0, 1] * 100)) is None
    assert sample_of(config_of("sample"), texts_of([0, 1] * 101)) is not None
    assert sample_of(config_of("all"), texts_of([0, 1] * CAP)) is None


def test_capped_is_what_runs_of_before_measured() -> None:
    data = texts_of([0] * CAP + [1] * CAP)
    assert sample_of(config_of("capped", limit_by="first"), data) == [*range(CAP)]
    places = sample_of(config_of("capped"), data)
    assert places is not None
    assert len(places) == CAP
    assert len([at for at in places if at < CAP]) == CAP / 2
    assert sample_of(config_of("capped"), texts_of([0, 1] * (CAP // 2))) is None


@pytest.fixture
def sampling(small: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> TrainConfig:
    """A run whose sample is smaller than its 24 train texts."""
    monkeypatch.setattr(module, "LEAST", 5)
    return replace(small, trainer=replace(small.trainer, max_epochs=1))


def asking(config: TrainConfig, asked: str, outputs: str) -> TrainConfig:
    trainer = replace(config.trainer, train_metrics=asked)
    return replace(config, trainer=trainer, output_dir=str(Path(config.output_dir) / outputs))


@pytest.mark.parametrize(
    ("method", "frozen"), [("lora", 0), ("last_block", Fraction(1, 2)), ("head", 1)]
)
def test_the_network_of_a_finished_run_has_the_runs_sample(
    method: str, frozen: Fraction, sampling: TrainConfig
) -> None:
    sampling.data.limit, sampling.method = 90, method
    record = train(sampling)
    assert measure_again(run_folder(sampling), "train") == record.metrics["train"]
    assert record.metrics["train"]["n"] == affordable(sampling, record.data["n"], frozen) < 90


def test_how_much_is_measured_changes_the_train_metrics_alone(sampling: TrainConfig) -> None:
    found = {asked: train(asking(sampling, asked, asked)) for asked in ("sample", "all", "capped")}
    every, some = found["all"], found["sample"]
    assert every.metrics == found["capped"].metrics  # as runs of before
    assert some.metrics["train"]["n"] < every.metrics["train"]["n"] == every.data["n"]["train"]
    assert some.metrics["train"]["loss"] != every.metrics["train"]["loss"]
    for split in ("validation", "test"):
        assert some.metrics[split] == every.metrics[split]
    assert some.hashes == every.hashes
    assert some.name == every.name
    assert varied([some, every]) == ["method"]  # no difference between arms


def test_a_finished_run_is_not_trained_again_for_more_train_texts(
    sampling: TrainConfig, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    record = train(sampling)
    every = train(asking(sampling, "all", "all")).metrics["train"]
    caplog.set_level(logging.INFO, "loraexp")
    assert train(asking(sampling, "all", "")) == record
    assert caplog.messages[-1].endswith(f"eval run={run_folder(sampling)} split=train whole=true")
    capsys.readouterr()
    eval_command.run(
        EvalConfig(run=str(run_folder(sampling)), split="train", whole=True, format="json")
    )
    said = json.loads(capsys.readouterr().out)
    assert {key: said[key] for key in every} == every
    # Other data are measured whole: of them the run has no sample.
    assert measure_again(run_folder(sampling), "train", sampling.data) == every
    assert measure_again(run_folder(sampling), "train") == record.metrics["train"]
    caplog.clear()
    train(sampling)
    assert "whole=true" not in caplog.text
    with pytest.raises(UserError, match="whole=true belongs to split=train, got split=test"):
        eval_command.run(EvalConfig(run=str(run_folder(sampling)), whole=True))


@pytest.mark.parametrize("name", sorted(path.name for path in (OLD / "train").iterdir()))
def test_a_run_of_before_measures_what_it_did(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(OLD)
    monkeypatch.setattr(module, "LEAST", 2)
    folder = RunFolder(Path("train") / name)
    said = folder.record().metrics["train"]
    again = measure_again(folder.path, "train")
    assert {key: again[key] for key in said} == said
    monkeypatch.delitem(BEFORE, "trainer.train_metrics")  # the control: read as runs of today
    assert measure_again(folder.path, "train")["n"] < said["n"]


@pytest.mark.parametrize("asked", ["sample", "all", "capped"])
def test_a_run_is_called_the_same_however_much_is_measured(asked: str) -> None:
    epochs = TrainConfig().trainer.max_epochs
    assert run_name(config_of(asked, epochs)) == run_name(TrainConfig())
    assert run_name(config_of(asked, epochs + 1)) != run_name(TrainConfig())
