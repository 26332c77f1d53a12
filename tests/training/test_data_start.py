"""Starts that the data gives: the vectors they are, from the run's first batches, at no cost."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from loraexp.adapters.branches.base import Adapted, adapted_layers
from loraexp.adapters.inject import saved_tensors
from loraexp.adapters.methods import as_method
from loraexp.config.schema import TrainConfig
from loraexp.data.datamodule import TextDataModule
from loraexp.data.splits import load_data
from loraexp.model.classifier import GPT2Classifier
from loraexp.runs.load import build_model
from loraexp.training import fit as fitting
from loraexp.training.data_start import BATCHES, first_batches, start_from_data

TOKENS = torch.randint(0, 256, (4, 12), generator=torch.Generator().manual_seed(5))


def made(config: TrainConfig, method: str) -> tuple[GPT2Classifier, TextDataModule]:
    config, data = as_method(config, method), load_data(config.data)
    model = build_model(config, data.labels)
    return model.network.train(), fitting.datamodule(config, data, model)


@pytest.mark.parametrize("method", ["lora_ga", "eva"])
def test_it_changes_no_output_no_base_and_no_random_number(small: TrainConfig, method: str) -> None:
    network, texts = made(small, method)
    own = saved_tensors(network)
    before, wanted = copy.deepcopy(network.state_dict()), network(TOKENS)
    trains = {name: p.requires_grad for name, p in network.named_parameters()}
    torch.manual_seed(3)
    state = torch.get_rng_state()
    start_from_data(network, texts)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(network(TOKENS), wanted)
    assert trains == {name: p.requires_grad for name, p in network.named_parameters()}
    assert network.training
    assert not [m for m in network.modules() if m._forward_pre_hooks]
    moved = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert {n.rpartition(".")[2] for n in moved} <= {"lora_A", "lora_B", "start_A", "start_B"}
    assert {n for n in own if n.endswith("lora_A")} <= {n.replace(".branch", "") for n in moved}


@pytest.mark.parametrize("method", ["lora_ga", "eva"])
def test_it_is_the_same_again_and_another_with_another_order(
    small: TrainConfig, method: str
) -> None:
    small.data.limit = 100  # more than the first batches
    found = []
    for seed in (0, 0, 1):
        network, texts = made(small, method)  # the same base and head
        texts.seed = seed
        torch.rand(seed + len(found))
        start_from_data(network, texts)
        found.append({name: t.detach() for name, t in saved_tensors(network).items()})
    assert all(torch.equal(t, found[1][name]) for name, t in found[0].items())
    assert not all(torch.equal(t, found[2][name]) for name, t in found[0].items())


def test_the_batches_are_the_runs_first_ones(small: TrainConfig) -> None:
    small.data.limit = 100
    _, texts = made(small, "eva")
    loader, own = texts.train_dataloader(), [*first_batches(texts)]
    assert len(own) == BATCHES < len(loader)
    for batch, other in zip(own, loader, strict=False):
        assert all(torch.equal(a, b) for a, b in zip(batch, other, strict=True))


def layer_of(network: GPT2Classifier, path: str = "h.0.attn.v_proj") -> Adapted:
    return adapted_layers(network)[path]


def test_eva_starts_at_the_right_singular_vectors_of_the_inputs(small: TrainConfig) -> None:
    network, texts = made(small, "eva")
    seen: list[Tensor] = []
    layer = layer_of(network)
    hook = layer.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.no_grad():
        for batch in first_batches(texts):
            for tokens, length in zip(batch.tokens, batch.lengths, strict=True):
                network(tokens[None, :length], length[None])
                seen[-1] = seen[-1][:length]  # what is padding comes after it
    hook.remove()
    start_from_data(network, texts)
    X, A = torch.cat(seen).double(), layer.branch.get_parameter("lora_A").double()
    assert len(X) == sum(int(b.lengths.sum()) for b in first_batches(texts))  # no padding
    V = torch.linalg.svd(X, full_matrices=False).Vh[: len(A)]
    assert ((A @ V.t()).abs() - torch.eye(len(A))).abs().max() <= 1e-5  # but for their signs
    assert not layer.branch.get_parameter("lora_B").any()
    rest = torch.linalg.svd(X - X.mean(0), full_matrices=False).Vh[: len(A)]
    assert ((A @ rest.t()).abs() - torch.eye(len(A))).abs().max() > 1e-2  # not centred


def test_lora_ga_starts_at_singular_vectors_of_the_gradient(small: TrainConfig) -> None:
    network, texts = made(small, "lora_ga")
    layer = layer_of(network)
    weight, total = layer.base.weight, torch.zeros_like(layer.base.weight)
    for batch in first_batches(texts):
        weight.requires_grad_(True)
        loss = F.cross_entropy(network(batch.tokens, batch.lengths), batch.classes)
        total += torch.autograd.grad(loss, weight)[0]
        weight.requires_grad_(False)
    start_from_data(network, texts)
    A, B = (layer.branch.get_parameter(f"lora_{kind}").double() for kind in "AB")
    rank, scale = len(A), 16**0.25 / 4
    U, S, V = torch.linalg.svd(total.double())
    assert S[2 * rank - 1] > 1e-3 * S[0]  # else the vectors are noise
    for mine, theirs in ((A, V[:rank]), (B.t(), U[:, rank : 2 * rank].t())):
        assert ((mine @ theirs.t()).abs() - scale * torch.eye(rank)).abs().max() <= 1e-3 * scale
    assert torch.equal(layer.branch.get_parameter("start_A"), A.float())
    assert torch.equal(layer.branch.get_parameter("start_B"), B.float())


def test_what_asks_for_no_data_reads_none(small: TrainConfig) -> None:
    network, texts = made(small, "pissa")
    start_from_data(network, texts)
    assert not texts.encoded
