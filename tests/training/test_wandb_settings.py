"""Which run the client is asked for, and that nothing that fails there ends a training."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wandb
from wandb.errors import AuthenticationError, CommError
from wandb.sdk import wandb_setup

from loraexp.config.schema import Logger, TrainConfig
from loraexp.results.tables import Column, Table
from loraexp.training.loggers import WandbRun, curve_loggers, kept_offline, publish, shared_table

KEY = "0123456789abcdef" * 3
Asked = Callable[..., dict[str, Any] | None]


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A fresh machine's home folder, where we are too; the client starts no process."""
    for name in ("API_KEY", "MODE", "DIR", "PROJECT", "ENTITY", "NAME", "RUN_GROUP", "BASE_URL"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wandb, "setup", wandb_setup.singleton)
    monkeypatch.setattr(wandb_setup, "_singleton", None)
    yield tmp_path
    if wandb_setup._singleton is not None:
        wandb_setup._singleton.asyncer.join()


class Run:
    """The client's, of which a method fails."""

    def __init__(self, failing: str, error: Exception | None) -> None:
        self.failing, self.error = failing, error
        self.summary: dict[str, Any] = {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*_: Any, **__: Any) -> None:
            self.calls.append(name)
            if name == self.failing and self.error is not None:
                raise self.error

        return call


@pytest.fixture
def asked(home: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What wandb.init gets, with the client's own settings beneath; None where it is not called."""

    def ask(settings: Logger | None = None, init: Any = None, **env: str) -> dict[str, Any] | None:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        got: dict[str, Any] = {}

        def fake(**given: Any) -> Run:
            whole = wandb.setup().settings.model_copy()
            whole.update_from_settings(given.pop("settings"))
            got.update(given, **{name: getattr(whole, name) for name in type(whole).model_fields})
            return Run("", None)

        monkeypatch.setattr(wandb, "init", fake)
        run = WandbRun(settings or Logger(name="wandb"), home / "a-run", "a-sweep", **(init or {}))
        assert (run.experiment is None) == (not got)
        return got or None

    return ask


@pytest.mark.parametrize(
    ("env", "mode"),
    [
        ({}, "offline"),
        ({"WANDB_API_KEY": KEY}, "online"),
        ({"WANDB_MODE": "offline", "WANDB_API_KEY": KEY}, "offline"),
        ({"WANDB_MODE": "dryrun", "WANDB_API_KEY": KEY}, "dryrun"),
        ({"WANDB_MODE": "online"}, "online"),
    ],
)
@pytest.mark.parametrize("init", [{}, {"job_type": "summary"}])
def test_the_mode_is_obeyed_and_without_one_a_key_decides(
    asked: Asked, env: dict[str, str], mode: str, init: dict[str, Any]
) -> None:
    found = asked(init=init, **env)
    assert found is not None
    assert found["mode"] == mode


def test_disabled_begins_no_run_and_writes_nothing(asked: Asked, home: Path) -> None:
    assert asked(WANDB_MODE="disabled", WANDB_API_KEY=KEY) is None
    assert [*home.iterdir()] == []


@pytest.mark.parametrize("name", [".netrc", "_netrc", "elsewhere"])
def test_a_netrc_entry_of_the_server_is_a_key(asked: Asked, home: Path, name: str) -> None:
    (home / name).write_text(f"machine my.server:8080 login user password {KEY}\n")
    env = {"WANDB_BASE_URL": "https://my.server:8080"}
    env |= {"NETRC": str(home / name)} if name == "elsewhere" else {}
    found = asked(**env)
    assert found is not None
    assert found["mode"] == "online"


def test_a_netrc_entry_of_another_server_is_none(asked: Asked, home: Path) -> None:
    (home / ".netrc").write_text(f"machine other.server login user password {KEY}\n")
    found = asked(WANDB_BASE_URL="https://my.server")
    assert found is not None
    assert found["mode"] == "offline"


def test_the_clients_settings_file_is_heard(asked: Asked, home: Path) -> None:
    (home / ".config" / "wandb").mkdir(parents=True)
    file = home / ".config" / "wandb" / "settings"
    file.write_text("[default]\nmode = offline\nproject = of the file\nentity = a team\n")
    found = asked(WANDB_API_KEY=KEY)
    assert found is not None
    assert (found["mode"], found["project"], found["entity"]) == (
        "offline",
        "of the file",
        "a team",
    )


def test_what_is_typed_beats_the_environment_which_beats_our_defaults(asked: Asked) -> None:
    names = ("project", "entity", "run_group", "run_tags", "run_name")
    ours = asked()
    assert ours is not None
    assert [ours[name] for name in names] == ["loraexp", None, "a-sweep", None, "a-run"]
    env = {"PROJECT": "p", "ENTITY": "e", "RUN_GROUP": "g", "TAGS": "s,t", "NAME": "n"}
    env = {f"WANDB_{name}": value for name, value in env.items()}
    wandb_setup._singleton = None  # as in another process: the client reads these once
    from_env = asked(**env)
    assert from_env is not None
    assert [from_env[name] for name in names] == ["p", "e", "g", ("s", "t"), "n"]
    typed = asked(Logger(name="wandb", project="P", entity="E", group="G"), **env)
    assert typed is not None
    assert [typed[name] for name in names] == ["P", "E", "G", ("s", "t"), "n"]


def test_files_go_where_the_environment_says_and_are_named_there(asked: Asked, home: Path) -> None:
    found = asked(WANDB_DIR=str(home / "my W&B"))
    assert found is not None
    assert found["root_dir"] == str(home / "my W&B")
    (home / "my W&B" / "wandb" / "offline-run-1").mkdir(parents=True)
    assert kept_offline([home / "a-run"]) == f"'{home}/my W&B'/wandb/offline-run-*"


def test_nothing_of_the_machine_is_sent_unless_the_environment_says_so(asked: Asked) -> None:
    hidden = {"console": "off", "disable_git": True, "host": "", "x_disable_meta": True}
    hidden |= {"save_code": False, "x_save_requirements": False}
    ours = asked()
    assert ours is not None
    assert {name: ours[name] for name in hidden} == hidden
    wandb_setup._singleton = None
    chosen = asked(WANDB_HOST="a-node", WANDB_CONSOLE="wrap", WANDB__DISABLE_META="false")
    assert chosen is not None
    assert (chosen["host"], chosen["console"], chosen["x_disable_meta"]) == (
        "a-node",
        "wrap",
        False,
    )


def test_texts_of_tables_do_not_tell_the_home_folder(home: Path) -> None:
    cells = [f"data.path={home}/x.csv: no such file", f"{home}stead"]
    table = shared_table(Table([Column("a", "a"), Column("b", "b")], [cells]))
    assert table.data == [["data.path=~/x.csv: no such file", f"{home}stead"]]


ERRORS = (CommError("no\nroute"), TimeoutError(), OSError("no space"), AuthenticationError("key"))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stage", ["init", "define_metric", "log", "finish"])
def test_what_fails_there_is_one_warning_and_the_curves_are_kept(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    stage: str,
    error: Exception,
) -> None:
    run = Run(stage, error)

    def init(**_: Any) -> Run:
        if stage == "init":
            raise error
        return run

    monkeypatch.setattr(wandb, "init", init)
    config = TrainConfig(logger=Logger(name="wandb"))
    with (
        caplog.at_level(logging.WARNING, "loraexp"),
        curve_loggers(config, home / "a-run", None) as loggers,
    ):
        for step in range(3):
            for logger in loggers:
                logger.log_metrics({"train_loss": 0.5}, step)
        loggers[0].save()
    (line,) = (entry.getMessage() for entry in caplog.records if entry.name == "loraexp")
    assert line.startswith("warning: Weights & Biases: ")
    assert "\n" not in line
    assert len((home / "a-run" / "metrics.csv").read_text().splitlines()) == 1 + 3


def test_what_cannot_be_published_does_not_fail_a_run_and_no_key_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setattr(wandb, "init", lambda **_: Run("log", ValueError(f"{KEY} is refused")))
    record = replace(TrainConfig(), name="no record")
    for action in (lambda one: publish([one], record, home), lambda one: one.log_metrics({})):  # type: ignore[arg-type]
        caplog.clear()
        with caplog.at_level(logging.WARNING, "loraexp"):
            action(WandbRun(Logger(name="wandb"), home / "a-run", None))
        (line,) = (entry.getMessage() for entry in caplog.records if entry.name == "loraexp")
        assert line.startswith("warning: Weights & Biases: ")
        assert KEY not in line
    assert line.endswith("... is refused; going on without it")


def test_a_setting_that_the_client_refuses_is_one_warning(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    assert asked(WANDB_MODE="sideways") is None
    (line,) = (entry.getMessage() for entry in caplog.records if entry.name == "loraexp")
    assert "sideways" in line
