"""What Hugging Face calls things in a GPT-2 folder: tensors, and the keys of its config.json.

No torch here: the command line reads a folder's geometry too.
"""

import json
from pathlib import Path
from typing import Any

from loraexp.config.schema import Model
from loraexp.errors import UserError

WEIGHTS, CONFIG = "model.safetensors", "config.json"
VOCABULARY = ("vocab.json", "merges.txt")
TOKENIZER_FILES = (VOCABULARY, ("encoder.json", "vocab.bpe"))  # the hub's names, and OpenAI's
# Our linear layers by theirs. Their Conv1D stores (in, out), and q, k and v in one.
LINEARS = {
    "attn.c_attn": ("attn.q_proj", "attn.k_proj", "attn.v_proj"),
    "attn.c_proj": ("attn.out_proj",),
    "mlp.c_fc": ("mlp.fc1",),
    "mlp.c_proj": ("mlp.fc2",),
}
THEIRS = {ours: theirs for theirs, several in LINEARS.items() for ours in several}
# Our keys of a model by theirs.
GEOMETRY = {
    "n_layer": "n_layer",
    "n_head": "n_head",
    "n_embd": "d_model",
    "n_positions": "context",
    "vocab_size": "vocab_size",
}
# Settings that our network has built in, and what transformers takes them for if they are left out.
BUILT_IN = {
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}
WRITTEN = ("activation_function", "layer_norm_epsilon")  # of these, what a config.json says


def our_paths(path: str) -> tuple[str, ...]:
    """The paths of our layers that are theirs at `path`; its own where the names are the same."""
    stem, layer = in_block(path)
    return tuple(stem + ours for ours in LINEARS.get(layer, (layer,)))


def their_path(path: str) -> str:
    """The reverse of `our_paths`."""
    stem, layer = in_block(path)
    return stem + THEIRS.get(layer, layer)


def in_block(path: str) -> tuple[str, str]:
    """h.0.attn.q_proj -> (h.0., attn.q_proj)."""
    stem, dot, layer = path.rpartition(".")
    above, other, module = stem.rpartition(".")
    return above + other, module + dot + layer


def their_config(model: Model, end_of_text: int) -> dict[str, Any]:
    """A config.json for a base of this geometry."""
    return {
        "model_type": "gpt2",
        **{name: BUILT_IN[name] for name in WRITTEN},
        **{theirs: getattr(model, ours) for theirs, ours in GEOMETRY.items()},
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
    }


def geometry(config_file: Path) -> dict[str, Any]:
    """Our keys and what a config.json says of them; what it leaves out is as in GPT-2 124M.

    Raises:
        UserError: a damaged file, or a network that is built in another way than ours.
    """
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{config_file} is damaged: {error}") from None
    if not isinstance(config, dict):
        raise UserError(f"{config_file} is damaged: it is no object")
    for name, value in BUILT_IN.items():
        if config.get(name, value) != value:
            raise UserError(f"{config_file}: {name} must be {value}, got {config[name]}")
    return {ours: config.get(theirs, getattr(Model, ours)) for theirs, ours in GEOMETRY.items()}


def check_geometry(config_file: Path, model: Model) -> None:
    if not config_file.is_file():
        raise UserError(f"model.weights={model.weights}: no {CONFIG} there")
    said = geometry(config_file)
    for theirs, ours in GEOMETRY.items():
        if (value := said[ours]) != getattr(model, ours):
            raise UserError(
                f"model.{ours} is {getattr(model, ours)}, but {config_file} says {theirs} "
                f"{value}; choose the model= that fits, or set model.{ours}={value}"
            )
