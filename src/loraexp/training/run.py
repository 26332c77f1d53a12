"""One run, in the order the README tells it: data, base, adapter, fit, test, record."""

import logging
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
)
from lightning.pytorch.loggers import Logger

from loraexp.adapters.files import save_adapter
from loraexp.adapters.inject import count
from loraexp.atomic import write_whole
from loraexp.config import TrainConfig
from loraexp.data.files import SPLITS
from loraexp.data.module import TextDataModule
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.results.plots import plot_loss
from loraexp.results.record import (
    Record,
    Trial,
    is_finished,
    is_scored,
    read_record,
    read_trial,
)
from loraexp.rules import to_yaml
from loraexp.training import hardware
from loraexp.training.assemble import ADAPTER, Assembled, adapter_card, assemble
from loraexp.training.evaluation import Evaluation, evaluate
from loraexp.training.guards import Guards, Meter
from loraexp.training.loggers import curve_loggers, publish
from loraexp.training.module import FineTuning
from loraexp.training.naming import run_folder
from loraexp.training.resume import (
    Clock,
    EpochSeeds,
    Resumption,
    WholeCheckpoints,
    checkpoints,
    fingerprint,
    fit,
    forget,
    resumable,
)
from loraexp.training.surroundings import claimed, is_main_process, quiet, restored_environment

log = logging.getLogger("loraexp")
POINTS_AN_EPOCH = 50  # of the training curves


def train(
    config: TrainConfig,
    group: str | None = None,
    progress: Callback | None = None,
    patient: bool = False,
) -> Record:
    """Train one adapter and leave its folder; a finished run is shown, never trained again, and
    one that was cut short goes on from its last epoch.

    Args:
        config: checked configuration.
        group: name of the sweep this run belongs to.
        progress: shows how far the training is.
        patient: wait for another process that trains the same run, and take its result.

    Raises:
        UserError: data, weights or settings that do not work, or training that cannot.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    folder = run_folder(config)
    if is_finished(folder):
        log.info(f"{folder} is finished already: its record is shown")
        return read_record(folder)
    with claimed(folder, patient), quiet(), restored_environment():
        if patient and is_finished(folder):
            return read_record(folder)
        with curve_loggers(config, folder, group) as loggers:
            record = record_of(fit_adapter(config, folder, loggers, progress), folder)
            if is_main_process():
                if loggers:
                    plot_loss(folder)
                publish(loggers, record, folder)
                record.write(folder)  # last: a folder with a record is a finished run
                forget(config, folder)
    return record


def score(
    config: TrainConfig,
    group: str | None = None,
    progress: Callback | None = None,
    patient: bool = False,
) -> Trial:
    """Train one adapter as `train` does, and measure it on the validation texts alone: `train`
    goes on from there, and only then are the test texts read."""
    folder = run_folder(config)
    if is_scored(folder):
        return read_trial(folder)
    with claimed(folder, patient), quiet(), restored_environment():
        if patient and is_scored(folder):
            return read_trial(folder)
        with curve_loggers(config, folder, group) as loggers:
            fitted = fit_adapter(config, folder, loggers, progress)
            metrics = fitted.measure("validation").metrics
            trial = Trial(folder.name, asdict(config), metrics, now())
            if is_main_process():
                for logger in loggers:
                    logger.finalize("success")
                trial.write(folder)
    return trial


@dataclass(frozen=True)
class Fitted:
    """A trained adapter in its network, with all that a record says of how it came to be."""

    config: TrainConfig
    data: TextData
    made: Assembled
    texts: TextDataModule
    module: FineTuning
    trainer: Trainer
    meter: Meter
    clock: Clock
    best_epoch: int
    load_seconds: float

    def measure(self, split: str) -> Evaluation:
        return evaluate(self.trainer, self.module, self.texts, split)


def fit_adapter(
    config: TrainConfig, folder: Path, loggers: list[Logger], progress: Callback | None
) -> Fitted:
    """From data to the adapter of the epoch that is kept."""
    started = time.perf_counter()
    hardware.reset_peak_memory()
    data = load_data(config.data)
    check_sizes(data, config)
    made = assemble(config, data.labels)
    announce(config, data, made)
    texts = datamodule(config, data, made)
    module = FineTuning(made.network, config.optim, len(data.labels))
    marks = fingerprint(made, data)
    meter, clock, keepers = Meter(), Clock(), checkpoints(config, folder)
    callbacks = [Guards(), meter, clock, EpochSeeds(config.seed), Resumption(marks), *keepers]
    callbacks += [progress] if progress else []
    trainer = build_trainer(config, texts, loggers, callbacks)
    loaded = time.perf_counter()
    fit(trainer, module, texts, resumable(folder, marks))
    # weights_only: a checkpoint is data and never unpickled into code.
    kept = torch.load(keepers[0].best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(kept["state_dict"])
    best, load_seconds = int(kept["epoch"]) + 1, loaded - started
    return Fitted(config, data, made, texts, module, trainer, meter, clock, best, load_seconds)


def record_of(fitted: Fitted, folder: Path) -> Record:
    """Measure and save the adapter; what it returns is the record, not yet written."""
    config, data, made = fitted.config, fitted.data, fitted.made
    fit_seconds, started = fitted.clock.seconds, time.perf_counter()
    measured = {name: fitted.measure(name) for name in SPLITS}
    adapter_sha256 = save(folder, config, made) if fitted.trainer.is_global_zero else ""
    evaluate_seconds = time.perf_counter() - started
    return Record(
        name=folder.name,
        config=asdict(config),
        labels=list(data.labels),
        data=describe(data, fitted.texts),
        counts=count(made.network).as_dict(),
        metrics={name: evaluation.metrics for name, evaluation in measured.items()},
        predictions={"test": measured["test"].predictions()},
        mistakes=measured["test"].mistakes(data.test.texts),
        epochs=fitted.trainer.current_epoch,
        best_epoch=fitted.best_epoch,
        steps=fitted.trainer.global_step,
        seconds={
            "load": fitted.load_seconds,
            "fit": fit_seconds,
            "evaluate": evaluate_seconds,
            "total": fitted.load_seconds + fit_seconds + evaluate_seconds,
        },
        texts_per_second=fitted.meter.texts_per_second,
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
        finished=now(),
    )


def check_sizes(data: TextData, config: TrainConfig) -> None:
    """Every process needs a text of each split.

    Raises:
        UserError: a split of fewer texts than trainer.devices.
    """
    for name in SPLITS:
        if len(data[name]) < config.trainer.devices:
            raise UserError(
                f"trainer.devices must be at most the number of {name} texts = {len(data[name])}, "
                f"got {config.trainer.devices}"
            )


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def build_trainer(
    config: TrainConfig,
    texts: TextDataModule,
    loggers: list[Logger],
    callbacks: list[Callback],
) -> Trainer:
    """Lightning's Trainer; it is told nothing of precision: the network knows what runs in bf16."""
    settings = config.trainer
    if settings.patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=settings.patience))
    if loggers:
        callbacks.append(LearningRateMonitor("step"))
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
        plugins=[WholeCheckpoints()],
        log_every_n_steps=max(1, batches // POINTS_AN_EPOCH),
        num_sanity_val_steps=0,
        enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
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
