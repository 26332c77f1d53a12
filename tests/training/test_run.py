"""A whole run: what it leaves, that it repeats, that it changes only what it names."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from each_method import each_method
from small import trained

from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.config.schema import AdaLora, Data, Lora, TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record, read_record
from loraexp.records.record_types import SPLITS
from loraexp.runs.load import build_model, load_run
from loraexp.runs.run_folder import RunFolder
from loraexp.training.run import train

CURVES = {"metrics.csv", "loss.png", "loss.pdf", "loss.svg"}
LEFT = {
    "record.json",
    "config.yaml",
    "metrics.csv",
    "loss.png",
    "loss.pdf",
    "loss.svg",
    "adapter/adapter_model.safetensors",
    "adapter/adapter.json",
    "checkpoints/best.ckpt",
}


def files(folder: Path) -> set[str]:
    return {str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


def test_run_leaves_its_record_adapter_curves_plots_and_config(small: TrainConfig) -> None:
    small.logger.name = "csv"
    record = train(small)
    folder = run_folder(small)
    assert files(folder) - {".lock"} == LEFT
    assert read_record(folder) == record
    assert record.metrics["test"]["n"] == record.data["n"]["test"] == 24
    assert set(record.hashes) == {"base", "tokenizer", "data", "split", "adapter"}
    assert record.peak_memory_bytes > 1e6
    assert record.seconds["total"] > 0
    assert record.texts_per_second is not None
    assert record.texts_per_second > 0
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config == json.loads(json.dumps(record.config))


def test_same_seed_gives_bitwise_the_same_adapter_and_another_seed_does_not(
    small: TrainConfig, tmp_path: Path
) -> None:
    small.lora.dropout = 0.1  # draws random numbers in every step
    first = train(small)
    again = train(replace(small, output_dir=str(tmp_path / "again")))
    other = train(replace(small, seed=1))
    assert first.hashes["adapter"] == again.hashes["adapter"]
    assert first.metrics == again.metrics
    assert first.hashes["adapter"] != other.hashes["adapter"]
    assert first.hashes["base"] == other.hashes["base"]
    assert first.hashes["split"] == other.hashes["split"]


@pytest.mark.parametrize("method", each_method())
def test_training_changes_the_adapter_and_nothing_else(small: TrainConfig, method: str) -> None:
    config = as_method(small, method)
    if method == "adalora":  # uncut: what it cuts is zero, as at the start
        config = replace(config, adalora=AdaLora(budget=1.0))
    trained(config)
    fresh = build_model(config, ("ham", "spam")).network.state_dict()
    made = load_run(run_folder(config))
    kept = made.config
    names = {n for n, p in made.network.named_parameters() if p.requires_grad}
    assert replace(kept, output_dir=config.output_dir) == config
    if method == "lora_ga":  # the data said where it starts
        names |= {n for n in fresh if n.rpartition(".")[2] in ("start_A", "start_B")}
    for name, tensor in made.network.state_dict().items():
        assert torch.equal(tensor, fresh[name]) != (name in names), name


@pytest.mark.parametrize("method", each_method())
def test_checkpoints_hold_the_trainable_tensors_and_not_the_base(
    small: TrainConfig, method: str
) -> None:
    config = as_method(small, method)
    trained(config)
    file = run_folder(config) / "checkpoints" / "best.ckpt"
    kept = torch.load(file, weights_only=True)["state_dict"]
    network = build_model(config, ("ham", "spam")).network
    assert kept.keys() == adapter_tensors(network).keys()


def test_adapter_is_the_best_epochs_and_not_the_last_ones(
    small: TrainConfig, tmp_path: Path
) -> None:
    for split in SPLITS:  # validation says the contrary: the more is learnt, the worse its loss
        names = ("spam", "ham") if split == "validation" else ("ham", "spam")
        rows = [f"{word} {n},{names[i]}" for n in range(8) for i, word in enumerate(("me", "win"))]
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    config = replace(small, data=Data(name="csv", path=str(tmp_path)))
    config.trainer.max_epochs, config.logger.name = 6, "csv"
    record = train(config)
    rows = (run_folder(config) / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("val_loss")
    losses = [float(value) for row in rows[1:] if (value := row.split(",")[column])]
    assert len(losses) == 6
    assert losses.index(min(losses)) + 1 == record.best_epoch < 6
    assert record.metrics["validation"]["loss"] == pytest.approx(min(losses), abs=1e-6)


def test_patience_stops_a_run_that_gets_no_better(small: TrainConfig) -> None:
    optim = replace(small.optim, lr=1.0, grad_clip=0.0, schedule="constant")
    config = replace(small, optim=optim)
    config.trainer.max_epochs, config.trainer.patience = 12, 1
    assert train(config).epochs < 12


def test_finished_run_is_shown_and_not_trained_again(
    small: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    record = train(small)
    marker = run_folder(small) / "record.json"
    before = marker.stat().st_mtime_ns
    with caplog.at_level(logging.INFO, logger="loraexp"):
        assert train(small) == record
    assert marker.stat().st_mtime_ns == before
    assert "finished already" in caplog.text


def test_run_that_lost_its_record_gives_it_again(small: TrainConfig) -> None:
    record = train(small)
    (run_folder(small) / "record.json").unlink()
    assert train(small).hashes == record.hashes


def test_two_processes_cannot_train_the_same_run(small: TrainConfig) -> None:
    folder = run_folder(small)
    with (
        RunFolder(folder).held(),
        pytest.raises(UserError, match="by another process"),
        RunFolder(folder).held(),
    ):
        pass


def test_refused_run_leaves_no_folder(small: TrainConfig) -> None:
    with pytest.raises(UserError, match=r"trainer\.devices must be at most"):
        train(replace(small, trainer=replace(small.trainer, devices=25)))
    assert files(Path(small.output_dir)) == set()
    assert [*Path(small.output_dir).glob("train/*")] == []


def test_folder_with_anything_in_it_stays(small: TrainConfig) -> None:
    folder = run_folder(small)
    with RunFolder(folder).held():
        (folder / "wandb").mkdir()
    assert [file.name for file in folder.glob("[!.]*")] == ["wandb"]


def test_a_folder_that_goes_while_it_is_made_is_made_again(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mkdir finds one, and looks what it is when its holder has removed it."""
    made, turns = Path.mkdir, iter([True])

    def mkdir(path: Path, *given: Any, **more: Any) -> None:
        if next(turns, False):
            raise FileExistsError(path)
        made(path, *given, **more)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with RunFolder(run_folder(small)).held():
        assert run_folder(small).is_dir()


@pytest.mark.parametrize("link", [False, True])
def test_what_stands_where_the_folder_should_is_said(small: TrainConfig, link: bool) -> None:
    folder = run_folder(small)
    folder.parent.mkdir(parents=True)
    folder.symlink_to("nowhere") if link else folder.touch()
    with pytest.raises(FileExistsError), RunFolder(folder).held(patient=True):
        pass


def test_run_folder_differs_whenever_the_result_may(small: TrainConfig) -> None:
    same = [replace(small, logger=replace(small.logger, project="other"))]
    other = [
        replace(small, seed=1),
        replace(small, lora=replace(small.lora, alpha=8)),
        replace(small, data=replace(small.data, batch_size=4)),
        replace(small, model=replace(small.model, init_seed=1)),
    ]
    assert {run_folder(config) for config in same} == {run_folder(small)}
    assert len({run_folder(config) for config in [small, *other]}) == 1 + len(other)


def test_logger_none_writes_no_curves(small: TrainConfig) -> None:
    trained(small)
    assert files(run_folder(small)) - {".lock"} == LEFT - CURVES


def test_overfitting_ten_texts_reaches_all_of_them(small: TrainConfig) -> None:
    small.data.limit, small.trainer.max_epochs = 10, 40
    small.optim.schedule, small.trainer.keep = "constant", "last"
    assert train(replace(small, method="full")).metrics["train"]["accuracy"] == 1.0


def test_accumulated_batches_take_the_step_of_one_large_batch(small: TrainConfig) -> None:
    def steps(batch_size: int, accumulate: int) -> Record:
        data = replace(small.data, limit=16, batch_size=batch_size, pad_to=64)
        trainer = replace(small.trainer, accumulate=accumulate)
        return train(replace(small, data=data, trainer=trainer))

    large, small_batches = steps(16, 1), steps(8, 2)
    assert large.steps == small_batches.steps == 2
    for split in ("train", "test"):
        left, right = large.metrics[split]["loss"], small_batches.metrics[split]["loss"]
        assert left == pytest.approx(right, abs=1e-5)


def test_keys_of_lora_make_no_second_run_of_a_method_without_a_branch(small: TrainConfig) -> None:
    def folders(method: str) -> set[Path]:
        ranks = (replace(small, method=method, lora=Lora(rank=rank)) for rank in (2, 4))
        return {run_folder(config) for config in ranks}

    assert len(folders("head")) == 1
    assert len(folders("lora")) == 2
