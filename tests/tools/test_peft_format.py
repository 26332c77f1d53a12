"""An exported adapter does in real peft what it does here, merged there or not."""

import copy
import itertools
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import peft
import pytest
import torch
from each_method import each_method
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from loraexp.adapters.inject import adapter_tensors, inject, saved_tensors
from loraexp.adapters.methods import METHODS, as_method
from loraexp.api import run_folder
from loraexp.commands.export import ExportConfig
from loraexp.commands.export import run as export_command
from loraexp.config.schema import Adaptation, Head, Lora, Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_classifier
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier
from loraexp.runs.load import build_model
from loraexp.tools.peft.to_peft import WRITERS, save_to, to_peft
from loraexp.tools.write_run import write_run
from loraexp.training.run import train

# peft's own use of transformers
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
SIX = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
SUBSETS = [list(c) for n in range(1, 7) for c in itertools.combinations(SIX, n)]
EXPORTED = [name for name, method in METHODS.items() if method.peft in WRITERS]
TOLERANCE = 1e-12


def trained(model: Model, config: Adaptation) -> GPT2Classifier:
    """In float64, with an adapter that is far from its start."""
    network = inject(load_classifier(model, Head(), 2, seed=0).double(), config, seed=1).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.3 * noise
    return network.eval()


def in_peft(network: GPT2Classifier, method: str, base: Path, folder: Path) -> PeftModel:
    """What peft makes of the exported files, with their tensors in float64."""
    settings, tensors = to_peft(network, method, str(base))
    save_to(folder, settings, tensors)
    save_file({k: t.contiguous() for k, t in tensors.items()}, folder / "adapter_model.safetensors")
    plain: PreTrainedModel = AutoModelForSequenceClassification.from_pretrained(base).double()
    return PeftModel.from_pretrained(plain, folder, autocast_adapter_dtype=False).eval()


TOKENS = torch.randint(0, 256, (3, 9), generator=torch.Generator().manual_seed(5))


@torch.inference_mode()
def difference(network: GPT2Classifier, other: torch.nn.Module) -> float:
    logits: Tensor = other(TOKENS).logits
    return float((network(TOKENS) - logits).abs().max())


def in_memory(network: GPT2Classifier, method: str, plain: PreTrainedModel) -> PeftModel:
    """As in_peft, without files."""
    settings, tensors = to_peft(network, method, plain.name_or_path)
    other = peft.get_peft_model(
        copy.deepcopy(plain), peft.get_peft_config(settings), autocast_adapter_dtype=False
    )
    found = peft.set_peft_model_state_dict(other, tensors)
    assert not found.unexpected_keys
    return other.eval()


@pytest.mark.parametrize("method", each_method(EXPORTED))
def test_every_subset_of_targets_gives_pefts_logits_merged_or_not(
    base: tuple[Model, Path], method: str
) -> None:
    """63 of them, in a base of one block that stays in memory."""
    model = replace(base[0], n_layer=1)
    plain = transformers_of(model)
    for targets in SUBSETS:
        lora = Lora(rank=3, alpha=5.0, target_modules=targets)
        network = trained(model, as_method(Adaptation(lora=lora), method))
        theirs = in_memory(network, method, plain)
        assert difference(network, theirs) <= TOLERANCE, targets
        assert difference(network, theirs.merge_and_unload()) <= TOLERANCE, targets


def transformers_of(model: Model) -> PreTrainedModel:
    """Our random base as transformers' classifier, in float64."""
    with TemporaryDirectory() as folder:
        state = load_classifier(model, Head(), 2, seed=0).state_dict()
        save_classifier(state, model, from_bytes(), ("ham", "spam"), Path(folder))
        return AutoModelForSequenceClassification.from_pretrained(folder).double()


PATTERNS = Lora(
    rank=2,
    alpha=3.0,
    target_modules=["h.1.attn.(q|v)_proj", "fc1"],
    rank_pattern={"v_proj": 4},
    alpha_pattern={"v_proj": 7.0, "h.0.mlp.fc1": 11.0},
)
WITH_HEAD = Lora(rank=2, alpha=3.0, target_modules=["score", "q_proj"])


@pytest.mark.parametrize("lora", [PATTERNS, WITH_HEAD], ids=["patterns", "score"])
@pytest.mark.parametrize("method", each_method(EXPORTED))
def test_patterns_single_blocks_and_an_adapted_head_give_pefts_logits_from_files_merged_or_not(
    base: tuple[Model, Path], method: str, lora: Lora, tmp_path: Path
) -> None:
    model, folder = base
    network = trained(model, as_method(Adaptation(lora=lora), method))
    theirs = in_peft(network, method, folder, tmp_path)
    assert difference(network, theirs) <= TOLERANCE
    assert difference(network, theirs.merge_and_unload()) <= TOLERANCE


def test_an_adapter_of_the_head_alone_is_refused(base: tuple[Model, Path]) -> None:
    network = trained(base[0], Adaptation(lora=Lora(target_modules=["score"])))
    with pytest.raises(UserError, match="the head alone is adapted, which PEFT keeps whole"):
        to_peft(network, "lora", "here")


def test_another_alpha_in_pefts_settings_gives_other_logits(
    base: tuple[Model, Path], tmp_path: Path
) -> None:
    model, folder = base
    network = trained(model, Adaptation("lora"))
    in_peft(network, "lora", folder, tmp_path)
    settings, tensors = to_peft(network, "lora", str(folder))
    settings["alpha_pattern"] = {k: 1.01 * v for k, v in settings["alpha_pattern"].items()}
    save_to(tmp_path, settings, tensors)
    plain = AutoModelForSequenceClassification.from_pretrained(folder).double()
    theirs = PeftModel.from_pretrained(plain, tmp_path, autocast_adapter_dtype=False).eval()
    assert difference(network, theirs) > 1e-6


def test_a_run_is_exported_in_float32_for_its_base(small: TrainConfig, tmp_path: Path) -> None:
    train(small)
    export_command(ExportConfig(run=str(run_folder(small)), out=str(tmp_path / "peft")))
    tensors = load_file(tmp_path / "peft" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert len(tensors) == 2 * 2 * 2 + 1  # A and B of c_attn and c_proj in two blocks, the head
    with pytest.raises(UserError, match="is not empty; choose a new folder"):
        export_command(ExportConfig(run=str(run_folder(small)), out=str(tmp_path / "peft")))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in EXPORTED])
def test_what_peft_cannot_hold_is_refused_with_the_reason(
    small: TrainConfig, tmp_path: Path, method: str
) -> None:
    config = replace(small, method=method)
    network = build_model(config, ("ham", "spam")).network
    write_run(run_folder(config), config, ("ham", "spam"), saved_tensors(network), made_by="import")
    reason = "changes weights by matrices of no" if METHODS[method].branch else "trains tensors of"
    with pytest.raises(
        UserError, match=rf"^method={method} {reason} [^\n]*; python -m loraexp merge"
    ):
        export_command(ExportConfig(run=str(run_folder(config)), out=str(tmp_path / "o")))
    assert not (tmp_path / "o").exists()
