"""A merged run is a checkpoint that transformers opens and that gives the same labels."""

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from each_method import each_method
from small import small_run, trained
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from loraexp.adapters.adapter_files import card_text, json_hash
from loraexp.adapters.inject import merge
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.commands.eval import EvalConfig
from loraexp.commands.eval import run as eval_command
from loraexp.commands.merge import MergeConfig
from loraexp.config.schema import Head, TrainConfig
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.inference.predictor import Predictor, Predictors
from loraexp.pretraining.bpe import train_bpe
from loraexp.records.record import read_record
from loraexp.runs.load import load_run
from loraexp.tools.merging import Certificate, compare, merge_run
from loraexp.tools.verification import verify


@pytest.fixture(scope="session")
def merged(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, Path]:
    """A run on a BPE of its own, and its checkpoint."""
    tmp_path = tmp_path_factory.mktemp("merged")
    small = small_run(tmp_path / "outputs", epochs=2, logger="none")
    texts = load_data(small.data).train.texts
    train_bpe(texts, 300, tmp_path / "bpe")
    model = replace(small.model, tokenizer=str(tmp_path / "bpe"), vocab_size=300)
    config = replace(small, model=model)
    trained(config)
    merge_run(**vars(MergeConfig(run=str(run_folder(config)), out=str(tmp_path / "merged"))))
    return config, tmp_path / "merged"


def test_transformers_opens_it_and_gives_the_same_chances(
    merged: tuple[TrainConfig, Path],
) -> None:
    config, folder = merged
    texts = load_data(config.data).test.texts
    ours = Predictor(run_folder(config)).probabilities(texts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=64)
    with torch.inference_mode():
        theirs = network(**batch).logits.softmax(-1)
    assert (ours - theirs).abs().max() < 1e-5
    with torch.inference_mode():  # the control: other texts give other probabilities
        assert (ours - theirs.flip(0)).abs().max() > 1e-3


def test_a_pipeline_gives_the_same_labels(merged: tuple[TrainConfig, Path]) -> None:
    config, folder = merged
    texts = load_data(config.data).test.texts
    classify = pipeline("text-classification", model=str(folder), device="cpu")
    theirs = [row["label"] for row in classify(texts, truncation=True, max_length=64)]
    ours = [label for _, label, _ in Predictor(run_folder(config)).stream([texts])]
    assert theirs == ours
    assert set(ours) <= {"ham", "spam"}


def test_predict_eval_and_verify_take_it_as_a_run_from_any_folder(
    merged: tuple[TrainConfig, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config, folder = merged
    texts = load_data(config.data).test.texts
    ours, again = Predictor(run_folder(config)), Predictor(folder)
    assert [label for _, label, _ in again.stream([texts])] == [
        label for _, label, _ in ours.stream([texts])
    ]
    off = (again.probabilities(texts) - ours.probabilities(texts)).abs().max()
    assert off < 1e-5
    assert (
        again.probabilities(texts) - ours.probabilities(texts).flip(0)
    ).abs().max() > 1e-3  # the control
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(elsewhere)
    capsys.readouterr()
    eval_command(EvalConfig(run=str(folder), format="json"))
    metrics = json.loads(capsys.readouterr().out)
    record = read_record(run_folder(config)).metrics["test"]
    assert metrics["accuracy"] == record["accuracy"]
    assert metrics["loss"] == pytest.approx(record["loss"], abs=1e-5)
    assert [check.field for check in verify(folder) if check.off] == []


def test_a_merged_folder_that_was_moved_is_the_same_run_also_for_the_next_verb(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(small)
    made = tmp_path / "merged"
    merge_run(**vars(MergeConfig(run=str(run_folder(small)), out=str(made))))
    naming = [f.name for f in made.rglob("*") if f.is_file() and str(tmp_path) in as_text(f)]
    assert naming == []
    texts = load_data(small.data).test.texts
    probabilities = Predictor(made).probabilities(texts)
    (tmp_path / "elsewhere").mkdir()
    moved = made.rename(tmp_path / "elsewhere" / "mo ved")
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder = Path("mo ved")
    assert torch.equal(Predictor(folder).probabilities(texts), probabilities)
    assert [check.field for check in verify(folder) if check.off] == []
    several = Predictors([folder])
    assert torch.equal(several.probabilities(several.names[0], texts), probabilities)
    merge_run(**vars(MergeConfig(run=str(folder), out="again")))
    shutil.rmtree(moved)
    assert torch.allclose(Predictor("again").probabilities(texts), probabilities)
    with pytest.raises(UserError, match="no adapter in"):  # the control: nothing is left there
        Predictor(folder)


def as_text(file: Path) -> str:
    return file.read_bytes().decode(errors="replace")


def test_a_merged_folder_of_before_names_its_place_and_is_read_there(
    small: TrainConfig, tmp_path: Path
) -> None:
    trained(small)
    made = tmp_path / "merged"
    merge_run(**vars(MergeConfig(run=str(run_folder(small)), out=str(made))))
    card = json.loads((made / "adapter" / "adapter.json").read_text())
    card["config"]["model"]["weights"] = str(made)
    card["digests"]["config"] = json_hash(card["config"])
    (made / "adapter" / "adapter.json").write_text(card_text(card))
    texts = ["free prize", "see you"]
    probabilities = Predictor(made).probabilities(texts)
    moved = made.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"model.weights=\S+merged: no model.safetensors there"):
        Predictor(moved)
    moved.rename(made)
    assert torch.equal(Predictor(made).probabilities(texts), probabilities)


def test_its_names_of_labels_and_its_padding_are_the_runs(
    merged: tuple[TrainConfig, Path],
) -> None:
    content = json.loads((merged[1] / "config.json").read_text())
    assert content["id2label"] == {"0": "ham", "1": "spam"}
    assert content["pad_token_id"] == 299


def test_it_is_a_base_for_the_next_run(merged: tuple[TrainConfig, Path]) -> None:
    config, folder = merged
    model = replace(config.model, weights=str(folder), tokenizer="auto")
    again = replace(config, model=model, method="head")
    trained(again)
    made = load_run(run_folder(again))
    before = load_run(run_folder(config))
    weights = merge(before.network).h[0].attn.q_proj.weight
    assert torch.equal(made.network.h[0].attn.q_proj.weight, weights)


@pytest.mark.parametrize("method", each_method())
def test_every_method_merges_within_float32(
    small: TrainConfig, tmp_path: Path, method: str
) -> None:
    config = as_method(small, method)
    trained(config)
    certificate = merge_run(
        **vars(MergeConfig(run=str(run_folder(config)), out=str(tmp_path / "out")))
    )
    assert certificate.texts == 24
    assert certificate.logit_change < 1e-5
    assert certificate.labels_changed == 0


def test_a_change_above_the_tolerance_is_refused_unless_forced(
    small: TrainConfig, tmp_path: Path
) -> None:
    trained(small)
    wanted = MergeConfig(
        run=str(run_folder(small)), out=str(tmp_path / "out"), dtype="bf16", tolerance=1e-9
    )
    with pytest.raises(UserError, match=r"more than tolerance=1e-09; nothing was written"):
        merge_run(**vars(wanted))
    assert not (tmp_path / "out").exists()
    certificate = merge_run(**vars(replace(wanted, force=True)))
    assert certificate.logit_change > 1e-9
    network = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert network.config.num_labels == 2


def test_logits_that_are_no_numbers_certify_nothing(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(small)
    broken = Certificate(texts=24, logit_change=math.nan, labels_changed=0)
    monkeypatch.setattr("loraexp.tools.merging.compare", lambda before, after: broken)
    with pytest.raises(UserError, match="changes a logit by nan"):
        merge_run(**vars(MergeConfig(run=str(run_folder(small)), out=str(tmp_path / "out"))))
    assert not (tmp_path / "out").exists()
    one = torch.tensor([[0.0, math.nan]])
    assert math.isnan(compare(one, one).logit_change)


def test_what_transformers_cannot_express_is_refused_with_the_key(
    small: TrainConfig, tmp_path: Path
) -> None:
    config = replace(small, head=Head(pooling="mean"))
    trained(config)
    with pytest.raises(UserError, match=r"cannot do head.pooling=mean \(only last_token\)"):
        merge_run(**vars(MergeConfig(run=str(run_folder(config)), out=str(tmp_path / "out"))))


def test_a_folder_that_holds_something_is_left_alone(small: TrainConfig, tmp_path: Path) -> None:
    trained(small)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty; choose a new folder"):
        merge_run(**vars(MergeConfig(run=str(run_folder(small)), out=str(tmp_path / "out"))))
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]
