"""A run that was cut short goes on from its last epoch, and ends as if it had not been."""

import io
import logging
import signal
from collections.abc import Callable
from os.path import lexists
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from loraexp.config.schema import TrainConfig
from loraexp.data.batching import Batch
from loraexp.data.datamodule import TextDataModule
from loraexp.data.splits import TextData
from loraexp.errors import UserError
from loraexp.runs.load import LoadedModel
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime import hardware
from loraexp.runtime.atomic import regular, whole, write_whole
from loraexp.training.classifier_module import ClassifierModule

log = logging.getLogger("loraexp")
LAST, BEST = "last", "best"


class WholeCheckpoints(TorchCheckpointIO):
    """Checkpoints are written whole or not at all: a kill in the middle leaves the earlier one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        content = io.BytesIO()  # a full disk is then an OSError, not one of torch's own
        torch.save(checkpoint, content)
        with whole(Path(path)) as partial:
            partial.write_bytes(content.getbuffer())


class KeptEpoch(ModelCheckpoint):
    """What a checkpoint says of the files beside it are their names, so that a run's folder may be
    moved or copied, and none reads another one's files."""

    @property
    def state_key(self) -> str:
        """As Lightning's own class has it: checkpoints of before are found under that."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def state_dict(self) -> dict[str, Any]:
        return self.relocated(super().state_dict(), "")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(self.relocated(state_dict, str(self.dirpath)))

    @staticmethod
    def relocated(state: dict[str, Any], folder: str) -> dict[str, Any]:
        """The same state with its files in `folder`."""

        def there(path: str) -> str:
            return str(Path(folder) / Path(path).name) if path else path

        paths = {key: there(path) for key, path in state.items() if key.endswith("_model_path")}
        scores = {there(path): score for path, score in state["best_k_models"].items()}
        return {**state, **paths, "best_k_models": scores, "dirpath": folder}


def checkpoints(config: TrainConfig, folder: RunFolder) -> list[ModelCheckpoint]:
    """What is kept of the epochs: the one whose adapter is taken, and the last to go on from."""
    last = KeptEpoch(
        folder.checkpoints, LAST, save_on_train_epoch_end=True, enable_version_counter=False
    )
    if config.trainer.keep == LAST:
        return [last]
    best = KeptEpoch(folder.checkpoints, BEST, monitor="val_loss", enable_version_counter=False)
    return [best, last]  # in this order: the last one knows which is best


def resumable(folder: RunFolder, fingerprint: dict[str, Any]) -> Path | None:
    """The checkpoint to go on from; None where there is none, or one of other data or libraries."""
    file = folder.checkpoints / f"{LAST}.ckpt"
    if not lexists(file):
        return None
    regular(file.parent, file.name)
    try:
        kept = torch.load(file, weights_only=True, map_location="cpu")
    except (RuntimeError, EOFError, UnpicklingError) as error:
        log.warning(f"warning: {file} is damaged, training starts over: {error}")
        return None
    if own(kept.get(Resumption.KEY)) != fingerprint:
        log.warning(f"warning: {file} is of other data, weights or versions: training starts over")
        return None
    best = [
        state["best_model_path"] for state in kept["callbacks"].values() if "kth_value" in state
    ]
    if any(path and not (file.parent / Path(path).name).is_file() for path in best):
        log.warning(f"warning: {file.parent} lacks the best epoch: training starts over")
        return None
    log.info(f"going on after epoch {kept['epoch'] + 1}, from {file}")
    return file


def own(made_of: Any) -> Any:
    """What a checkpoint says it is of; those of before have the whole path of their folder."""
    if isinstance(made_of, dict) and Path(made_of["folder"]).is_absolute():
        return {**made_of, "folder": Path(made_of["folder"]).parent.name}
    return made_of


def fit(
    trainer: Trainer, module: ClassifierModule, texts: TextDataModule, checkpoint: Path | None
) -> None:
    """Train, from a checkpoint on if there is one.

    Raises:
        KeyboardInterrupt: Ctrl-C, of which Lightning makes an exit.
        UserError: out of memory.
    """
    interrupts = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(module, datamodule=texts, ckpt_path=checkpoint, weights_only=True)
    except SystemExit:
        if trainer.interrupted:
            signal.signal(signal.SIGINT, interrupts)
            raise KeyboardInterrupt from None
        raise
    except (torch.OutOfMemoryError, MemoryError):
        raise UserError(
            f"out of memory with data.batch_size={texts.config.batch_size}: try a lower one"
        ) from None


def fingerprint(model: LoadedModel, data: TextData, folder: RunFolder) -> dict[str, Any]:
    """All that decides the result, the config by the run's name."""
    hashes = {"base": model.base_sha256, "tokenizer": model.tokenizer.sha256, "split": data.sha256}
    versions, name = hardware.versions(), folder.name
    if model.source_sha256:
        hashes["init_from"] = model.source_sha256
    return {**hashes, "precision": model.precision, "versions": versions, "folder": name}


def remove_last(config: TrainConfig, folder: RunFolder) -> None:
    """Remove what only an unfinished run needs."""
    if config.trainer.keep != LAST:
        (folder.checkpoints / f"{LAST}.ckpt").unlink(missing_ok=True)


class Resumption(Callback):
    """What Lightning leaves out: whose checkpoint it is, the curves so far, an early stop, and how
    many threads took part, for another number gives other last bits.

    Args:
        fingerprint: all that decides the result: a checkpoint of another one is of no use.
        keep_threads: told how many threads the run began with.
        check: raises if the run's folder is another process's by now.
    """

    KEY = "loraexp"

    def __init__(
        self,
        fingerprint: dict[str, Any],
        keep_threads: Callable[[int], None],
        check: Callable[[], None],
    ) -> None:
        self.fingerprint, self.keep_threads, self.check = fingerprint, keep_threads, check

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.check()
        checkpoint[self.KEY] = self.fingerprint
        checkpoint["threads"] = torch.get_num_threads()
        checkpoint["curves"] = None
        if logger := csv_logger(trainer):
            logger.save()
            checkpoint["curves"] = curves_file(logger).read_text(encoding="utf-8")

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self.keep_threads(checkpoint.get("threads", torch.get_num_threads()))
        # Rows after the checkpoint are dropped: their epoch is trained again.
        if checkpoint["curves"] is not None and (logger := csv_logger(trainer)):
            write_whole(curves_file(logger), checkpoint["curves"])
            logger.experiment.metrics_keys = checkpoint["curves"].splitlines()[0].split(",")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for stopping in trainer.early_stopping_callbacks:
            assert isinstance(stopping, EarlyStopping)
            if stopping.wait_count >= stopping.patience:  # it was the last epoch already
                trainer.should_stop = True


class EpochSeeds(Callback):
    """Random numbers (dropout) of an epoch come from the seed, the process and the epoch alone, so
    an epoch is the same whether or not the process began with it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int
    ) -> None:
        if index == 0:
            place = (self.seed, trainer.global_rank, trainer.current_epoch)
            (seed,) = np.random.SeedSequence(place).generate_state(1)
            seed_everything(int(seed), verbose=False)


def csv_logger(trainer: Trainer) -> CSVLogger | None:
    """The one that writes metrics.csv in this process."""
    loggers = (logger for logger in trainer.loggers if isinstance(logger, CSVLogger))
    return next(loggers, None) if trainer.is_global_zero else None


def curves_file(logger: CSVLogger) -> Path:
    return Path(logger.experiment.metrics_file_path)
