"""From a config to a trained adapter: data, network, trainer, fit, the epoch that is kept."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
)
from lightning.pytorch.loggers import Logger

from loraexp.adapters.inject import count
from loraexp.adapters.learning import controller
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import from_home
from loraexp.data.batching import Batch
from loraexp.data.datamodule import TextDataModule
from loraexp.data.splits import TextData, load_data
from loraexp.errors import UserError
from loraexp.records.record_types import OUT_OF_SCOPE, SPLITS
from loraexp.results.short_paths import cut_path
from loraexp.runs.load import LoadedModel, build_model
from loraexp.runs.run_folder import RunFolder
from loraexp.runs.warm_start import check_source, started_from
from loraexp.runtime import hardware
from loraexp.runtime.ranks import is_main_process
from loraexp.training.callbacks.method_hooks import MethodHooks
from loraexp.training.callbacks.prefix_cache import PrefixCaching
from loraexp.training.callbacks.progress import Seconds, Throughput
from loraexp.training.callbacks.sanity import SanityChecks
from loraexp.training.checkpoints import (
    EpochSeeds,
    Resumption,
    WholeCheckpoints,
    checkpoints,
    fingerprint,
    fit,
    resumable,
)
from loraexp.training.class_weights import class_weights
from loraexp.training.classifier_module import ClassifierModule
from loraexp.training.data_start import start_from_data
from loraexp.training.lightning_environment import NOWHERE, Together, cluster_environment
from loraexp.training.packs.alone import Alone
from loraexp.training.schedule import warmup_steps
from loraexp.training.sharding import Rounds, Sharded, check_sharding

log = logging.getLogger("loraexp")
POINTS_AN_EPOCH = 50  # of the training curves


@dataclass(frozen=True)
class Fitted:
    """A trained adapter in its network, with all that a record says of how it came to be."""

    model: LoadedModel
    texts: TextDataModule
    module: ClassifierModule
    trainer: Trainer
    meter: Throughput
    timer: Seconds
    best_epoch: int
    load_seconds: float


def fit_adapter(
    config: TrainConfig,
    folder: RunFolder,
    loggers: list[Logger],
    watching: Sequence[Callback],
    member: Alone,
) -> Fitted:
    """From data to the adapter of the epoch that is kept.

    Raises:
        Apart: a member of a pack that cannot share.
    """
    started = member.clock()
    hardware.check_gpus(config.trainer.accelerator, config.trainer.devices)
    if config.trainer.compile:
        hardware.prepare_compiler()
    hardware.reset_peak_memory()
    data = load_data(config.data)
    check_sizes(data, config)
    weights = class_weights(config.optim.class_weights, data.labels, data.train.classes)
    if config.init_from is not None:
        check_source(config, data.labels)
    model = build_model(config, data.labels, empty=config.init_from is not None)
    if config.init_from is not None:
        model = started_from(model)
        log.info(f"it starts from the adapter of {config.init_from}, not from a new one")
    check_sharding(model.network, config)
    texts = datamodule(config, data, model)
    announce(config, model, texts)
    if config.init_from is None:
        start_from_data(model.network, texts)
    member.join(model.network, model.base_sha256)
    module = ClassifierModule(model.network, config, len(data.labels), member, weights)
    marks = fingerprint(model, data, folder)
    keepers = checkpoints(config, folder)
    meter, timer = Throughput(member.clock), Seconds(member.clock)
    resumption = Resumption(marks, member.keep_threads, folder.check)
    callbacks = [SanityChecks(), meter, timer, EpochSeeds(config.seed), resumption, *keepers]
    callbacks += [PrefixCaching(texts, member.prefixes), Together()]
    between = controller(module, config)
    callbacks += [MethodHooks(between)] if between else []
    callbacks += watching
    trainer = build_trainer(config, texts, loggers, callbacks)
    loaded = member.clock()
    fit(trainer, module, texts, resumable(folder, marks))
    if config.trainer.strategy == "fsdp":  # what was trained is in parts: whole it is measured
        model = build_model(config, data.labels)
        # Its trainer deals batches out to the processes; here each sees all, as at the start.
        start_from_data(model.network, datamodule(config, data, model))
        member.join(model.network, model.base_sha256)
        module = ClassifierModule(model.network, config, len(data.labels), member)
    # weights_only: a checkpoint is data and never unpickled into code.
    kept = torch.load(keepers[0].best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(kept["state_dict"])
    best, load_seconds = int(kept["epoch"]) + 1, loaded - started
    return Fitted(model, texts, module, trainer, meter, timer, best, load_seconds)


def check_sizes(data: TextData, config: TrainConfig) -> None:
    """Every process needs a text of each split.

    Raises:
        UserError: a split of fewer texts than trainer.devices.
    """
    sizes = {name: len(data[name]) for name in SPLITS}
    sizes |= {OUT_OF_SCOPE: len(data.out_of_scope)} if data.out_of_scope else {}
    for name, size in sizes.items():
        if size < config.trainer.devices:
            raise UserError(
                f"trainer.devices must be at most the number of {name} texts = {size}, "
                f"got {config.trainer.devices}"
            )


def build_trainer(
    config: TrainConfig, texts: TextDataModule, loggers: list[Logger], callbacks: list[Callback]
) -> Trainer:
    settings = config.trainer
    if settings.patience is not None:
        callbacks.append(EarlyStopping("val_loss", patience=settings.patience))
    strategy: str | Sharded = "ddp"
    if settings.strategy == "fsdp":
        strategy = Sharded()
        callbacks.append(Rounds())
    gpu = hardware.uses_gpu(settings.accelerator)
    steps = steps_an_epoch(config, len(texts.data.train))
    return Trainer(
        **common_settings(settings.accelerator, loggers, callbacks),
        devices=settings.devices,
        strategy=strategy if settings.devices > 1 else "auto",
        # Parts that are gathered in that mode could not be trained afterwards.
        inference_mode=settings.strategy != "fsdp",
        max_epochs=settings.max_epochs,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=config.optim.grad_clip or None,
        limit_train_batches=settings.limit_batches,
        limit_val_batches=settings.limit_batches,
        limit_test_batches=settings.limit_batches,
        log_every_n_steps=max(1, steps // POINTS_AN_EPOCH),
        use_distributed_sampler=False,  # our batches are cut and dealt by LengthGrouped
        deterministic="warn" if gpu else None,  # CPU products are deterministic as they are
    )


def common_settings(
    accelerator: str, loggers: list[Logger], callbacks: list[Callback]
) -> dict[str, Any]:
    """What each of our Trainers is told. Nothing of precision: the network knows what runs in
    bf16."""
    return {
        "accelerator": "gpu" if hardware.uses_gpu(accelerator) else "cpu",
        "logger": loggers,
        "callbacks": [*callbacks, LearningRates("step")] if loggers else callbacks,
        "plugins": [WholeCheckpoints(), cluster_environment()],
        "default_root_dir": NOWHERE,
        "num_sanity_val_steps": 0,
        "enable_progress_bar": any(isinstance(c, ProgressBar) for c in callbacks),
        "enable_model_summary": False,
        "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
    }


def steps_an_epoch(config: TrainConfig, texts: int) -> int:
    """Optimizer steps in one pass over so many training texts."""
    settings = config.trainer
    batches = ceil(ceil(texts / config.data.batch_size) / settings.devices)
    return ceil(min(batches, settings.limit_batches or batches) / settings.accumulate)


class LearningRates(LearningRateMonitor):
    """Lightning's own writes a row for each batch of a step; this one for the first."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int
    ) -> None:
        if index % trainer.accumulate_grad_batches == 0:
            super().on_train_batch_start(trainer, pl_module, batch, index)


def datamodule(config: TrainConfig, data: TextData, model: LoadedModel) -> TextDataModule:
    encode, pad = model.tokenizer.encode, model.tokenizer.pad
    return TextDataModule(data, config.data, encode, pad, model.max_length, config.seed)


def announce(config: TrainConfig, model: LoadedModel, texts: TextDataModule) -> None:
    """What a user wants to know before the first step."""
    if not is_main_process():
        return
    data, counts, base = texts.data, count(model.network), config.model.name
    if config.model.weights == "random":
        base += " with RANDOM weights (it has learnt nothing yet)"
    sizes = " + ".join(f"{len(data[name]):,}" for name in SPLITS)
    path = from_home(config.data.path or "")
    note = data.note.replace(path, cut_path(path), 1) if path else data.note
    log.info(f"{config.data.name}: {note}; {sizes} texts (train + validation + test)")
    log.info(data.classes())
    for warning in (*data.warnings(), *warnings(config, texts)):
        log.warning(f"warning: {warning}")
    log.info(
        f"{config.method} on {base}: {counts.trainable:,} of {counts.total:,} parameters train "
        f"({counts.percent:.2f} %), adapter {counts.adapter_bytes:,} bytes"
    )


def warnings(config: TrainConfig, texts: TextDataModule) -> Iterator[str]:
    """What does not go as the config's reader may think, a line each."""
    cut = {name: texts.cut(name) for name in SPLITS}
    parts = [f"{n:,} of {len(texts.data[name]):,} {name}" for name, n in cut.items() if n]
    if parts:
        yield f"texts are cut to {texts.max_length} tokens: {', '.join(parts)}"
    total = config.trainer.max_epochs * steps_an_epoch(config, len(texts.data.train))
    if (warmup := warmup_steps(config.optim, total)) >= total:
        yield (
            f"optim.warmup takes {warmup:g} of {total} steps: "
            "the learning rate never reaches optim.lr"
        )
