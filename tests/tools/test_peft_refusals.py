"""A broken adapter of peft's, or one of another base, is refused by name and leaves no trace."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pefts import theirs
from safetensors.torch import load_file, save_file

from loraexp.commands.import_ import ImportConfig
from loraexp.commands.import_ import run as import_command
from loraexp.config.schema import Model
from loraexp.errors import UserError
from loraexp.tools.peft.from_peft import from_peft, read
from loraexp.tools.peft.refusals import check_base

# peft's own use of transformers
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")


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
            import_command(config)
        assert not (tmp_path / "out").exists(), case
    save_file(tensors, files[1])
    for text in ("[" * 100_000, "{", "[]"):
        files[0].write_text(text)
        with pytest.raises(UserError, match="is damaged"):
            import_command(config)
    files[0].write_text(json.dumps(settings))
    import_command(config)  # the control
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
        import_command(config)
    config = replace(config, model=model, labels=["only one"])
    with pytest.raises(UserError, match="labels must be 2 names"):
        import_command(config)
    assert not (tmp_path / "o").exists()
