"""Pretraining: it learns, it says what transformers would say, and it goes on where it stopped."""

import json
import math
import random
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Timer
from transformers import AutoModelForCausalLM, GPT2TokenizerFast
from verbs import plan

from loraexp.commands.pretrain import run as pretrain_command
from loraexp.config.pretraining import Corpus, LanguageOptim, Passes, PretrainConfig
from loraexp.config.schema import Data, Logger, Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.tokenizer import from_folder
from loraexp.pretraining.bpe import train_bpe
from loraexp.pretraining.corpus import Blocks, corpus_files, documents, stream
from loraexp.pretraining.new_base import pretrain
from loraexp.runs.load import build_model

WORDS = [
    "free",
    "entry",
    "text",
    "win",
    "prize",
    "tonight",
    "call",
    "me",
    "home",
    "soon",
    "now",
    "ok",
]


@pytest.fixture
def config(tmp_path: Path) -> PretrainConfig:
    """Sentences in which each word has only two that follow it: a base can learn them at once."""
    draw = random.Random(0)
    lines = []
    for _ in range(300):
        place, line = draw.randrange(len(WORDS)), []
        for _ in range(9):
            line.append(WORDS[place])
            place = (place * 5 + draw.choice((1, 3))) % len(WORDS)
        lines.append(" ".join(line))
    (tmp_path / "text.txt").write_text("\n\n".join(lines))
    return PretrainConfig(
        out=str(tmp_path / "base"),
        model=Model(
            name="tiny",
            weights="random",
            tokenizer="train",
            n_layer=1,
            n_head=2,
            d_model=16,
            context=16,
            vocab_size=280,
        ),
        data=Corpus(text=[str(tmp_path / "text.txt")], block=16, batch_size=8, held_out=0.1),
        optim=LanguageOptim(lr=0.02, schedule="cosine", weight_decay=0.0),
        trainer=Passes(passes=3, checks=4, precision="fp32", accelerator="cpu"),
        logger=Logger(name="csv"),
    )


def held_out(config: PretrainConfig) -> tuple[Blocks, torch.Tensor]:
    tokenizer = from_folder(Path(config.out))
    texts = documents(corpus_files(config.data.text))
    tokens = stream(texts, lambda t: tokenizer.encode(t, 1 << 62), tokenizer.pad)
    blocks = Blocks.of(tokens, config.data, config.seed)
    return blocks, blocks.batch(blocks.held_out)


def unigram_loss(config: PretrainConfig) -> float:
    """Nats a held-out token when only the frequencies of the learnt ones are known."""
    blocks, rows = held_out(config)
    counts = np.bincount(blocks.batch(blocks.learnt)[:, 1:].flatten(), minlength=280) + 1e-3
    return float(-np.log(counts / counts.sum())[rows[:, 1:].flatten()].mean())


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_base_learns_more_than_how_often_a_token_comes(
    config: PretrainConfig, optimizer: str
) -> None:
    report = pretrain(replace(config, optim=replace(config.optim, name=optimizer)))
    assert report["held_out_loss"] < unigram_loss(config) - 0.5
    assert report["perplexity"] == pytest.approx(math.exp(report["held_out_loss"]))


def test_without_training_it_has_not_learnt_that(config: PretrainConfig) -> None:
    idle = replace(config, optim=replace(config.optim, lr=1e-9))
    assert pretrain(idle)["held_out_loss"] > unigram_loss(config)


def test_the_folder_gives_the_reported_perplexity_in_transformers(config: PretrainConfig) -> None:
    report = pretrain(config)
    _, rows = held_out(config)
    theirs = AutoModelForCausalLM.from_pretrained(config.out, dtype=torch.float32).eval()
    logits = theirs(rows[:, :-1]).logits
    loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).item()
    assert report["held_out_loss"] == pytest.approx(loss, abs=0.01)  # it is stored in bf16
    assert report["held_out_loss"] != pytest.approx(unigram_loss(config), abs=0.1)


def test_bits_a_byte_are_of_the_bytes_that_the_tokens_stand_for(config: PretrainConfig) -> None:
    report = pretrain(config)
    _, rows = held_out(config)
    theirs = GPT2TokenizerFast(f"{config.out}/vocab.json", f"{config.out}/merges.txt")
    size = sum(
        len(theirs.decode(row, skip_special_tokens=True).encode()) for row in rows[:, 1:].tolist()
    )
    nats = report["held_out_loss"] * rows[:, 1:].numel()
    assert report["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-6)


class PowerCut(Exception):
    """What ends a training between two of its steps."""


def cut_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(timer: Timer, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == steps:
            raise PowerCut

    monkeypatch.setattr(Timer, "on_train_batch_end", cut)


def files(config: PretrainConfig) -> dict[str, bytes]:
    names = ("model.safetensors", "config.json", "vocab.json", "merges.txt")
    return {name: (Path(config.out) / name).read_bytes() for name in names}


@pytest.mark.parametrize("steps", [1, 20, 47])
def test_what_was_cut_short_ends_as_if_it_had_not_been(
    config: PretrainConfig, steps: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(config, out=str(tmp_path / "whole"))
    report = pretrain(whole)
    assert report["steps"] > steps  # of which a quarter lies between two checkpoints
    with monkeypatch.context() as patch:
        cut_after(steps, patch)
        with pytest.raises(PowerCut):
            pretrain(config)
    assert not (Path(config.out) / "pretraining.json").exists()
    assert pretrain(config)["held_out_loss"] == report["held_out_loss"]
    assert files(config) == files(whole)


def test_another_seed_gives_another_base(config: PretrainConfig, tmp_path: Path) -> None:
    pretrain(config)
    other = replace(config, seed=1, out=str(tmp_path / "other"))
    pretrain(other)
    assert files(other)["model.safetensors"] != files(config)["model.safetensors"]


def test_a_finished_base_is_shown_and_not_trained_again(config: PretrainConfig) -> None:
    report = pretrain(config)
    before = {f: f.stat().st_mtime_ns for f in Path(config.out).rglob("*") if f.suffix != ".lock"}
    assert pretrain(config) == json.loads(json.dumps(report))
    assert {f: f.stat().st_mtime_ns for f in before} == before


def test_a_folder_with_another_base_is_left_alone(config: PretrainConfig, tmp_path: Path) -> None:
    pretrain(config)
    kept = files(config)
    with pytest.raises(UserError, match="holds a pretraining with other settings"):
        pretrain(replace(config, seed=7))
    assert files(config) == kept


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocab.json", "checkpoints"])
def test_a_strangers_folder_is_left_alone(
    name: str, config: PretrainConfig, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / name).write_bytes(b"someone's")
    with pytest.raises(UserError, match=f"holds {name}, not made here"):
        pretrain(replace(config, out=str(foreign)))
    assert (foreign / name).read_bytes() == b"someone's"


def other_text(config: PretrainConfig) -> None:
    file = Path(config.data.text[0])
    file.write_text(file.read_text().replace("prize", "price"))


OTHER = r"other content of {} \(sha256 \w{{12}} then, \w{{12}} now\); choose another out="


@pytest.mark.parametrize("cut", [True, False], ids=["cut short", "finished"])
def test_a_folder_of_other_text_is_refused_with_both_hashes(
    config: PretrainConfig, cut: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        if cut:
            cut_after(20, patch)
            with pytest.raises(PowerCut):
                pretrain(config)
        else:
            pretrain(config)
    text = Path(config.data.text[0]).read_text()
    other_text(config)
    with pytest.raises(UserError, match=OTHER.format("data.text")):
        pretrain(config)
    Path(config.data.text[0]).write_text(text)
    pretrain(config)  # the control


def test_other_starting_weights_and_another_tokenizer_are_refused(
    config: PretrainConfig, tmp_path: Path
) -> None:
    pretrain(replace(config, out=str(tmp_path / "first")))
    model = replace(config.model, weights=str(tmp_path / "first"), tokenizer="auto")
    further = replace(config, model=model)
    pretrain(further)
    file = tmp_path / "first" / "model.safetensors"
    content = bytearray(file.read_bytes())
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=OTHER.format("model.weights")):
        pretrain(further)
    file.write_bytes(content)
    merges = tmp_path / "first" / "merges.txt"
    vocab = tmp_path / "first" / "vocab.json"
    before = vocab.read_text(), merges.read_text()
    train_bpe(["a text of another kind, and more of it"] * 9, 280, tmp_path / "first")
    with pytest.raises(UserError, match=OTHER.format("model.tokenizer")):
        pretrain(further)
    vocab.write_text(before[0])
    merges.write_text(before[1])
    pretrain(further)  # the control


def test_a_folder_of_before_goes_on_and_says_that_it_cannot_be_compared(
    config: PretrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    report = pretrain(config)
    file = Path(config.out) / "pretrain.yaml"
    file.write_text(file.read_text().partition("sha256:\n")[0])
    other_text(config)
    with caplog.at_level("WARNING"):
        assert pretrain(config)["held_out_loss"] == report["held_out_loss"]
    assert "cannot be compared" in caplog.text


def test_a_finished_base_is_shown_also_where_its_text_is_gone(
    config: PretrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    report = pretrain(config)
    Path(config.data.text[0]).unlink()
    with caplog.at_level("WARNING"):
        assert pretrain(config)["held_out_loss"] == report["held_out_loss"]
    assert "cannot be compared: data.text: " in caplog.text
    (Path(config.out) / "pretraining.json").unlink()
    with pytest.raises(UserError, match="is no text file"):  # the control: it must be read
        pretrain(config)


def test_what_was_cut_short_goes_on_where_its_folder_was_moved(
    config: PretrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = pretrain(replace(config, out=str(tmp_path / "whole")))
    with monkeypatch.context() as patch:
        cut_after(20, patch)
        with pytest.raises(PowerCut):
            pretrain(config)
    moved = Path(config.out).rename(tmp_path / "moved")
    assert str(tmp_path / "base") not in (moved / "pretrain.yaml").read_text()
    assert pretrain(replace(config, out=str(moved)))["held_out_loss"] == report["held_out_loss"]
    assert not Path(config.out).exists()


def test_the_command_it_prints_trains_an_adapter_on_it(
    config: PretrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(config.out).parent / "my (own) base, v1"
    monkeypatch.chdir(folder.parent)
    pretrain_command(replace(config, out=folder.name))
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "python" in line]
    python, _, module, verb, *typed = shlex.split(line.partition("use it: ")[2])
    assert (python, module, verb) == ("python", "loraexp", "train")
    (job,) = plan(verb, typed).jobs
    made = build_model(job, ("ham", "spam"))
    stored = AutoModelForCausalLM.from_pretrained(folder).transformer.wte.weight
    assert torch.equal(made.network.wte.weight.float(), stored.float())
    assert (job.model.name, job.model.n_layer) == ("my-own-base-v1", 1)
    with pytest.raises(UserError, match=r"model.n_layer is 3"):
        plan(verb, [*typed, "model=nano"])


def test_an_adapter_can_be_trained_on_it(config: PretrainConfig) -> None:
    pretrain(config)
    model = replace(config.model, weights=config.out, tokenizer="auto")
    made = build_model(TrainConfig(model=model, data=Data(max_length=16)), ("ham", "spam"))
    stored = AutoModelForCausalLM.from_pretrained(config.out).transformer.wte.weight
    assert torch.equal(made.network.wte.weight.float(), stored.float())


@pytest.mark.parametrize("lr", [1e30, 1e5])
def test_a_base_whose_loss_is_not_finite_is_not_kept(lr: float, config: PretrainConfig) -> None:
    config.optim.lr, config.optim.warmup = lr, 0.0
    with pytest.raises(
        UserError,
        match=r"^the loss of the held-out blocks is NaN or as good as inf"
        r"inite after step \d+; try a lower optim\.lr \(it is ",
    ):
        pretrain(config, None)
    assert not [*Path(config.out).glob("*.safetensors")]
