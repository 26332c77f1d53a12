"""One run, in the order the README tells it: data, base, adapter, fit, test, record."""

import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import Logger

from loraexp.adapters.files import save_adapter
from loraexp.adapters.inject import count
from loraexp.atomic import write_whole
from loraexp.config import TrainConfig
from loraexp.data.files import SPLITS
from loraexp.data.module import TextDataModule
from loraexp.data.splits import TextData, load_data
from loraexp.results.plots import plot_loss
from loraexp.results.record import Record, is_finished, read_record
from loraexp.rules import to_yaml
from loraexp.training import hardware
from loraexp.training.assemble import ADAPTER, Assembled, adapter_card, assemble
from loraexp.training.evaluation import evaluate
from loraexp.training.guards import Guards, Meter
from loraexp.training.loggers import curve_loggers, publish
from loraexp.training.module import FineTuning
from loraexp.training.naming import run_folder
from loraexp.training.progress import Progress
from loraexp.training.surroundings import claimed, is_main_process, quiet, restored_environment

log = logging.getLogger("loraexp")
POINTS_AN_EPOCH = 50  # of the training curves


def train(config: TrainConfig, group: str | None = None, progress: bool = False) -> Record:
    """Train one adapter and leave its folder; a finished run is shown, never trained again.

    Args:
        config: checked configuration.
        group: name of the sweep this run belongs to.
        progress: show a progress bar.

    Raises:
        UserError: data, weights or settings that do not work, or training that cannot.
    """
    folder = run_folder(config)
    if is_finished(folder):
        log.info(f"{folder} is finished already: its record is shown")
        return read_record(folder)
    with (
        claimed(folder),
        quiet(),
        restored_environment(),
        curve_loggers(config, folder, group) as loggers,
    ):
        record = run(config, folder, loggers, progress)
        if is_main_process():
            if loggers:
                plot_loss(folder)
            publish(loggers, record, folder)
            record.write(folder)  # last: a folder with a record is a finished run
    return record


def run(config: TrainConfig, folder: Path, loggers: list[Logger], progress: bool) -> Record:
    """From data to a saved adapter; what it returns is the record, not yet written."""
    started = time.perf_counter()
    hardware.reset_peak_memory()
    data = load_data(config.data)
    made = assemble(config, data.labels)
    announce(config, data, made)
    texts = datamodule(config, data, made)
    module = FineTuning(made.network, config.optim, len(data.labels))
    meter, keeper = Meter(), checkpoints(config, folder)
    trainer = build_trainer(config, texts, loggers, [Guards(), meter, keeper], progress)
    seed_everything(config.seed + trainer.global_rank, verbose=False)
    loaded = time.perf_counter()

    trainer.fit(module, datamodule=texts)
    fitted = time.perf_counter()

    # weights_only: a checkpoint is data and never unpickled into code.
    kept = torch.load(keeper.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(kept["state_dict"])
    measured = {name: evaluate(trainer, module, texts, name) for name in SPLITS}
    adapter_sha256 = save(folder, config, made) if trainer.is_global_zero else ""
    ended = time.perf_counter()

    return Record(
        name=folder.name,
        config=asdict(config),
        labels=list(data.labels),
        data=describe(data, texts),
        counts=count(made.network).as_dict(),
        metrics={name: evaluation.metrics for name, evaluation in measured.items()},
        predictions={"test": measured["test"].predictions()},
        mistakes=measured["test"].mistakes(data.test.texts),
        epochs=trainer.current_epoch,
        best_epoch=int(kept["epoch"]) + 1,
        steps=trainer.global_step,
        seconds={
            "load": loaded - started,
            "fit": fitted - loaded,
            "evaluate": ended - fitted,
            "total": ended - started,
        },
        texts_per_second=meter.texts_per_second,
        peak_memory_bytes=hardware.peak_memory_bytes(config.trainer.accelerator),
        precision=made.precision,
        device=hardware.device_name(config.trainer.accelerator, config.trainer.devices),
        versions=hardware.versions(),
        git_commit=hardware.git_commit(),
        hashes={
            "base": made.base_sha256,
            "tokenizer": made.tokenizer.sha256,
            "split": data.sha256,
            "adapter": adapter_sha256,
        },
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def checkpoints(config: TrainConfig, folder: Path) -> ModelCheckpoint:
    """Keeps one epoch's trainable tensors and optimizer: the best, or the last."""
    keep = config.trainer.keep
    monitor = "val_loss" if keep == "best" else None
    return ModelCheckpoint(
        folder / "checkpoints", keep, monitor=monitor, enable_version_counter=False
    )


def build_trainer(
    config: TrainConfig,
    texts: TextDataModule,
    loggers: list[Logger],
    callbacks: list[Callback],
    progress: bool,
) -> Trainer:
    """Lightning's Trainer; it is told nothing of precision: the network knows what runs in bf16."""
    settings = config.trainer
    if settings.patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=settings.patience))
    if loggers:
        callbacks.append(LearningRateMonitor("step"))
    if progress:
        callbacks.append(Progress())
    gpu = hardware.uses_gpu(settings.accelerator)
    batches = len(texts.data.train) // config.data.batch_size
    return Trainer(
        accelerator="gpu" if gpu else "cpu",
        devices=settings.devices,
        strategy="ddp" if settings.devices > 1 else "auto",
        max_epochs=settings.max_epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=config.optim.grad_clip or None,
        limit_train_batches=settings.limit_batches,
        limit_val_batches=settings.limit_batches,
        limit_test_batches=settings.limit_batches,
        logger=loggers,
        callbacks=callbacks,
        log_every_n_steps=max(1, batches // POINTS_AN_EPOCH),
        num_sanity_val_steps=0,
        enable_progress_bar=progress,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        use_distributed_sampler=False,  # our batches are cut and dealt by LengthGrouped
        deterministic="warn" if gpu else None,  # CPU products are deterministic as they are
    )


def datamodule(config: TrainConfig, data: TextData, made: Assembled) -> TextDataModule:
    encode, pad = made.tokenizer.encode, made.tokenizer.pad
    return TextDataModule(data, config.data, encode, pad, made.max_length, config.seed)


def save(folder: Path, config: TrainConfig, made: Assembled) -> str:
    """config.yaml and adapter/; returns the adapter's sha256."""
    write_whole(folder / "config.yaml", to_yaml(config))
    return save_adapter(made.network, folder / ADAPTER, adapter_card(config, made))


def announce(config: TrainConfig, data: TextData, made: Assembled) -> None:
    """What a user wants to know before the first step."""
    if not is_main_process():
        return
    counts, model = count(made.network), config.model.name
    if config.model.weights == "random":
        model += " with RANDOM weights (it has learnt nothing yet)"
    sizes = " + ".join(f"{len(data[name]):,}" for name in SPLITS)
    log.info(f"{config.data.name}: {data.note}; {sizes} texts (train + validation + test)")
    for warning in data.warnings():
        log.warning(f"warning: {warning}")
    log.info(
        f"{config.method} on {model}: {counts.trainable:,} of {counts.total:,} parameters train "
        f"({counts.percent:.2f} %), adapter {counts.adapter_bytes:,} bytes"
    )


def describe(data: TextData, texts: TextDataModule) -> dict[str, Any]:
    """The data's part of a record."""
    return {
        "note": data.note,
        "synthetic": data.synthetic,
        "n": {name: len(data[name]) for name in SPLITS},
        "repeats": data.repeats(),
        "full_length": {name: texts.full_length(name) for name in SPLITS},
        "warnings": data.warnings(),
    }
