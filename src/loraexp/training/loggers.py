"""Where curves go while a run trains, and what is published of it at the end."""

import logging
import netrc
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lightning.pytorch.loggers import CSVLogger, Logger

from loraexp.config.pretraining import PretrainConfig
from loraexp.config.schema import Logger as LoggerSettings
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import from_dict, plain
from loraexp.errors import cut
from loraexp.records.record import Record
from loraexp.results.runs_table import runs_table
from loraexp.results.tables import Table
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.escape import printable
from loraexp.runtime.ranks import is_main_process
from loraexp.training.lightning_environment import quiet

log = logging.getLogger("loraexp")

# What we ask of the client where neither the environment nor its settings files say otherwise:
# nothing of the machine, the user, the checkout or the terminal is sent, and no run waits long.
DEFAULTS: dict[str, Any] = {
    "console": "off",
    "disable_git": True,
    "host": "",
    "save_code": False,
    "x_disable_meta": True,
    "x_save_requirements": False,
    "init_timeout": 30.0,
    "finish_timeout": 60.0,
}


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
    if config.logger.name != "wandb":
        yield loggers
        return
    sent = WandbRun(config.logger, folder, group, config=plain(config))
    try:
        yield [*loggers, sent]
    except BaseException:
        sent.finish(exit_code=1)
        raise
    sent.finish()


class WandbRun(Logger):
    """A run on W&B, which begins when it is first used; a sweep's jobs share a group.

    Nothing that goes wrong there, at any time, ends what it is about: it is one warning, and from
    then on nothing is sent.
    """

    name, version = "wandb", None

    def __init__(
        self, settings: LoggerSettings, folder: Path, group: str | None, **init: Any
    ) -> None:
        super().__init__()
        self.begin: Callable[[], Any] = lambda: begun(settings, folder, group, init)
        self.run: Any = None
        self.over = not is_main_process()

    @property
    def experiment(self) -> Any:
        """The client's run, None without one; Lightning asks for it when a training begins."""
        self.send(lambda run: None)
        return self.run

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.send(lambda run: run.log({**metrics, "trainer/global_step": step}))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """None but the config, with which the run began."""

    def finish(self, exit_code: int = 0) -> None:
        if self.run is not None:
            self.send(lambda run: run.finish(exit_code=exit_code))
        self.over = True

    def send(self, action: Callable[[Any], object]) -> None:
        """Do it with the client's run, if there is one."""
        if self.over:
            return
        try:
            self.run = self.run or self.begin()
            self.over = self.run is None
            if self.run is not None:
                action(self.run)
        except Exception as error:  # whatever it is: the client has errors of many kinds
            self.over = True
            log.warning(f"warning: Weights & Biases: {in_a_line(error)}; going on without it")


def in_a_line(error: Exception) -> str:
    """One line, without the key that a setting may have been refused with."""
    line = " ".join(str(error).split()) or type(error).__name__
    key = os.environ.get("WANDB_API_KEY")
    return cut(line.replace(key, "...") if key else line, 200)


def begun(
    settings: LoggerSettings, folder: Path, group: str | None, init: Mapping[str, Any]
) -> Any:
    """A run of the client; None where W&B is disabled, and then nothing is written.

    What was typed comes first, then what the client finds in the environment and in its settings
    files, and last what we say by default.
    """
    import wandb

    client = wandb.setup().settings
    given = {*client.model_fields_set}  # by the environment or a settings file
    if not os.environ.get("WANDB_HOST"):  # the client fills it in by itself
        given.discard("host")
    if (mode := mode_of(client, given)) == "disabled":
        return None
    ours: dict[str, Any] = {"project": LoggerSettings.project, "mode": mode} | DEFAULTS
    ours |= {"run_name": folder.name, "run_group": group, "root_dir": str(folder)}
    if before := attempts(folder):
        ours |= {"run_id": before[-1], "resume": "allow"}
    # A client of other versions may not know them all.
    asked = {k: v for k, v in ours.items() if k not in given and k in type(client).model_fields}
    for name, key in (("project", "project"), ("entity", "entity"), ("run_group", "group")):
        if (value := getattr(settings, key)) != getattr(LoggerSettings, key):
            asked[name] = value
    with quiet():
        # create_new: a sweep's jobs run in one process and must not share a run
        run = wandb.init(settings=wandb.Settings(**asked), reinit="create_new", **init)
        run.define_metric("trainer/global_step")
        run.define_metric("*", step_metric="trainer/global_step", step_sync=True)
    return run


def attempts(folder: Path) -> list[str]:
    """Ids of the W&B runs that a folder has, in the order of time: one that is trained again, or
    goes on after it was cut short, goes on there as well."""
    names = (path.name.partition("run-")[2] for path in folder.glob("wandb/*run-*-*"))
    return [name.partition("-")[2] for name in sorted(names)]


def mode_of(client: Any, given: set[str]) -> str:
    """online, offline or disabled: as chosen, else online where the client would find a key."""
    if "mode" in given:
        return str(client.mode)
    key = client.api_key or os.environ.get("WANDB_IDENTITY_TOKEN_FILE")
    hosts = {client.base_url, *(() if "base_url" in given else ("https://api.wandb.ai",))}
    return "online" if key or any(map(in_netrc, hosts)) else "offline"


def in_netrc(url: str) -> bool:
    """Is there an entry for this server in the file that the client reads?"""
    standard = [Path("~/.netrc").expanduser(), Path("~/_netrc").expanduser()]
    named = os.environ.get("NETRC")
    file = Path(named).expanduser() if named else next(filter(Path.exists, standard), standard[0])
    try:
        return netrc.netrc(file).authenticators(urlsplit(url).netloc) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def publish_sweep(
    records: Sequence[Record], folder: Path, tables: Mapping[str, Table], pictures: Sequence[Path]
) -> str:
    """One more run in the sweep's group, with its tables and figures, if there is more than one
    record; returns what `kept_offline` says of them all."""
    settings = from_dict(LoggerSettings, records[-1].config["logger"])
    if len(records) > 1:
        name = f"{folder.name} summary"
        summary = WandbRun(settings, folder, folder.name, name=name, job_type="summary")
        summary.send(lambda run: publish_summary(run, tables, pictures))
        summary.finish()
    runs = [RunFolder.of(from_dict(TrainConfig, record.config)).path for record in records]
    return kept_offline([*runs, folder])


def publish_summary(run: Any, tables: Mapping[str, Table], pictures: Sequence[Path]) -> None:
    import wandb

    shown: dict[str, Any] = {name: shared_table(table) for name, table in tables.items()}
    run.log(shown | {picture.stem: wandb.Image(str(picture)) for picture in pictures})


def shared_table(table: Table) -> Any:
    """A table of W&B's; of paths in its texts, such as reasons why jobs failed, none tells whose
    home folder it is."""
    import wandb

    home = os.path.expanduser("~").rstrip("/")
    rows = [[cell.replace(f"{home}/", "~/") if home else cell for cell in r] for r in table.text()]
    return wandb.Table(columns=[*table.header], data=rows)


def kept_offline(folders: Sequence[Path]) -> str:
    """Patterns, for `wandb sync`, of what these folders hold of runs that were not sent."""
    if own := os.environ.get("WANDB_DIR"):
        folders = [*folders, Path(own).expanduser()]
    kept = {folder for folder in folders if [*folder.glob("wandb/offline-run-*")]}
    patterns = (f"{shlex.quote(str(folder))}/wandb/offline-run-*" for folder in sorted(kept))
    return printable(" ".join(patterns))


def publish(loggers: Sequence[Logger], record: Record, folder: Path) -> None:
    """Put the finished run's metrics, tables and plots on W&B, and close its run there."""
    for logger in loggers:
        if isinstance(logger, WandbRun):
            logger.send(lambda run: publish_record(run, record, folder))
            logger.finish()


def publish_record(run: Any, record: Record, folder: Path) -> None:
    import wandb

    for split, metrics in record.metrics.items():
        scores = {k: v for k, v in metrics.items() if not isinstance(v, list)}
        run.summary.update({f"{split}/{name}": value for name, value in scores.items()})
    run.summary.update({f"counts/{name}": value for name, value in record.counts.items()})
    run.summary.update({"texts_per_second": record.texts_per_second, **record.seconds})
    run.summary.update({"device": record.device, "git_commit": record.git_commit})
    confusion = record.metrics["test"]["confusion"]
    columns: list[Any] = ["true \\ predicted", *record.labels]
    rows = [(label, *counts) for label, counts in zip(record.labels, confusion, strict=True)]
    run.log(
        {
            "run": shared_table(runs_table([record])),
            "confusion": wandb.Table(columns=columns, data=[*rows]),
            "loss": wandb.Image(str(folder / "loss.png")),
        }
    )
