"""A run is shown, gone on with and measured for the data and base it was trained on, or refused."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loraexp.adapters.adapter_files import read_card
from loraexp.api import run_folder
from loraexp.commands.merge import MergeConfig
from loraexp.config.schema import Data, Head, Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_base
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier
from loraexp.records.record import read_record
from loraexp.runs.content import OtherContent
from loraexp.sweeps.jobs import check_jobs
from loraexp.tools.merging import merge_run
from loraexp.tools.rank_cuts import rank_curve
from loraexp.training.measure import measure_again
from loraexp.training.run import score, train


def texts(path: Path, words: str) -> str:
    rows = [f"{words} {i},{'spam' if i % 2 else 'ham'}" for i in range(60)]
    path.write_text("\n".join(["text,label", *rows, ""]))
    return str(path)


def base(folder: Path, model: Model, seed: int) -> str:
    """A base in Hugging Face format, with its tokenizer."""
    network = load_classifier(replace(model, init_seed=seed), Head(), 2, seed=0)
    state = {k: t for k, t in network.state_dict().items() if not k.startswith("score")}
    save_base(state, model, 256, folder)
    from_bytes().save(folder)
    return str(folder)


@pytest.fixture
def own(small: TrainConfig, tmp_path: Path) -> TrainConfig:
    """A run on texts and on a base of one's own."""
    trainer = replace(small.trainer, max_epochs=1)
    weights = base(tmp_path / "base", small.model, 1)
    return replace(
        small,
        data=Data(name="csv", path=texts(tmp_path / "own.csv", "first")),
        model=replace(small.model, weights=weights, tokenizer="bytes"),
        trainer=trainer,
        logger=replace(small.logger, name="none"),
    )


def other_texts(config: TrainConfig) -> None:
    assert config.data.path is not None
    texts(Path(config.data.path), "second")


def other_base(config: TrainConfig) -> None:
    base(Path(config.model.weights), replace(config.model, weights="random"), 2)


def same_again(config: TrainConfig) -> None:
    """Written anew, with the same in it."""
    assert config.data.path is not None
    texts(Path(config.data.path), "first")
    base(Path(config.model.weights), replace(config.model, weights="random"), 1)


CHANGES = pytest.mark.parametrize("change", [other_texts, other_base], ids=lambda f: f.__name__)


@CHANGES
@pytest.mark.parametrize("work", [train, score], ids=["train", "score"])
def test_other_content_is_refused_with_both_hashes(
    own: TrainConfig, change: Callable[[TrainConfig], None], work: Callable[[TrainConfig], object]
) -> None:
    first = work(own)
    same_again(own)
    assert work(own) == first
    change(own)
    with pytest.raises(OtherContent, match=r"(?s)sha256 .* was .{12} then, is .{12} now.*rerun=tr"):
        work(own)
    same_again(own)
    assert work(own) == first


@CHANGES
def test_rerun_trains_anew_and_keeps_the_old_run(
    own: TrainConfig, change: Callable[[TrainConfig], None]
) -> None:
    first = train(own)
    again = replace(own, rerun=True)
    assert train(again) == first  # nothing has changed: nothing to train
    change(own)
    second = train(again)
    assert second.hashes != first.hashes
    assert train(again) == train(own) == second
    (kept,) = (Path(own.output_dir) / "replaced").iterdir()
    assert read_record(kept) == first
    assert read_card(kept / "adapter")["adapter_sha256"] == first.hashes["adapter"]


@CHANGES
def test_a_sweep_with_such_a_run_does_not_begin(
    own: TrainConfig, change: Callable[[TrainConfig], None], tmp_path: Path
) -> None:
    train(own)
    configs = [replace(own, seed=seed) for seed in (1, 0)]
    check_jobs(configs)
    change(own)
    with pytest.raises(OtherContent):
        check_jobs(configs)
    check_jobs([replace(c, rerun=True) for c in configs])


def test_a_relative_path_from_another_folder_is_other_data(
    own: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(own, data=Data(name="csv", path="own.csv"))
    monkeypatch.chdir(tmp_path)
    train(config)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    texts(Path("own.csv"), "second")
    with pytest.raises(OtherContent):
        train(config)


def test_data_that_are_gone_are_told_and_the_run_is_shown(
    own: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(own)
    assert own.data.path is not None
    Path(own.data.path).unlink()
    assert train(own) == first
    assert "is not compared with its split" in caplog.text


def test_what_is_measured_again_is_measured_on_the_runs_own_texts(
    own: TrainConfig, tmp_path: Path
) -> None:
    record, run = train(own), run_folder(own)
    assert measure_again(run, "test") == record.metrics["test"]
    other_texts(own)
    merging = MergeConfig(run=str(run), out=str(tmp_path / "merged"))
    for work in (
        lambda: measure_again(run, "test"),
        lambda: rank_curve(run),
        lambda: merge_run(**vars(merging)),
    ):
        with pytest.raises(UserError, match="other texts than it was trained on"):
            work()
    assert not (tmp_path / "merged").exists()
    other = measure_again(run, "test", replace(own.data))
    assert other["n"] == record.metrics["test"]["n"]


def test_a_tokenizer_that_changed_is_other_content(own: TrainConfig, tmp_path: Path) -> None:
    folder = tmp_path / "tokenizer"
    from_bytes().save(folder)
    config = replace(own, model=replace(own.model, tokenizer=str(folder)))
    first = train(config)
    vocab = (folder / "vocab.json").read_text()
    swapped = vocab.replace('"a"', '"?"', 1).replace('"b"', '"a"', 1).replace('"?"', '"b"', 1)
    (folder / "vocab.json").write_text(swapped)
    with pytest.raises(OtherContent, match=r"sha256 of model\.tokenizer="):
        train(config)
    (folder / "vocab.json").write_text(vocab)
    os.utime(folder / "vocab.json", ns=(1, 1))
    assert train(config) == first
