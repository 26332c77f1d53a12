"""One run: its adapter is fitted, measured, saved, and told of in a record."""

import logging
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from loraexp.adapters.adapter_files import save_adapter
from loraexp.adapters.inject import count
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.data.datamodule import TextDataModule
from loraexp.records.record import Record, Trial
from loraexp.records.record_types import SPLITS
from loraexp.report.plots import plot_loss
from loraexp.runs.card import adapter_card
from loraexp.runs.content import make_way, present
from loraexp.runs.load import TRAINED
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import hardware
from loraexp.runtime.ranks import is_main_process
from loraexp.training.checkpoints import remove_last
from loraexp.training.fit import Fitted, fit_adapter
from loraexp.training.lightning_environment import settled, threads_of
from loraexp.training.loggers import curve_loggers, publish
from loraexp.training.measure import evaluate, evaluate_all
from loraexp.training.packs.alone import Alone

log = logging.getLogger("loraexp")


def train(
    config: TrainConfig,
    group: str | None = None,
    progress: Callback | None = None,
    patient: bool = False,
    member: Alone | None = None,
) -> Record:
    """Train one adapter and leave its folder; a finished run is shown, never trained again, and
    one that was cut short goes on from its last epoch.

    Args:
        config: checked configuration.
        group: name of the sweep this run belongs to.
        progress: shows how far the training is.
        patient: wait for another process that trains the same run, and take its result.
        member: of a pack, whose runs share one base.

    Raises:
        OtherContent: the finished run is of other data, another base or tokenizer than now.
        Busy: another process holds the run, or took it over while this one stood still.
        UserError: data, weights or settings that do not work, or training that cannot.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    folder = RunFolder.of(config)
    if present(config, folder, folder.finished):
        return shown(config, folder)
    with folder.held(patient), settled():
        if present(config, folder, folder.finished):  # while this one waited
            return folder.record()
        own = member or Alone()
        begin(config, folder, own)
        with curve_loggers(config, folder.path, group) as loggers:
            watching = [progress] if progress else []
            fitted = fit_adapter(config, folder, loggers, watching, own)
            record = record_of(fitted, folder, own)
            if is_main_process():
                if loggers:
                    plot_loss(folder.path)
                publish(loggers, record, folder.path)
                folder.check(folder.finished)
                try:  # last: a folder with a record is a finished run
                    record.write(folder.path, new=True)
                except FileExistsError:
                    folder.check(done=True)
                remove_last(config, folder)
    return record


def score(
    config: TrainConfig,
    group: str | None = None,
    progress: Callback | None = None,
    patient: bool = False,
    pruning: Callback | None = None,
    member: Alone | None = None,
) -> Trial:
    """Train one adapter as `train` does, and measure it on the validation texts alone: `train`
    goes on from there, and only then are the test texts read.

    Args:
        pruning: may end it early.
    """
    folder = RunFolder.of(config)
    if present(config, folder, folder.scored):
        return folder.trial()
    with folder.held(patient), settled():
        if present(config, folder, folder.scored):
            return folder.trial()
        own = member or Alone()
        begin(config, folder, own)
        with curve_loggers(config, folder.path, group) as loggers:
            watching = [one for one in (progress, pruning) if one]
            fitted = fit_adapter(config, folder, loggers, watching, own)
            metrics = evaluate(fitted, "validation").metrics
            trial = Trial(folder.name, plain(config), metrics, now(), hashes_of(fitted))
            if is_main_process():
                folder.check(folder.scored)
                trial.write(folder.path)
    return trial


def shown(config: TrainConfig, folder: RunFolder) -> Record:
    """The record of a finished run. How much of train was measured makes no other run of it."""
    record = folder.record()
    log.info(f"{folder.path} is finished already: its record is shown")
    measured, there = record.metrics["train"]["n"], record.data["n"]["train"]
    if config.trainer.train_metrics == "all" and measured < there:
        log.info(
            f"its train metrics are of {measured:,} of {there:,} texts; of all of them: python -m "
            f"loraexp eval run={folder.path} split=train whole=true"
        )
    return record


def begin(config: TrainConfig, folder: RunFolder, member: Alone) -> None:
    """Leave from the start what the run is of: whoever looks at one that was cut short can tell.
    One that was trained before has as many threads as then."""
    make_way(config, folder)
    if (before := folder.replaced()) and (threads := threads_of(before, config.trainer)):
        member.keep_threads(threads)
    else:
        member.suit_threads(config.trainer)
    if is_main_process():
        folder.write_config(config)


def record_of(fitted: Fitted, folder: RunFolder, member: Alone) -> Record:
    """Measure and save the adapter; what it returns is the record, not yet written."""
    model, data = fitted.model, fitted.texts.data
    config, trainer = model.config, model.config.trainer
    fit_seconds, started = fitted.timer.elapsed, member.clock()
    evaluations = evaluate_all(fitted)
    folder.check(folder.finished)
    adapter_sha256 = save(folder, fitted) if fitted.trainer.is_global_zero else ""
    evaluate_seconds = member.clock() - started
    return Record(
        name=folder.name,
        config=plain(config),
        labels=list(data.labels),
        data=describe(fitted.texts),
        counts=count(model.network).as_dict(),
        metrics={name: evaluation.metrics for name, evaluation in evaluations.items()},
        predictions={"test": evaluations["test"].predictions()},
        mistakes=evaluations["test"].mistakes(data.test.texts),
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
        peak_memory_bytes=hardware.peak_memory_bytes(trainer.accelerator) // member.width,
        precision=model.precision,
        device=hardware.device_name(trainer.accelerator, trainer.devices),
        versions=hardware.versions(),
        git_commit=hardware.git_commit(),
        hashes={**hashes_of(fitted), "adapter": adapter_sha256},
        finished=now(),
        threads=torch.get_num_threads(),
        pack=member.width,
    )


def hashes_of(fitted: Fitted) -> dict[str, str]:
    """What names the content that a run was made of, part by part."""
    tested = fitted.texts.data.tested_sha256
    source = fitted.model.source_sha256
    return {
        **({"init_from": source} if source else {}),
        "base": fitted.model.base_sha256,
        "tokenizer": fitted.model.tokenizer.sha256,
        "data": fitted.texts.data.source_sha256,
        "split": fitted.texts.data.sha256,
        **({"tested": tested} if tested else {}),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def save(folder: RunFolder, fitted: Fitted) -> str:
    """adapter/; returns its sha256."""
    card = adapter_card(fitted.model, fitted.texts.data, TRAINED)
    return save_adapter(fitted.model.network, folder.adapter, card)


def describe(texts: TextDataModule) -> dict[str, Any]:
    """The data's part of a record."""
    data = texts.data
    sizes = Counter(data.train.classes)
    return {
        "note": data.note,
        "synthetic": data.synthetic,
        "n": {name: len(data[name]) for name in SPLITS},
        "train_classes": [sizes[at] for at in range(len(data.labels))],
        "repeats": data.repeats(),
        "full_length": {name: texts.full_length(name) for name in SPLITS},
        "warnings": data.warnings(),
    }
