"""What each method attaches and trains, for every row of METHODS, and merging it back in."""

from hashlib import sha256

import pytest
import torch
import yaml
from torch import Tensor, nn

from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.branches.lora import LowRank
from loraexp.adapters.inject import adapter_tensors, inject, merge, saved_tensors
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Adaptation, LastBlock, Lora
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.sweeps.plan import conf_dir

WITH_BRANCH = [name for name, method in METHODS.items() if method.branch is not None]
HEAD = {"score.weight", "score.bias"}


def disturb(network: nn.Module) -> None:
    """Move every tensor that trains away from its start, as training would."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter += 0.1 * noise.to(parameter.dtype)


def changed_by_two_steps(network: nn.Module, tokens: Tensor) -> set[str]:
    """Names of the tensors whose bytes two AdamW steps over ALL parameters change."""

    def hashes() -> dict[str, str]:
        state = network.state_dict().items()
        return {
            n.replace(".base.", ".").replace(".branch.", "."): sha256(
                t.numpy().tobytes()
            ).hexdigest()
            for n, t in state
        }

    before = hashes()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, weight_decay=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(tokens), torch.tensor([0, 1, 1])).backward()
        optimizer.step()
    after = hashes()
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def branch_of(network: nn.Module, name: str) -> LowRank:
    adapted = network.get_submodule(name)
    assert isinstance(adapted, Adapted)
    assert isinstance(adapted.branch, LowRank)
    return adapted.branch


def test_the_table_and_the_yaml_files_name_the_same_methods() -> None:
    files = {file.stem: yaml.safe_load(file.read_text()) for file in conf_dir().glob("method/*")}
    assert {stem: content["method"] for stem, content in files.items()} == {n: n for n in METHODS}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_a_fresh_adapter_changes_no_logit(
    network: GPT2Classifier, tokens: Tensor, method: str, dtype: torch.dtype
) -> None:
    network.to(dtype)
    before = network(tokens)
    inject(network, as_method(Adaptation(), method), seed=1)
    assert torch.equal(network(tokens), before)


@pytest.mark.parametrize("method", METHODS)
def test_a_moved_adapter_changes_the_logits(
    network: GPT2Classifier, tokens: Tensor, method: str
) -> None:
    before = network(tokens)
    disturb(inject(network, as_method(Adaptation(), method), seed=1))
    assert not torch.allclose(network(tokens), before, atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_the_adapter_is_what_requires_grad_head_included(
    network: GPT2Classifier, method: str
) -> None:
    adapter = adapter_tensors(inject(network, as_method(Adaptation(), method), seed=1))
    wanted = [p for p in network.parameters() if p.requires_grad]
    assert {id(p) for p in adapter.values()} == {id(p) for p in wanted}
    assert len(adapter) == len(wanted)  # no two share a name
    assert adapter.keys() >= HEAD


def test_lora_trains_two_tensors_a_target_named_without_the_wrapper(
    network: GPT2Classifier,
) -> None:
    config = Adaptation("lora", lora=Lora(target_modules=["q_proj", "fc1"]))
    paths = [f"h.{block}.{kind}" for block in (0, 1) for kind in ("attn.q_proj", "mlp.fc1")]
    tensors = {f"{path}.lora_{letter}" for path in paths for letter in "AB"}
    assert adapter_tensors(inject(network, config, seed=1)).keys() == tensors | HEAD


def test_full_trains_every_tensor(network: GPT2Classifier) -> None:
    everything = {name for name, _ in network.named_parameters()}
    assert adapter_tensors(inject(network, Adaptation("full"), seed=1)).keys() == everything


def test_head_trains_the_head_alone(network: GPT2Classifier) -> None:
    assert adapter_tensors(inject(network, Adaptation("head"), seed=1)).keys() == HEAD


@pytest.mark.parametrize(("n", "blocks"), [(1, ("h.1.",)), (2, ("h.0.", "h.1."))])
def test_last_block_trains_the_last_blocks_and_the_last_norm(
    network: GPT2Classifier, n: int, blocks: tuple[str, ...]
) -> None:
    names = {k for k, _ in network.named_parameters() if k.startswith((*blocks, "ln_f.", "score."))}
    config = Adaptation("last_block", last_block=LastBlock(n))
    assert adapter_tensors(inject(network, config, seed=1)).keys() == names


def test_last_block_counts_blocks_as_numbers() -> None:
    names = [f"h.{block}.ln_1.weight" for block in range(12)]
    trains = METHODS["last_block"].trains(names, Adaptation(last_block=LastBlock(3)))
    assert list(trains) == names[-3:]  # as words, h.9 would come after h.11


@pytest.mark.parametrize("method", METHODS)
def test_two_steps_change_the_adapter_and_nothing_else(
    network: GPT2Classifier, tokens: Tensor, method: str
) -> None:
    adapter = set(adapter_tensors(inject(network, as_method(Adaptation(), method), seed=1)))
    assert changed_by_two_steps(network, tokens) == adapter


def test_a_base_tensor_left_unfrozen_is_noticed(network: GPT2Classifier, tokens: Tensor) -> None:
    adapter = set(adapter_tensors(inject(network, Adaptation("lora"), seed=1)))
    network.get_parameter("h.0.attn.q_proj.base.weight").requires_grad_(True)
    assert changed_by_two_steps(network, tokens) - adapter == {"h.0.attn.q_proj.weight"}


def test_an_unknown_method_is_an_error_that_lists_the_rows(network: GPT2Classifier) -> None:
    with pytest.raises(UserError, match=r"unknown method 'loar'; did you mean 'lora'\? known: "):
        inject(network, Adaptation("loar"), seed=0)


DRAWN = [name for name in WITH_BRANCH if METHODS[name].branch in ("LowRank", "Dora")]


@pytest.mark.parametrize("method", DRAWN)
def test_the_seed_decides_the_branches_and_the_state_of_torch_does_not(
    network: GPT2Classifier, method: str
) -> None:
    def adapter(seed: int, noise: int) -> list[Tensor]:
        torch.manual_seed(noise)
        for name, module in list(network.named_modules()):
            if isinstance(module, Adapted):
                parent, _, child = name.rpartition(".")
                setattr(network.get_submodule(parent), child, module.base)
        tensors = saved_tensors(inject(network, as_method(Adaptation(), method), seed))
        return [tensor for name, tensor in tensors.items() if name not in HEAD]

    first, same, other = adapter(1, noise=2), adapter(1, noise=3), adapter(4, noise=2)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_no_two_targets_start_alike(network: GPT2Classifier) -> None:
    inject(network, Adaptation("lora"), seed=1)
    q, k = branch_of(network, "h.0.attn.q_proj"), branch_of(network, "h.0.attn.k_proj")
    assert not torch.equal(q.lora_A, k.lora_A)


@pytest.mark.parametrize("method", WITH_BRANCH)
def test_merged_model_gives_the_same_logits(
    network: GPT2Classifier, tokens: Tensor, method: str
) -> None:
    disturb(inject(network, as_method(Adaptation(), method), seed=1).double())
    before = network(tokens)
    merge(network)
    assert (network(tokens) - before).abs().max() <= 1e-12


def test_a_merge_with_another_scaling_gives_other_logits(
    network: GPT2Classifier, tokens: Tensor
) -> None:
    disturb(inject(network, Adaptation("lora"), seed=1).double())
    before = network(tokens)
    branch_of(network, "h.1.attn.v_proj").scaling *= 1.01
    merge(network)
    assert (network(tokens) - before).abs().max() > 1e-9


@pytest.mark.parametrize("method", WITH_BRANCH)
def test_merging_leaves_the_names_and_classes_there_were(
    network: GPT2Classifier, method: str
) -> None:
    before = [(name, type(module)) for name, module in network.named_modules()]
    inject(network, as_method(Adaptation(), method), seed=1)
    assert any(isinstance(module, Adapted) for module in network.modules())
    merge(network)
    assert [(name, type(module)) for name, module in network.named_modules()] == before


def test_rank_pattern_gives_a_target_its_own_rank_and_scaling(network: GPT2Classifier) -> None:
    lora = Lora(rank=8, alpha=16, target_modules=["q_proj", "v_proj"], rank_pattern={"v_proj": 2})
    inject(network, Adaptation(lora=lora), seed=1)
    q, v = branch_of(network, "h.0.attn.q_proj"), branch_of(network, "h.0.attn.v_proj")
    assert (q.lora_A.shape, q.lora_B.shape, q.scaling) == ((8, 16), (16, 8), 2.0)
    assert (v.lora_A.shape, v.lora_B.shape, v.scaling) == ((2, 16), (16, 2), 8.0)


def test_alpha_pattern_gives_a_target_its_own_scaling(network: GPT2Classifier) -> None:
    lora = Lora(rank=8, alpha=16, alpha_pattern={"h.1.attn.v_proj": 4.0})
    inject(network, Adaptation(lora=lora), seed=1)
    assert branch_of(network, "h.1.attn.v_proj").scaling == 0.5
    assert branch_of(network, "h.0.attn.v_proj").scaling == 2.0


@pytest.mark.parametrize(
    ("key", "lora"),
    [
        ("lora.rank_pattern", Lora(rank_pattern={"fc1": 4})),
        ("lora.alpha_pattern", Lora(alpha_pattern={"fc1": 4.0})),
    ],
)
def test_a_pattern_that_fits_no_adapted_module_is_an_error(
    network: GPT2Classifier, key: str, lora: Lora
) -> None:
    with pytest.raises(UserError, match=f"{key}: 'fc1' matches no adapted module; there are q_pro"):
        inject(network, Adaptation(lora=lora), seed=1)
