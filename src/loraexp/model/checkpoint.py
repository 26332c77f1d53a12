"""Our tensors as a Hugging Face GPT-2 folder, in their names and layout."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from loraexp.config.schema import Model
from loraexp.model.huggingface import CONFIG, WEIGHTS, our_paths, their_config, their_path
from loraexp.model.tokenizer import END_OF_TEXT, Tokenizer
from loraexp.runtime.atomic import whole, write_whole


def to_hub(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of weights.converted: q, k and v in one c_attn, matrices transposed."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in state.items():
        path, dot, kind = name.rpartition(".")
        theirs = their_path(path)
        ours = our_paths(theirs)
        if path != ours[0]:
            continue
        if len(ours) > 1:
            tensor = torch.cat([state[f"{own}{dot}{kind}"] for own in ours])  # (3 out, in)
        turned = theirs != path and tensor.ndim == 2
        tensors[f"{theirs}{dot}{kind}"] = (tensor.t() if turned else tensor).contiguous()
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
    config = {"architectures": ["GPT2LMHeadModel"], **their_config(model, end_of_text)}
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
        **their_config(model, tokenizer.pad),
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


def save(tensors: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path) -> None:
    with whole(folder / WEIGHTS) as partial:
        save_file(dict(tensors), partial, metadata={"format": "pt"})
    write_whole(folder / CONFIG, json.dumps(config, indent=2) + "\n")
