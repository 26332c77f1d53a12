"""reproduce: what can be run is, once; what cannot says why; the ledger holds records, no texts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

import loraexp.commands.reproduce as command
from loraexp.commands.reproduce import ReproduceConfig
from loraexp.config.schema import Data, Logger, Model, TrainConfig
from loraexp.errors import UserError


@pytest.fixture(autouse=True)
def only_random_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes of a tiny model in place of GPT-2; those that need the hub's weights still do."""
    tiny = Model(name="tiny", weights="random", tokenizer="bytes", n_layer=2, n_head=2)
    tiny.d_model, tiny.context, tiny.vocab_size = 16, 64, 257

    def experiment(name: str, config: ReproduceConfig) -> TrainConfig:
        weights = "random" if name == "row10" else "hub"
        made = TrainConfig(model=replace(tiny, weights=weights, repo="nobody/nothing"))
        made.output_dir, made.data, made.logger = config.output_dir, Data(limit=24), Logger("none")
        made.trainer.max_epochs = 1
        return made

    monkeypatch.setattr(command, "experiment", experiment)


def test_it_runs_what_it_can_and_says_why_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ReproduceConfig(
        run=True,
        seeds=[1, 2],
        ledger=str(tmp_path / "ledger"),
        output_dir=str(tmp_path / "outputs"),
    )
    command.run(given)
    out = capsys.readouterr().out
    assert "Not run, tiny's weights are not here: row01, row02" in out
    files = sorted((tmp_path / "ledger").iterdir())
    assert [file.name for file in files] == ["row10-seed1.json", "row10-seed2.json"]
    for file in files:
        record = json.loads(file.read_text())
        assert record["mistakes"] == []
        assert str(tmp_path) not in file.read_text()
    before = [file.stat().st_mtime_ns for file in files]
    command.run(given)
    assert [file.stat().st_mtime_ns for file in files] == before
    assert capsys.readouterr().out == out


def test_without_run_nothing_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(ReproduceConfig(ledger=str(tmp_path), output_dir=str(tmp_path / "o")))
    assert "Not run, run=true runs it: row10." in capsys.readouterr().out
    assert not [*tmp_path.iterdir()]


def test_without_run_the_network_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*_: object, **__: object) -> None:
        raise AssertionError("the network was touched")

    def experiment(name: str, config: ReproduceConfig) -> TrainConfig:
        data = Data(name="sms_spam", split="book")
        tokenizer = "auto" if name == "row10" else "bytes"
        model = Model(weights="random", repo="nobody/nothing", tokenizer=tokenizer)
        return TrainConfig(model=model, data=data)

    monkeypatch.setattr(command, "experiment", experiment)
    monkeypatch.setattr("loraexp.data.sources.download_sms_spam", call)
    monkeypatch.setattr("loraexp.data.sources.downloads", lambda: tmp_path)
    monkeypatch.setattr("loraexp.model.locate.hub_file", call)
    monkeypatch.delenv("LORAEXP_DATA_DIR", raising=False)
    command.run(ReproduceConfig(ledger=str(tmp_path)))
    out = capsys.readouterr().out
    assert "Not run, gpt2's tokenizer is not here: row10." in out
    assert "the SMS Spam Collection is not here: row01" in out
    assert f"Records: {tmp_path}." in out


def test_own_records_come_before_those_of_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "conf_dir", lambda: tmp_path / "checkout" / "conf")
    committed = tmp_path / "checkout" / "tests" / "benchmarks" / "results" / "ledger"
    assert command.ledger_folder(ReproduceConfig()) == Path("outputs/ledger")
    committed.mkdir(parents=True)
    assert command.ledger_folder(ReproduceConfig()) == committed
    assert command.ledger_folder(ReproduceConfig(run=True)) == Path("outputs/ledger")
    Path("outputs/ledger").mkdir(parents=True)
    assert command.ledger_folder(ReproduceConfig()) == Path("outputs/ledger")


def test_an_unknown_row_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rows"):
        command.run(ReproduceConfig(rows=["row99"], ledger=str(tmp_path)))
