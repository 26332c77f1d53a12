"""A run that is cut short goes on from its last epoch and ends as if it had not been."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from small import trained

from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.runs.load import build_model
from loraexp.training import checkpoints as resume
from loraexp.training import fit as fitting
from loraexp.training import run as module
from loraexp.training.checkpoints import EpochSeeds
from loraexp.training.run import train


class Killed(BaseException):
    """The end of a process, as far as a test can have it without one."""


class Kill(Callback):
    """Ends the run in a certain batch of a certain epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place = (epoch, batch)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, out: Any, b: Any, i: int) -> None:
        if (trainer.current_epoch, i) == self.place:
            raise Killed


@pytest.fixture
def four(small: TrainConfig) -> TrainConfig:
    """Four epochs of three batches, with dropout, which draws random numbers in every step."""
    return replace(
        small,
        lora=replace(small.lora, dropout=0.2),
        trainer=replace(small.trainer, max_epochs=4),
    )


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Callable[[TrainConfig, int, int], None]:
    """Trains until it is killed in a batch of an epoch."""
    build = fitting.build_trainer

    def run(config: TrainConfig, epoch: int, batch: int) -> None:
        def doomed(c: Any, t: Any, loggers: Any, callbacks: list[Callback]) -> Any:
            return build(c, t, loggers, [*callbacks, Kill(epoch, batch)])

        with monkeypatch.context() as patch:
            patch.setattr(fitting, "build_trainer", doomed)
            with pytest.raises(Killed):
                train(config)
        assert not (run_folder(config) / "record.json").exists()

    return run


def elsewhere(config: TrainConfig, tmp_path: Path) -> TrainConfig:
    return replace(config, output_dir=str(tmp_path / "elsewhere"))


def told(record: Record) -> dict[str, Any]:
    """A record without what is measured anew each time."""
    content = json.loads(json.dumps(vars(record)))
    for key in ("seconds", "texts_per_second", "peak_memory_bytes", "finished", "seal"):
        del content[key]
    del content["config"]["output_dir"]
    return dict(content)


def curves(config: TrainConfig) -> list[dict[str, str]]:
    with (run_folder(config) / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [
            {k: v for k, v in row.items() if k != "texts_per_second"}
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize(
    ("keep", "epoch", "batch"),
    [
        *(("best", *where) for where in [(0, 0), (1, 0), (1, 2), (3, 2)]),
        *(("last", *where) for where in [(1, 2), (3, 2)]),
        pytest.param("best", 2, 1, marks=pytest.mark.slow),
        *(pytest.param("last", *at, marks=pytest.mark.slow) for at in [(0, 0), (1, 0), (2, 1)]),
    ],
)
def test_a_resumed_run_is_bitwise_the_undisturbed_one(
    four: TrainConfig,
    killed: Callable[..., None],
    tmp_path: Path,
    keep: str,
    epoch: int,
    batch: int,
) -> None:
    four.trainer.keep = keep
    # curves too, once for each place: their figures take most of a run's time
    four.logger.name = "csv" if keep == "best" else "none"
    killed(four, epoch, batch)
    undisturbed = (train if keep == "best" else trained)(other := elsewhere(four, tmp_path))
    resumed = train(four)
    assert told(resumed) == told(undisturbed)
    assert keep == "last" or curves(four) == curves(other)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["dylora", "lora_ga", "eva", "randlora"])
def test_so_is_that_of_a_method_which_draws_or_asks_the_data(
    four: TrainConfig, killed: Callable[..., None], tmp_path: Path, method: str
) -> None:
    four = as_method(four, method)
    killed(four, 1, 2)
    undisturbed = trained(elsewhere(four, tmp_path))
    assert told(train(four)) == told(undisturbed)


def test_a_resumed_run_has_the_threads_it_began_with(
    four: TrainConfig, killed: Callable[..., None]
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        killed(four, 2, 0)
        torch.set_num_threads(2)
        assert train(four).device.endswith(", 3 threads")
        assert torch.get_num_threads() == 2  # the next run of this process has its own
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("epoch", [1, 3])  # while the budget falls, and at its end
def test_what_adalora_has_cut_stays_cut_in_a_resumed_run(
    four: TrainConfig, killed: Callable[..., None], tmp_path: Path, epoch: int
) -> None:
    four.method = "adalora"
    killed(four, epoch, 1)
    undisturbed = train(elsewhere(four, tmp_path))
    assert told(train(four)) == told(undisturbed)


def test_only_the_epoch_that_was_cut_is_trained_again(
    four: TrainConfig, killed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(four, 2, 1)
    seen: list[int] = []
    real = EpochSeeds.on_train_batch_start
    monkeypatch.setattr(
        EpochSeeds,
        "on_train_batch_start",
        lambda self, t, m, b, i: (seen.append(t.current_epoch), real(self, t, m, b, i)),
    )
    train(four)
    assert sorted({*seen}) == [2, 3]


def test_without_the_epochs_own_seeds_dropout_would_differ(
    four: TrainConfig, killed: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EpochSeeds, "on_train_batch_start", lambda *_: None)
    torch.manual_seed(0)
    killed(four, 2, 1)
    assert train(four).hashes["adapter"] != train(elsewhere(four, tmp_path)).hashes["adapter"]


def test_a_run_that_had_stopped_early_does_not_train_on(
    four: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    four.optim = replace(four.optim, lr=1.0, grad_clip=0.0, schedule="constant")
    four.trainer.max_epochs, four.trainer.patience = 12, 1

    def full(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, "save", full)
        with pytest.raises(Killed):
            train(four)
    kept = torch.load(run_folder(four) / "checkpoints" / "last.ckpt", weights_only=True)
    record = train(four)
    assert record.epochs == kept["epoch"] + 1 < 12


def test_a_checkpoint_of_other_texts_is_not_gone_on_from(
    four: TrainConfig, killed: Callable[..., None], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()

    def write(word: str) -> None:
        for split in ("train", "validation", "test"):
            rows = "".join(f"{word} {i},ham\nwin {i},spam\n" for i in range(12))
            (data / f"{split}.csv").write_text("text,label\n" + rows)

    four.data = replace(four.data, name="csv", path=str(data))
    write("hello")
    killed(four, 2, 1)
    write("good day")
    assert told(train(four)) == told(train(elsewhere(four, tmp_path)))


def test_a_checkpoint_that_cannot_be_written_leaves_the_earlier_one(
    four: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "last.ckpt"
    resume.WholeCheckpoints().save_checkpoint({"epoch": 1}, file)

    def full(self: Path, content: Any) -> int:
        with self.open("wb") as partial:
            partial.write(bytes(content)[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        resume.WholeCheckpoints().save_checkpoint({"epoch": 2}, file)
    assert torch.load(file, weights_only=True) == {"epoch": 1}
    assert list(tmp_path.glob(".partial*")) == []


def test_last_checkpoint_holds_trainable_tensors_and_their_optimizer_only(
    four: TrainConfig,
) -> None:
    four.trainer.keep = "last"
    train(four)
    kept = torch.load(run_folder(four) / "checkpoints" / "last.ckpt", weights_only=True)
    tensors = adapter_tensors(build_model(four, ("ham", "spam")).network)
    assert kept["state_dict"].keys() == tensors.keys()
    (optimizer,) = kept["optimizer_states"]
    assert len(optimizer["state"]) == len(tensors)


def test_a_damaged_checkpoint_is_said_and_trained_anew(
    four: TrainConfig, killed: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    killed(four, 2, 1)
    file = run_folder(four) / "checkpoints" / "last.ckpt"
    file.write_bytes(file.read_bytes()[:1000])
    with caplog.at_level("WARNING", logger="loraexp"):
        assert train(four).epochs == 4
    assert "is damaged, training starts over" in caplog.text


def test_what_a_killed_process_was_writing_is_removed(four: TrainConfig) -> None:
    partial = run_folder(four) / "checkpoints" / ".partial-1-last.ckpt"
    partial.parent.mkdir(parents=True)
    partial.touch()
    train(four)
    assert not partial.exists()


def test_scoring_reads_no_test_text_and_train_goes_on_from_it(
    four: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    real = module.evaluate
    monkeypatch.setattr(
        module,
        "evaluate",
        lambda fitted, split: (measured.append(split), real(fitted, split))[1],
    )
    trial = module.score(four)
    assert measured == ["validation"]
    assert module.score(four) == trial
    assert measured == ["validation"]
    steps: list[int] = []
    monkeypatch.setattr(EpochSeeds, "on_train_batch_start", lambda *_: steps.append(1))
    record = train(four)
    assert steps == []  # nothing is trained again
    monkeypatch.undo()
    assert record.metrics["validation"] == trial.metrics
    assert told(record) == told(trained(elsewhere(four, tmp_path)))


def test_more_processes_than_texts_are_refused_before_training(four: TrainConfig) -> None:
    four.data.limit, four.trainer.devices = 1, 2
    with pytest.raises(UserError, match="at most the number of train texts = 1, got 2"):
        train(four)


def test_a_moved_run_goes_on_in_its_new_folder(
    four: TrainConfig, killed: Callable[[TrainConfig, int, int], None], tmp_path: Path
) -> None:
    whole = trained(elsewhere(four, tmp_path))
    killed(four, 2, 0)
    moved = replace(four, output_dir=str(tmp_path / "moved"))
    Path(four.output_dir).rename(moved.output_dir)
    assert told(train(moved)) == told(whole)
    assert not Path(four.output_dir).exists()  # nothing is read or written at the old place
    kept = torch.load(run_folder(moved) / "checkpoints" / "best.ckpt", weights_only=True)
    assert str(tmp_path) not in repr(kept)


def test_without_the_best_epoch_it_starts_over(
    four: TrainConfig,
    killed: Callable[[TrainConfig, int, int], None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    whole = trained(elsewhere(four, tmp_path))
    killed(four, 2, 0)
    (run_folder(four) / "checkpoints" / "best.ckpt").unlink()
    assert told(train(four)) == told(whole)
    assert "lacks the best epoch" in caplog.text
