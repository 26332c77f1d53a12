"""AdaLoRA beside peft's: the layer, and the importance and budget that cut it, step by step."""

import copy
from dataclasses import replace
from typing import Any

import peft
import pytest
import torch
from peft.tuners.adalora.layer import RankAllocator
from torch import Tensor, nn

from loraexp.adapters.branches.adalora import AdaLora, RankBudget, budget, most_important
from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.inject import inject
from loraexp.adapters.targets import Target
from loraexp.config.schema import AdaLora as Settings
from loraexp.config.schema import Adaptation, Lora
from loraexp.model.classifier import GPT2Classifier

WIDTH, RANK, STEPS = 6, 4, 12
SETTINGS = Settings(budget=0.5, warmup=0.25, final=0.25, beta1=0.8, beta2=0.6)


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


class TwoLinears(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
        self.second = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
        with torch.no_grad():
            for seed, parameter in enumerate(self.parameters()):
                parameter.copy_(random(*parameter.shape, seed=seed))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.second(torch.tanh(self.first(x)))
        return out


def ours() -> TwoLinears:
    model = TwoLinears().requires_grad_(False)
    for seed, name in enumerate(("first", "second")):
        generator = torch.Generator().manual_seed(seed)
        base = model.get_submodule(name)
        assert isinstance(base, nn.Linear)
        branch = AdaLora.create(base, Adaptation(), Target(name, RANK, 8.0), generator).double()
        with torch.no_grad():
            branch.lora_E += random(RANK, seed=20 + seed)
        setattr(model, name, Adapted(base, branch))
    return model


def theirs(model: TwoLinears, settings: Settings = SETTINGS) -> Any:
    """peft's model with the tensors of ours. Its scaling is alpha / (r + 1e-5)."""
    config = peft.AdaLoraConfig(
        target_modules=["first", "second"],
        init_r=RANK,
        target_r=round(settings.budget * RANK),
        lora_alpha=8.0 / RANK * (RANK + 1e-5),  # type: ignore[arg-type]
        tinit=round(settings.warmup * STEPS),
        tfinal=round(settings.final * STEPS),
        deltaT=1,
        beta1=settings.beta1,
        beta2=settings.beta2,
        total_step=STEPS,
    )
    other = peft.get_peft_model(TwoLinears(), config).double()
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            for path in ("first", "second"):
                for kind in ("lora_A", "lora_B", "lora_E"):
                    if f".{path}.{kind}." in name:
                        value = model.get_submodule(path).branch.get_parameter(kind)
                        parameter.copy_(value.view(parameter.shape))
    return other


def gradients(model: nn.Module, step: int) -> Tensor:
    model.zero_grad()
    y: Tensor = model(random(3, WIDTH, seed=100 + step))
    (y * random(3, WIDTH, seed=200 + step)).sum().backward()
    return y


def test_layer_equals_peft() -> None:
    mine = ours()
    other = theirs(mine)
    assert torch.allclose(gradients(mine, 0), gradients(other, 0), rtol=0, atol=1e-12)
    grads = {n: p.grad for n, p in other.named_parameters() if p.grad is not None}
    for path in ("first", "second"):
        for kind in ("lora_A", "lora_B", "lora_E"):
            (grad,) = [g for n, g in grads.items() if f".{path}.{kind}." in n]
            own = mine.get_submodule(path).branch.get_parameter(kind).grad
            assert own is not None
            assert torch.allclose(own, grad.view(own.shape), rtol=0, atol=1e-12)


def run(settings: Settings, mine: TwoLinears, other: Any) -> list[tuple[Tensor, Tensor]]:
    """Plain gradient steps with both budgets; (e of ours, e of peft's) after each."""
    branches = {n: m for n, m in mine.named_modules() if isinstance(m, AdaLora)}
    cuts = RankBudget(branches, settings)
    allocator = RankAllocator(other.base_model.model, other.peft_config["default"], "default")
    seen = []
    for step in range(1, STEPS + 1):
        for model in (mine, other):
            gradients(model, step)
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if "lora_" in name:  # peft's ranknum has a gradient too
                        parameter -= 0.01 * parameter.grad
        cuts.after_step(step, STEPS)
        last = step >= (1 - settings.final) * STEPS
        if not last or step == round((1 - settings.final) * STEPS):
            _, pattern = allocator.update_and_allocate(
                other.base_model.model, step, force_mask=last
            )
        else:
            allocator.mask_using_rank_pattern(other.base_model.model, pattern)
        es = [p for n, p in other.named_parameters() if ".lora_E." in n]
        seen.append(
            (torch.cat([b.lora_E for b in branches.values()]), torch.cat([e[:, 0] for e in es]))
        )
    return [(a.detach(), b.detach()) for a, b in seen]


def test_budget_cuts_what_peft_cuts_step_by_step() -> None:
    mine = ours()
    seen = run(SETTINGS, mine, theirs(mine))
    assert all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in seen)
    left = [int((a != 0).sum()) for a, _ in seen]
    assert left[0] == 2 * RANK
    assert left[-1] == RANK  # half of both targets' ranks
    assert left == sorted(left, reverse=True)


def test_another_smoothing_cuts_otherwise() -> None:
    """The control: equality above is no accident of a budget that any scores would meet."""
    mine = ours()
    other = theirs(copy.deepcopy(mine))
    seen = run(replace(SETTINGS, beta1=0.0, beta2=0.0), mine, other)
    assert not all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in seen)


def test_budget_is_constant_then_cubic_then_constant() -> None:
    left = [budget(step, STEPS, 8, 4, SETTINGS) for step in range(STEPS + 1)]
    assert left[:4] == [8] * 4
    assert left[9:] == [4] * 4
    assert left[6] == int(4 + 4 * 0.5**3)


def test_most_important_is_over_all_targets() -> None:
    kept = most_important({"a": torch.tensor([1.0, 5.0]), "b": torch.tensor([3.0, 0.0])}, 2)
    assert kept["a"].tolist() == [False, True]
    assert kept["b"].tolist() == [True, False]


def test_penalty_is_zero_for_orthonormal_rows_only() -> None:
    branch = AdaLora(torch.eye(3, 5), torch.eye(4, 3), 1.0, 0.0)
    assert branch.penalty().item() == 0.0
    with torch.no_grad():
        branch.lora_A[0, 0] = 2.0
    assert branch.penalty().item() == pytest.approx(9.0)  # (2 * 2 - 1)^2


def test_fresh_adapter_changes_nothing(network: GPT2Classifier, tokens: Tensor) -> None:
    before = network(tokens)
    inject(network, Adaptation(method="adalora", lora=Lora(rank=3)), seed=0)
    assert torch.equal(network(tokens), before)
