"""An adapter of real peft's does here what it does there; what cannot is refused by name."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from loraexp.adapters.inject import inject, load_tensors, saved_tensors
from loraexp.commands.export import run as export_command
from loraexp.commands.import_ import run as import_command
from loraexp.config import Adaptation, Head, Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.checkpoint import save_classifier
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier
from loraexp.schemas import ExportConfig, ImportConfig
from loraexp.training.measure import Predictor
from loraexp.training.naming import run_folder
from loraexp.training.peft_checks import check_base
from loraexp.training.peft_import import from_peft, read
from loraexp.training.run import train
from loraexp.training.verify import verify

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


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    model = Model("tiny", "random", "bytes", n_layer=2, n_head=2, d_model=8, context=16)
    model.vocab_size = 257
    folder = tmp_path_factory.mktemp("base")
    network = load_classifier(model, Head(), 2, seed=0)
    save_classifier(network.state_dict(), model, from_bytes(), ("ham", "spam"), folder)
    return model, folder


def theirs(base: Path, **settings: Any) -> PeftModel:
    """peft's model in float64, every tensor of its adapter random."""
    plain = AutoModelForSequenceClassification.from_pretrained(base)
    config = LoraConfig(task_type="SEQ_CLS", fan_in_fan_out=True, **settings)
    model = peft.get_peft_model(plain, config).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "ranknum" not in name:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.3 * noise
    return model


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
    train(config)
    export_command(ExportConfig(run=str(run_folder(config)), out=str(tmp_path / "peft")), None)
    import_command(
        ImportConfig(
            peft=str(tmp_path / "peft"),
            out=str(tmp_path / "back"),
            labels=["ham", "spam"],
            model=small.model,
        ),
        None,
    )
    first, back = Predictor(run_folder(config)), Predictor(tmp_path / "back")
    assert back.labels == first.labels
    assert back.config.lora.target_modules == ["q_proj", "fc1"]
    assert (back.config.lora.rank, back.config.lora.rank_pattern["h.0.mlp.fc1"]) == (2, 3)
    texts = ["free prize, call now", "see you at seven"]
    assert torch.allclose(first.chances(texts), back.chances(texts), rtol=0, atol=1e-6)
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


def refused(base: Path, folder: Path, settings: Mapping[str, Any], words: str) -> None:
    theirs(base, target_modules=["c_attn"]).save_pretrained(folder)
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    with pytest.raises(UserError, match=words):
        from_peft(*read(folder), 2, "here")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3 is not LORA"),
        ({"init_lora_weights": "pissa_niter_4"}, "pissa_niter_4 changes the base"),
        ({"init_lora_weights": "olora"}, "olora changes the base"),
        ({"bias": "all"}, "bias=all trains biases"),
        ({"modules_to_save": ["score", "wte"]}, "only the head"),
        ({"lora_bias": True}, "lora_bias=True has no counterpart"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"a_setting_of_tomorrow": 1}, "a_setting_of_tomorrow=1 has no counterpart"),
        ({"r": 3}, "has not the rank 3 of its settings"),
        ({"r": "many"}, "rank or alpha of h.0.attn.c_attn"),
    ],
)
def test_settings_without_a_counterpart_are_refused_by_name(
    base: tuple[Model, Path], tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    refused(base[1], tmp_path, settings, words)


def test_tensors_without_a_counterpart_and_no_head_are_refused(
    base: tuple[Model, Path], tmp_path: Path
) -> None:
    theirs(base[1], target_modules=["c_attn"]).save_pretrained(tmp_path)
    file = tmp_path / "adapter_model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "base_model.model.transformer.wte.weight": torch.ones(1)}, file)
    with pytest.raises(UserError, match=r"wte\.weight has no counterpart"):
        from_peft(*read(tmp_path), 2, "here")
    save_file({k: t for k, t in tensors.items() if "score" not in k}, file)
    with pytest.raises(UserError, match="there is no head"):
        from_peft(*read(tmp_path), 2, "here")


BROKEN: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    # settings, what is done to the tensors of one layer, words
    "1-d": ({}, {"lora_B": lambda t: t[:, 0]}, "lora_B of h.0.attn.c_attn has 1 axes"),
    "pattern": ({"rank_pattern": ["c_attn"]}, {}, "rank or alpha of h.0.attn.c_attn"),
    "regex": ({"alpha_pattern": {"(": 1}}, {}, "rank or alpha of h.0.attn.c_attn"),
    "half a rank": ({"r": 8.5}, {}, "a rank of 8.5"),
    **{
        f"alpha {alpha}": ({"lora_alpha": alpha}, {}, f"an alpha of {alpha}")
        for alpha in (0, -1, float("nan"), float("inf"))
    },
    "alpha 1e999": ({"lora_alpha": 10**400}, {}, "rank or alpha of h.0.attn.c_attn"),
    "modules": ({"modules_to_save": 5}, {}, "only the head can"),
    "targets": ({"target_modules": 5}, {}, "target_modules or the like"),
    "nan": ({}, {"lora_A": lambda t: t * torch.nan}, "lora_A.weight is not finite"),
    "huge": ({}, {"lora_A": lambda t: t.double() * 1e300}, "is not finite in float32"),
    "float8": ({}, {"lora_A": lambda t: t.to(torch.float8_e4m3fn)}, "is float8_e4m3fn, not a fl"),
    "int": ({}, {"lora_A": lambda t: t.int()}, "is int32, not a float"),
    "overflow": ({"lora_alpha": 1e39}, {"lora_B": lambda t: t * 1e30}, "not finite|non-finite"),
}


def test_what_is_broken_is_refused_and_leaves_nothing_behind(
    base: tuple[Model, Path], tmp_path: Path
) -> None:
    model, folder = base
    theirs(folder, target_modules=["c_attn"]).save_pretrained(tmp_path)
    files = (tmp_path / "adapter_config.json", tmp_path / "adapter_model.safetensors")
    settings, tensors = json.loads(files[0].read_text()), load_file(files[1])
    config = ImportConfig(peft=str(tmp_path), out=str(tmp_path / "out"), model=model)
    for case, (other, changes, words) in BROKEN.items():
        files[0].write_text(json.dumps(settings | other))
        changed = {
            f"base_model.model.transformer.h.0.attn.c_attn.{kind}.weight": change
            for kind, change in changes.items()
        }
        save_file(
            {n: changed.get(n, torch.clone)(t).contiguous() for n, t in tensors.items()}, files[1]
        )
        with pytest.raises(UserError, match=words):
            import_command(config, None)
        assert not (tmp_path / "out").exists(), case
    save_file(tensors, files[1])
    for text in ("[" * 100_000, "{", "[]"):
        files[0].write_text(text)
        with pytest.raises(UserError, match="is damaged"):
            import_command(config, None)
    files[0].write_text(json.dumps(settings))
    import_command(config, None)  # the control
    for file in files:
        file.rename(tmp_path.parent / file.name)
        file.symlink_to(tmp_path.parent / file.name)
        with pytest.raises(UserError, match="leads out of its folder"):
            read(tmp_path)
        file.unlink()
        (tmp_path.parent / file.name).rename(file)


def test_an_adapter_of_another_base_is_refused(base: tuple[Model, Path], tmp_path: Path) -> None:
    model, folder = base
    theirs(folder, target_modules=["c_attn"]).save_pretrained(tmp_path)
    settings, tensors = read(tmp_path)
    hub = replace(model, weights="hub", repo="openai-community/gpt2")
    for name, fits in (("gpt2", True), ("someone/gpt2/", True), (None, True), ("gpt2-xl", False)):
        if fits:
            check_base({**settings, "base_model_name_or_path": name}, hub, "here")
        else:
            with pytest.raises(UserError, match="trained on gpt2-xl, not on model"):
                check_base({**settings, "base_model_name_or_path": name}, hub, "here")
    from_peft(settings, tensors, 2, "here")
    with pytest.raises(UserError, match=r"nothing for h\.2\.attn\.c_attn \(1 such layers\)"):
        from_peft(settings, tensors, 3, "here")  # of a base of two blocks
    from_peft({**settings, "layers_to_transform": [0, 1]}, tensors, 3, "here")
    some = {name: t for name, t in tensors.items() if ".h.1." not in name}
    for targets in (["c_attn"], ["c_attn", "c_fc"], r".*\.c_attn", "all-linear"):
        with pytest.raises(UserError, match="which its target_modules name"):
            from_peft({**settings, "target_modules": targets}, some, 2, "here")
    from_peft({**settings, "layers_to_transform": 0}, some, 2, "here")
    from_peft({**settings, "target_modules": ["h.0.attn.c_attn"]}, some, 2, "here")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    with pytest.raises(UserError, match="is a pickle and never opened"):
        read(tmp_path)


def test_another_geometry_is_refused(base: tuple[Model, Path], tmp_path: Path) -> None:
    model, folder = base
    theirs(folder, target_modules=["c_attn"]).save_pretrained(tmp_path / "peft")
    config = ImportConfig(
        peft=str(tmp_path / "peft"), out=str(tmp_path / "o"), model=replace(model, d_model=16)
    )
    with pytest.raises(UserError, match="does not fit model=tiny: it has another shape for"):
        import_command(config, None)
    config = replace(config, model=model, labels=["only one"])
    with pytest.raises(UserError, match="labels must be 2 names"):
        import_command(config, None)
    assert not (tmp_path / "o").exists()
