"""An export is whole: peft, transformers and our own import open it, from any folder."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from peft import AutoPeftModelForSequenceClassification
from safetensors.torch import load_file
from small import small_run, tiny_model
from transformers import AutoTokenizer
from verbs import plan

from loraexp.adapters.inject import saved_tensors
from loraexp.commands.export import ExportConfig
from loraexp.commands.export import run as export_command
from loraexp.commands.import_ import run as import_command
from loraexp.config.schema import Model, TrainConfig
from loraexp.errors import UserError
from loraexp.inference.predictor import Predictor
from loraexp.model.checkpoint import save_base
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import random_state
from loraexp.runs.load import build_model, load_run
from loraexp.tools.write_run import write_run

# peft's own use of transformers
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
TEXTS = ["free prize, call now", "see you at seven", "ok " * 40, "£1 😀"]
LABELS = ("bad", "good", "ugly")


def untrained(config: TrainConfig, folder: Path) -> Path:
    """A run whose adapter is far from its start, of three classes."""
    network = build_model(config, LABELS).network
    generator = torch.Generator().manual_seed(3)
    tensors = {
        name: tensor + 0.3 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in saved_tensors(network).items()
    }
    write_run(folder, config, LABELS, tensors, made_by="import")
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on random weights that reads 40 tokens, and its export."""
    folder = tmp_path_factory.mktemp("exported")
    config = small_run(folder, epochs=1, logger="none")
    config.data.max_length = 40
    run = untrained(config, folder / "run")
    export_command(ExportConfig(run=str(run), out=str(folder / "peft")))
    return run, folder / "peft"


@torch.inference_mode()
def logits(run: Path) -> torch.Tensor:
    """Ours, of each text alone."""
    made = load_run(run)
    rows = made.tokenizer.encode(TEXTS, made.max_length)
    return torch.cat([made.network.eval()(torch.tensor([row])) for row in rows])


@torch.inference_mode()
def theirs(model: Any, tokenizer: Any) -> torch.Tensor:
    """transformers' way: padded together."""
    batch = tokenizer(TEXTS, truncation=True, padding=True, return_tensors="pt")
    found: torch.Tensor = model.eval()(**batch).logits
    return found


def loaded(folder: Path) -> dict[str, Any]:
    """What the README's code makes, run in `folder`."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    before = Path.cwd()
    os.chdir(folder)
    try:
        exec(code, names)
    finally:
        os.chdir(before)
    return names


def test_autopeft_opens_it_from_another_folder_with_head_labels_and_tokenizer(
    exported: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = exported
    monkeypatch.chdir(tmp_path)
    model = AutoPeftModelForSequenceClassification.from_pretrained(folder)
    assert model.config.id2label == dict(enumerate(LABELS))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ours = logits(run)
    assert (theirs(model, tokenizer) - ours).abs().max() < 1e-5
    assert (theirs(model, tokenizer) - ours.flip(0)).abs().max() > 1e-3  # the control


def test_the_readmes_lines_open_it_wherever_it_was_moved(
    exported: tuple[Path, Path], tmp_path: Path
) -> None:
    run, folder = exported
    moved = shutil.copytree(folder, tmp_path / "mo'ved to")
    settings = json.loads((moved / "adapter_config.json").read_text())
    settings["base_model_name_or_path"] = str(tmp_path / "gone")  # as its first place would be
    (moved / "adapter_config.json").write_text(json.dumps(settings))
    names = loaded(moved)
    assert names["model"].config.id2label == dict(enumerate(LABELS))
    assert (theirs(names["model"], names["tokenizer"]) - logits(run)).abs().max() < 1e-5
    with pytest.raises(OSError, match="gone"):  # the control: what peft finds by itself
        AutoPeftModelForSequenceClassification.from_pretrained(moved)


def test_import_takes_it_as_it_is_with_its_base_and_labels_also_moved(
    exported: tuple[Path, Path], tmp_path: Path
) -> None:
    run, folder = exported
    moved = shutil.copytree(folder, tmp_path / "moved")
    (config,) = plan("import", [f"peft={moved}", f"out={tmp_path / 'back'}"]).jobs
    assert config.model.weights == str(moved / "base")
    import_command(config)
    first, back = Predictor(run), Predictor(tmp_path / "back")
    assert back.labels == LABELS
    assert back.model.config.model.name == "tiny"
    assert torch.allclose(first.probabilities(TEXTS), back.probabilities(TEXTS), rtol=0, atol=1e-6)
    assert (back.model.max_length, back.model.config.data.strip) == (40, True)


def importing(*written: str) -> None:
    import_command(plan("import", list(written)).jobs[0])


def test_what_is_typed_for_an_import_wins_and_another_base_is_refused(
    exported: tuple[Path, Path], tmp_path: Path
) -> None:
    _, folder = exported
    out = [f"peft={folder}", f"out={tmp_path / 'o'}"]
    with pytest.raises(UserError, match="labels must be 3 names"):
        importing(*out, "labels=[one,two]")
    other = tmp_path / "other"
    save_base(random_state(replace(tiny_model(), init_seed=1)), tiny_model(), 256, other)
    from_bytes().save(other)
    with pytest.raises(UserError, match=r"it was exported from another base \(sha256 \w{12}, here"):
        importing(*out, f"model.weights={other}")
    assert not (tmp_path / "o").exists()
    importing(*out, f"model.weights={folder}/base", "labels=[one,two,three]")  # the control
    assert Predictor(tmp_path / "o").labels == ("one", "two", "three")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": "ham"}, "labels is no list"),
        ({"model": {}}, "keys differ"),
        ({"more": 1}, "unexpected keyword"),
        ({"weights": "/etc"}, "its model lies elsewhere"),
        ({"tokenizer": "/etc"}, "its model lies elsewhere"),
        ({"n_layer": "many"}, "model is of other types"),
        ({"n_layer": 0}, "n_layer must be at least 1"),
    ],
)
def test_a_note_that_is_damaged_is_refused_in_one_line(
    exported: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    folder = shutil.copytree(exported[1], tmp_path / "peft")
    note = json.loads((folder / "loraexp.json").read_text())
    inside = {name: value for name, value in change.items() if name in note["model"]}
    note |= {"model": note["model"] | inside} if inside else change
    (folder / "loraexp.json").write_text(json.dumps(note))
    with pytest.raises(UserError, match=rf"^\S+loraexp.json is damaged: .*{words}"):
        importing(f"peft={folder}", f"out={tmp_path / 'o'}")


def test_no_file_of_an_export_but_pefts_own_says_where_it_was_made(
    exported: tuple[Path, Path],
) -> None:
    run, folder = exported
    naming = [
        file.name
        for file in folder.rglob("*")
        if file.is_file() and str(run.parent).encode() in file.read_bytes()
    ]
    assert naming == ["adapter_config.json"]  # peft resolves no path but a whole one


def test_an_embedded_base_lies_beside_in_float32(tmp_path: Path) -> None:
    (config,) = plan("train", ["lora.rank=1", "lora.target_modules=[q_proj]"]).jobs
    run = untrained(config, tmp_path / "run")
    export_command(ExportConfig(run=str(run), out=str(tmp_path / "peft")))
    tensors = load_file(tmp_path / "peft" / "base" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    (taken,) = plan("import", [f"peft={tmp_path / 'peft'}", "out=o"]).jobs
    assert (taken.model.name, taken.model.n_layer) == ("nano", 3)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A base that lies in the cache of the hub, on a machine without a network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("LORAEXP_DATA_DIR", raising=False)
    model = replace(
        tiny_model(), weights="hub", tokenizer="auto", repo="org/tiny", revision="1" * 40
    )
    repository = tmp_path / "hub" / "models--org--tiny"
    for folder in (repository / "refs", repository / "blobs"):
        folder.mkdir(parents=True)
    snapshot = repository / "snapshots" / model.revision
    save_base(random_state(model), model, 256, snapshot)
    from_bytes().save(snapshot)
    return model


def test_a_base_on_the_hub_is_named_with_its_revision_and_the_readme_knows_its_classes(
    published: Model, tmp_path: Path
) -> None:
    config = replace(small_run(tmp_path, epochs=1, logger="none"), model=published)
    run, folder = untrained(config, tmp_path / "run"), tmp_path / "peft"
    export_command(ExportConfig(run=str(run), out=str(folder)))
    assert not (folder / "base").exists()
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "org/tiny"
    assert settings["revision"] == published.revision
    names = loaded(folder)
    assert names["model"].config.id2label == dict(enumerate(LABELS))
    assert names["model"].config.pad_token_id == 256
    assert (theirs(names["model"], names["tokenizer"]) - logits(run)).abs().max() < 1e-5
    model = AutoPeftModelForSequenceClassification.from_pretrained(folder, num_labels=3)
    model.config.pad_token_id = 256
    assert (theirs(model, names["tokenizer"]) - logits(run)).abs().max() < 1e-5
    importing(f"peft={folder}", f"out={tmp_path / 'back'}")
    back = Predictor(tmp_path / "back")
    assert (back.model.config.model, back.labels) == (published, LABELS)
