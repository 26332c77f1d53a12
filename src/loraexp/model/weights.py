"""The tensors of a base: read from its files and checked, or drawn at random."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from loraexp.config.schema import Head, Model
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier, empty_classifier
from loraexp.model.gpt2 import GPT2
from loraexp.model.hub import check_sha256
from loraexp.model.huggingface import check_geometry, our_paths
from loraexp.model.locate import config_file, embedded, in_folder, tokenizer_folder, weights_file
from loraexp.model.tokenizer import Tokenizer, from_bytes, from_folder
from loraexp.runtime.tensors import check_layout, tensors_hash

# Tensors of published checkpoints that are no part of the base: mask buffers and heads.
NOT_BASE = (".attn.bias", ".attn.masked_bias", "lm_head.weight", "score.weight")


def load_classifier(model: Model, head: Head, n_classes: int, seed: int) -> GPT2Classifier:
    """A classifier in float32: the base as `model` says, a fresh head drawn from `seed`."""
    network = empty_classifier(model, head, n_classes)
    state = {name: tensor.float() for name, tensor in base_state(model).items()}
    generator, shape = torch.Generator().manual_seed(seed), network.score.weight.shape
    state["score.weight"] = torch.empty(shape).normal_(0.0, 0.02, generator=generator)
    if head.bias:
        state["score.bias"] = torch.zeros(n_classes)
    # Taken over, not copied into tensors of the network's own.
    network.load_state_dict(state, assign=True)
    return network


def base_state(model: Model) -> dict[str, Tensor]:
    """The tensors of the base, under our names."""
    return random_state(model) if model.weights == "random" else checkpoint_state(model)


def load_tokenizer(model: Model) -> Tokenizer:
    """The tokenizer of a base; its size must be the model's vocabulary."""
    if model.tokenizer == "bytes":
        tokenizer = from_bytes()
    else:
        folder = {"embedded": embedded, "auto": tokenizer_folder}.get(model.tokenizer)
        tokenizer = from_folder(folder(model) if folder else Path(model.tokenizer))
    if len(tokenizer) != model.vocab_size:
        raise UserError(
            f"model.vocab_size is {model.vocab_size}, but its tokenizer has {len(tokenizer)} tokens"
        )
    return tokenizer


def base_hash(network: GPT2) -> str:
    """sha256 over the names and bytes of the base's tensors (a head is not of the base)."""
    return state_hash(network.state_dict())


def state_hash(state: Mapping[str, Tensor]) -> str:
    """`base_hash` of a network with these tensors, in float32."""
    base = {name: t.float() for name, t in state.items() if not name.startswith("score.")}
    return tensors_hash(base)


def random_state(model: Model) -> dict[str, Tensor]:
    """Weights as GPT-2 starts: normal(0, 0.02), projections into the residual stream smaller.

    Their seed is `model.init_seed`: runs of different `seed` adapt the same random base.
    """
    with torch.device("meta"):
        shapes = GPT2(model).state_dict()
    generator = torch.Generator().manual_seed(model.init_seed)
    state: dict[str, Tensor] = {}
    for name, meta in shapes.items():
        tensor = torch.zeros(meta.shape)
        if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight")):
            tensor.fill_(1.0)
        elif name.endswith("weight"):
            residual = name.endswith(("out_proj.weight", "fc2.weight"))
            std = 0.02 / math.sqrt(2 * model.n_layer) if residual else 0.02
            tensor.normal_(0.0, std, generator=generator)
        state[name] = tensor
    return state


def checkpoint_state(model: Model) -> dict[str, Tensor]:
    """The tensors of a published checkpoint, under our names.

    Raises:
        UserError: the file is missing, damaged, of another sha256 or geometry, or lacks tensors.
    """
    file = weights_file(model)
    if not in_folder(model):
        check_sha256(file, model.sha256)
    check_geometry(config_file(model), model)
    try:
        state = dict(converted(one_by_one(file)))
    except (SafetensorError, OSError) as error:
        raise UserError(f"{file} is damaged or cut short: {error}") from None
    try:
        with torch.device("meta"):
            check_layout(GPT2(model).state_dict(), state)
    except ValueError as error:
        raise UserError(f"{file} {error}") from None
    return state


def one_by_one(file: Path) -> Iterator[tuple[str, Tensor]]:
    """Each tensor of a file with its name. The file is opened anew for each, so that what was read
    of it does not stay in memory beside the copies."""
    with safe_open(file, "pt") as opened:
        names = list(opened.keys())
    for name in names:
        with safe_open(file, "pt") as opened:
            yield name, opened.get_tensor(name)


def converted(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Hugging Face names to ours, with or without `transformer.`; Conv1D stores (in, out).

    Every tensor is a copy.
    """
    for full_name, tensor in tensors:
        name = full_name.removeprefix("transformer.")
        if name.endswith(NOT_BASE):
            continue
        path, dot, kind = name.rpartition(".")
        ours = our_paths(path)
        parts = tensor.tensor_split(len(ours), -1) if len(ours) > 1 else [tensor]
        for own, part in zip(ours, parts, strict=True):
            turned = part.t() if own != path and part.ndim == 2 else part
            yield f"{own}{dot}{kind}", turned.clone(memory_format=torch.contiguous_format)
