"""Our tensors as a Hugging Face GPT-2 folder, in their names and layout."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from loraexp.config.schema import Model
from loraexp.model.tokenizer import END_OF_TEXT, Tokenizer
from loraexp.runtime.atomic import whole, write_whole

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


def save_base(
    state: Mapping[str, Tensor],
    model: Model,
    end_of_text: int,
    folder: Path,
    labels: Sequence[str] = (),
) -> None:
    """Write a base's tensors, as they are, and the config.json that transformers reads.

    Args:
        labels: of a head that is kept elsewhere, so that transformers makes room for it.
    """
    config = {"architectures": ["GPT2LMHeadModel"], **geometry(model, end_of_text)}
    save(to_hub(state), config | (head(labels, end_of_text) if labels else {}), folder)


def save_classifier(
    state: Mapping[str, Tensor],
    model: Model,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    folder: Path,
) -> None:
    """Write a classifier, head included, as transformers' GPT2ForSequenceClassification has it.

    Args:
        state: names of GPT2Classifier; score.weight (C, d) without a bias.
    """
    config = {
        "architectures": ["GPT2ForSequenceClassification"],
        **geometry(model, tokenizer.pad),
        **head(labels, tokenizer.pad),
    }
    tensors = {
        name if name.startswith("score.") else f"transformer.{name}": tensor
        for name, tensor in to_hub(state).items()
    }
    save_tokenizer(tokenizer, model.context, folder)
    save(tensors, config, folder)


def save_tokenizer(tokenizer: Tokenizer, max_length: int, folder: Path) -> None:
    """Write its files, and what transformers must know to read them."""
    tokenizer.save(folder)
    names = {f"{kind}_token": END_OF_TEXT for kind in ("bos", "eos", "unk", "pad")}
    kind = {"tokenizer_class": "GPT2Tokenizer", "model_max_length": max_length}
    write_whole(folder / "tokenizer_config.json", json.dumps({**kind, **names}, indent=2) + "\n")


def head(labels: Sequence[str], pad: int) -> dict[str, Any]:
    """What transformers must know of a classifier."""
    return {
        "pad_token_id": pad,
        "problem_type": "single_label_classification",
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }


def geometry(model: Model, end_of_text: int) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
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


def save(tensors: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path) -> None:
    with whole(folder / "model.safetensors") as partial:
        save_file(dict(tensors), partial, metadata={"format": "pt"})
    write_whole(folder / "config.json", json.dumps(config, indent=2) + "\n")
