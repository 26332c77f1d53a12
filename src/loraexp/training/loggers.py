"""Where curves go while a run trains, and what is published of it at the end."""

import netrc
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from loraexp.config import Logger as LoggerSettings
from loraexp.config import TrainConfig
from loraexp.results.record import Record
from loraexp.results.tables import Table, runs_table
from loraexp.rules import from_dict, plain
from loraexp.schemas import PretrainConfig
from loraexp.training.naming import run_folder
from loraexp.training.surroundings import quiet


@contextmanager
def curve_loggers(
    config: TrainConfig | PretrainConfig, folder: Path, group: str | None
) -> Iterator[list[Logger]]:
    """`logger=csv` leaves metrics.csv; `logger=wandb` sends the same to W&B too; `none` neither.

    A W&B run whose block fails is marked as failed there.
    """
    loggers: list[Logger] = []
    if config.logger.name != "none":
        (folder / "metrics.csv").unlink(missing_ok=True)  # of a run that was cut short
        loggers.append(CSVLogger(folder, name="", version=""))
    if config.logger.name == "wandb":
        loggers.append(wandb_logger(config, folder, group))
    try:
        yield loggers
    except BaseException:
        for logger in loggers:
            if isinstance(logger, WandbLogger):
                logger.experiment.finish(exit_code=1)
        raise


def wandb_logger(
    config: TrainConfig | PretrainConfig, folder: Path, group: str | None
) -> WandbLogger:
    """One W&B run a job; a sweep's jobs share a group."""
    return WandbLogger(
        project=config.logger.project,
        entity=config.logger.entity,
        name=folder.name,
        group=config.logger.group or group,
        save_dir=folder,
        offline=not logged_in(),
        config=plain(config),
        reinit="create_new",  # a sweep's jobs run in one process and must not share a run
    )


def logged_in() -> bool:
    """Is there a key for W&B, or a mode the user chose? If not, runs are kept offline."""
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_MODE") == "online":
        return True
    try:
        host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("//")[-1].strip("/")
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def publish_sweep(
    records: Sequence[Record], folder: Path, tables: Mapping[str, Table], pictures: Sequence[Path]
) -> str:
    """One more run in the sweep's group, with its tables and figures, if there is more than one
    record; returns what `kept_offline` says of them all."""
    settings = from_dict(LoggerSettings, records[-1].config["logger"])
    if len(records) > 1:
        publish_summary(settings, folder, tables, pictures)
    runs = [run_folder(from_dict(TrainConfig, record.config)) for record in records]
    return kept_offline([*runs, folder])


def publish_summary(
    settings: LoggerSettings, folder: Path, tables: Mapping[str, Table], pictures: Sequence[Path]
) -> None:
    """One more run in the sweep's group, with its tables and figures."""
    import wandb

    with quiet():
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            group=settings.group or folder.name,
            name=f"{folder.name} summary",
            job_type="summary",
            dir=folder,
            mode="online" if logged_in() else "offline",
            reinit="create_new",
        )
        shown: dict[str, Any] = {
            name: wandb.Table(columns=[*table.header], data=[*table.text()])
            for name, table in tables.items()
        }
        run.log(shown | {picture.stem: wandb.Image(str(picture)) for picture in pictures})
        run.finish()


def kept_offline(folders: Sequence[Path]) -> str:
    """Patterns, for `wandb sync`, of what these folders hold of runs that were not sent."""
    kept = {folder for folder in folders if [*folder.glob("wandb/offline-run-*")]}
    return " ".join(f"{folder}/wandb/offline-run-*" for folder in sorted(kept))


def publish(loggers: list[Logger], record: Record, folder: Path) -> None:
    """Put the finished run's metrics, tables and plots on W&B, and close its run there."""
    for logger in loggers:
        if not isinstance(logger, WandbLogger):
            continue
        import wandb

        run = logger.experiment
        for split, metrics in record.metrics.items():
            scores = {k: v for k, v in metrics.items() if k != "confusion"}
            run.summary.update({f"{split}/{name}": value for name, value in scores.items()})
        run.summary.update({f"counts/{name}": value for name, value in record.counts.items()})
        run.summary.update({"texts_per_second": record.texts_per_second, **record.seconds})
        table = runs_table([record])
        confusion = record.metrics["test"]["confusion"]
        columns: list[Any] = ["true \\ predicted", *record.labels]
        rows = [(label, *counts) for label, counts in zip(record.labels, confusion, strict=True)]
        run.log(
            {
                "run": wandb.Table(columns=[*table.header], data=[*table.text()]),
                "confusion": wandb.Table(columns=columns, data=[*rows]),
                "loss": wandb.Image(str(folder / "loss.png")),
            }
        )
        run.finish()
