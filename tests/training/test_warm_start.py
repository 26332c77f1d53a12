"""init_from starts a run from a finished one's adapter, says so, and refuses what does not fit."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small import trained

from loraexp.adapters.adapter_files import read_card
from loraexp.adapters.inject import saved_tensors
from loraexp.api import run_folder
from loraexp.config.schema import Data, Head, Lora, TrainConfig, Trainer
from loraexp.errors import UserError
from loraexp.runs.content import OtherContent
from loraexp.runs.load import build_model, load_run
from loraexp.runs.warm_start import check_source, started_from
from loraexp.training.run import train


@pytest.fixture
def source(small: TrainConfig) -> TrainConfig:
    trained(small)
    return small


def going_on(source: TrainConfig) -> TrainConfig:
    return replace(source, init_from=str(run_folder(source)), seed=source.seed + 1)


def test_it_starts_with_the_very_tensors_of_its_source(source: TrainConfig) -> None:
    config = going_on(source)
    model = build_model(config, ("ham", "spam"), empty=True)
    started = started_from(model)
    stored = load_file(run_folder(source) / "adapter" / "adapter_model.safetensors")
    own = saved_tensors(started.network)
    assert own.keys() == stored.keys()
    assert all(own[name].equal(stored[name]) for name in own)
    fresh = saved_tensors(build_model(config, ("ham", "spam")).network)
    assert not all(fresh[name].equal(stored[name]) for name in fresh)


def test_run_and_card_say_where_it_began_and_a_changed_source_is_another(
    source: TrainConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = going_on(source)
    assert run_folder(config).name != run_folder(replace(config, init_from=None)).name
    record = train(config)
    assert "it starts from the adapter of" in caplog.text
    assert "going on after epoch" not in caplog.text
    digest = read_card(run_folder(source) / "adapter")["adapter_sha256"]
    assert record.hashes["init_from"] == digest != record.hashes["adapter"]
    card = read_card(run_folder(config) / "adapter")
    assert card["init_from"] == {"run": run_folder(source).name, "adapter_sha256": digest}
    load_run(run_folder(config))
    losses = [train(source).metrics["train"]["loss"], record.metrics["train"]["loss"]]
    assert losses[1] < losses[0]  # it has learnt more
    assert train(config) == record  # shown again
    other = replace(source, seed=5)
    trained(other)
    run_folder(source).rename(tmp_path / "before")
    run_folder(other).rename(run_folder(source))
    with pytest.raises(OtherContent, match=r"sha256 of the adapter of init_from=.* then, is "):
        train(config)
    assert train(replace(config, rerun=True)).hashes["init_from"] != digest


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "dora"}, "another method: lora, here dora"),
        ({"lora": Lora(rank=3)}, "another lora.rank: 2, here 3"),
        ({"lora": Lora(rank=2, alpha=4.0)}, "another lora.alpha: 16.0, here 4.0"),
        ({"head": Head(bias=True)}, "another head.bias: False, here True"),
    ],
)
def test_what_does_not_fit_is_named(
    change: dict[str, object], why: str, source: TrainConfig
) -> None:
    with pytest.raises(UserError) as error:
        train(replace(going_on(source), **change))  # type: ignore[arg-type]
    assert str(error.value) == f"init_from={run_folder(source)} has {why}"


def test_other_labels_base_or_no_run_are_refused(source: TrainConfig, tmp_path: Path) -> None:
    config = going_on(source)
    with pytest.raises(UserError, match="another labels: ham, spam, here eggs, ham"):
        check_source(config, ("eggs", "ham"))
    with pytest.raises(UserError, match=r"another base \(sha256\): "):
        train(replace(config, model=replace(config.model, init_seed=1)))
    with pytest.raises(UserError, match="no adapter in"):
        train(replace(config, init_from=str(tmp_path)))


def test_more_epochs_data_dropout_and_rates_are_free(source: TrainConfig) -> None:
    config = replace(
        going_on(source),
        trainer=Trainer(max_epochs=9),
        data=Data(limit=9, max_length=7),
        lora=replace(source.lora, dropout=0.1),
    )
    check_source(config, ("ham", "spam"))


def test_a_method_with_a_schedule_of_its_own_is_refused(source: TrainConfig) -> None:
    own = replace(source, method="adalora")
    trained(own)
    with pytest.raises(UserError, match="method=adalora changes its tensors by a schedule"):
        train(going_on(own))
