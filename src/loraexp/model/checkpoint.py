"""Our base as a Hugging Face GPT-2 folder: model.safetensors and config.json, in their layout."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from loraexp.atomic import whole, write_whole
from loraexp.config import Model

# Our names -> theirs; their Conv1D stores (in, out).
RENAMED = {"attn.out_proj": "attn.c_proj", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
QKV = ("q_proj", "k_proj", "v_proj")


def to_hub(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of weights.convert: q, k and v in one c_attn, matrices transposed."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        path, _, kind = name.rpartition(".")
        stem, _, last = path.rpartition(".")
        if last == QKV[0]:
            parts = [state[f"{stem}.{proj}.{kind}"] for proj in QKV]
            tensors[f"{stem}.c_attn.{kind}"] = torch.cat(parts).t().contiguous()  # (in, 3 out)
        elif last not in QKV:
            short = f"{stem.rpartition('.')[2]}.{last}"
            if short in RENAMED:
                name = f"{stem.rpartition('.')[0]}.{RENAMED[short]}.{kind}"
                tensor = tensor.t() if tensor.ndim == 2 else tensor
            tensors[name] = tensor.contiguous()
    return tensors


def save_base(state: Mapping[str, Tensor], model: Model, end_of_text: int, folder: Path) -> None:
    """Write a base's tensors, as they are, and the config.json that transformers reads."""
    config = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "n_layer": model.n_layer,
        "n_head": model.n_head,
        "n_embd": model.d_model,
        "n_positions": model.context,
        "vocab_size": model.vocab_size,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }
    with whole(folder / "model.safetensors") as partial:
        save_file(to_hub(state), partial, metadata={"format": "pt"})
    write_whole(folder / "config.json", json.dumps(config, indent=2) + "\n")
