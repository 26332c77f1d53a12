"""An adapter of real peft's does here what it does there; what cannot is refused by name."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel
from pefts import theirs
from small import trained
from transformers import AutoModelForSequenceClassification

from loraexp.adapters.inject import inject, load_tensors, saved_tensors
from loraexp.api import run_folder
from loraexp.commands.export import ExportConfig
from loraexp.commands.export import run as export_command
from loraexp.commands.import_ import ImportConfig
from loraexp.commands.import_ import run as import_command
from loraexp.config.schema import Adaptation, Head, Model, TrainConfig
from loraexp.inference.predictor import Predictor
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.tools.peft.from_peft import from_peft, read
from loraexp.tools.verification import verify

# peft's own use of transformers
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
TOKENS = torch.randint(0, 256, (3, 9), generator=torch.Generator().manual_seed(5))
CONFIGS: dict[str, dict[str, Any]] = {
    "c_attn": {"target_modules": ["c_attn"], "r": 3, "lora_alpha": 5},
    "all": {"target_modules": ["c_attn", "c_proj", "c_fc"], "r": 2, "lora_alpha": 7},
    "rslora": {"target_modules": ["c_attn", "c_fc"], "r": 3, "use_rslora": True},
    "dora": {"target_modules": ["c_attn", "mlp.c_proj"], "r": 2, "use_dora": True},
    "patterns": {
        "target_modules": ["c_attn", "c_fc"],
        "r": 2,
        "rank_pattern": {r"h\.1\.attn\.c_attn": 4},
        "alpha_pattern": {"c_fc": 9},
    },
    "one block": {"target_modules": ["c_attn"], "layers_to_transform": [1]},
}


def ours(model: Model, folder: Path) -> GPT2Classifier:
    """What is read from a folder, in float64 from end to end."""
    settings, tensors = read(folder)
    found = from_peft(settings, tensors, model.n_layer, "here")
    network = load_classifier(model, Head(), found.classes, seed=9).double()
    inject(network, Adaptation(found.method, lora=found.lora), seed=9).double()
    load_tensors(saved_tensors(network), found.tensors)
    return network.eval()


@torch.inference_mode()
def difference(network: GPT2Classifier, other: PeftModel) -> float:
    return float((network(TOKENS) - other(TOKENS).logits).abs().max())


@pytest.mark.parametrize("settings", CONFIGS.values(), ids=[*CONFIGS])
def test_logits_are_pefts(
    base: tuple[Model, Path], settings: dict[str, Any], tmp_path: Path
) -> None:
    model, folder = base
    other = theirs(folder, **settings)
    other.save_pretrained(tmp_path)
    network = ours(model, tmp_path)
    assert difference(network, other) <= 1e-12
    wrong = json.loads((tmp_path / "adapter_config.json").read_text())
    wrong["lora_alpha"] = 1.01 * wrong["lora_alpha"]
    wrong["alpha_pattern"] = {}
    (tmp_path / "adapter_config.json").write_text(json.dumps(wrong))
    assert difference(ours(model, tmp_path), other) > 1e-6  # the control


def test_what_was_exported_comes_back_as_it_was(small: TrainConfig, tmp_path: Path) -> None:
    """Only q_proj and fc1 are targets, and only they come back, at their own rank."""
    config = replace(
        small, lora=replace(small.lora, target_modules=["q_proj", "fc1"], rank_pattern={"fc1": 3})
    )
    trained(config)
    export_command(ExportConfig(run=str(run_folder(config)), out=str(tmp_path / "peft")))
    import_command(
        ImportConfig(
            peft=str(tmp_path / "peft"),
            out=str(tmp_path / "back"),
            labels=["ham", "spam"],
            model=small.model,
        ),
    )
    first, back = Predictor(run_folder(config)), Predictor(tmp_path / "back")
    assert back.labels == first.labels
    assert back.model.config.lora.target_modules == ["q_proj", "fc1"]
    assert (back.model.config.lora.rank, back.model.config.lora.rank_pattern["h.0.mlp.fc1"]) == (
        2,
        3,
    )
    texts = ["free prize, call now", "see you at seven"]
    assert torch.allclose(first.probabilities(texts), back.probabilities(texts), rtol=0, atol=1e-6)
    checks = [*verify(tmp_path / "back")]
    assert not any(check.off for check in checks)
    assert {check.skipped for check in checks if check.skipped} == {
        "imported: trained elsewhere",
        "there is no record to compare it with",
    }


def test_a_fresh_adapter_is_no_adapter_at_all_but_has_its_targets(
    base: tuple[Model, Path], tmp_path: Path
) -> None:
    model, folder = base
    plain = AutoModelForSequenceClassification.from_pretrained(folder)
    config = LoraConfig(task_type="SEQ_CLS", fan_in_fan_out=True, target_modules=["c_attn"])
    peft.get_peft_model(plain, config).save_pretrained(tmp_path)
    settings, tensors = read(tmp_path)
    found = from_peft(settings, tensors, model.n_layer, "here")
    assert found.lora.target_modules == ["q_proj", "k_proj", "v_proj"]
    assert found.lora.rank == 8
