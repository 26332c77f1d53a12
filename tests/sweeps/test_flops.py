"""Operations in closed form are those that torch counts while a step is done."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from each_method import each_method
from small import small_run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from loraexp.adapters.inject import inject
from loraexp.adapters.methods import as_method
from loraexp.config.schema import Head, Lora, TrainConfig
from loraexp.model.classifier import GPT2Classifier
from loraexp.sweeps.forecasts.at_least import of_run
from loraexp.sweeps.forecasts.flops import Flops, Texts, flops
from loraexp.sweeps.forecasts.work import Reading
from loraexp.training.run import train

B, T, CLASSES = 3, 8, 2  # T: a multiple of packing.WIDTHS, so that nothing is filled up
# Which torch's counter leaves out: of the shapes of y += a b.
IN_PLACE = {torch.ops.aten.addmm_: lambda y, a, b, **more: 2 * a[0] * a[1] * b[1]}


def counted(config: TrainConfig, backward: bool = True) -> int:
    """Of a step of the very network. Attention's plain kernel multiplies every pair, seen or not,
    and nothing twice, as a fused one would: so numbers are equal, and need no tolerance."""
    network = GPT2Classifier(config.model, config.head, CLASSES)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    inject(network, config, 0)
    tokens, lengths = torch.randint(0, 250, (B, T)), torch.full((B,), T)
    counter = FlopCounterMode(display=False, custom_mapping=IN_PLACE)
    with sdpa_kernel(SDPBackend.MATH), counter:
        loss = F.cross_entropy(network(tokens, lengths), torch.zeros(B, dtype=torch.long))
        if backward:
            loss.backward()
    return counter.get_total_flops()


def closed_form(config: TrainConfig) -> Flops:
    return flops(config, Texts(B, B * T, B * T * T), CLASSES)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "lora"},
        {"method": "full"},
        {"method": "head"},
        {"method": "last_block"},
        {"method": "bitfit"},
        {"method": "ln_tuning"},
        {"head": Head(pooling="mean")},
        {"lora": Lora(rank=4, target_modules=["q_proj"])},
        {"lora": Lora(rank=4, target_modules=["h.1.attn.out_proj", "score"])},
    ],
    ids=str,
)
def test_a_step_has_the_operations_that_torch_counts(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    config = replace(small_run(tmp_path, epochs=1, logger="none"), **changes)
    found = closed_form(config)
    assert found.forward == counted(config, backward=False)
    assert found.forward + found.backward == counted(config)


@pytest.mark.parametrize("method", each_method())
def test_no_method_does_with_fewer(method: str, tmp_path: Path) -> None:
    config = as_method(small_run(tmp_path, epochs=1, logger="none"), method)
    found = closed_form(config)
    assert found.forward + found.backward <= counted(config)


def test_what_is_frozen_has_fewer_gradients(tmp_path: Path) -> None:
    config = small_run(tmp_path, epochs=1, logger="none")
    head, full, lora = (closed_form(as_method(config, m)) for m in ("head", "full", "lora"))
    assert head.above == head.backward == 2 * B * 16 * CLASSES
    assert (full.below, full.backward) == (0, 2 * full.forward)
    assert (lora.below, lora.backward < full.backward) == (0, True)


def test_what_is_not_seen_is_no_pair() -> None:
    assert Texts.of([3, 1], causal=True) == Texts(2, 4, 6 + 1)
    assert Texts.of([3, 1], causal=False) == Texts(2, 4, 9 + 1)


def of_training(outputs: Path, method: str, epochs: int) -> tuple[int, float]:
    """What torch counts of a run, and what is said of it; of texts of one length, so that nothing
    is filled up, each token of which sees all."""
    config = as_method(small_run(outputs / f"{method}-{epochs}", epochs, logger="none"), method)
    config.data.max_length, config.model.causal = 4, False
    counter = FlopCounterMode(display=False, custom_mapping=IN_PLACE)
    with sdpa_kernel(SDPBackend.MATH), counter:
        train(config)
    return counter.get_total_flops(), of_run(config, Reading().work(config), "whole", 2, 1)


@pytest.mark.slow
def test_an_epoch_more_has_just_what_is_said(tmp_path: Path) -> None:
    (one, said_of_one), (two, said_of_two) = (of_training(tmp_path, "lora", n) for n in (1, 2))
    assert two - one == said_of_two - said_of_one


@pytest.mark.slow
def test_a_run_has_no_fewer(tmp_path: Path) -> None:
    counted, said = of_training(tmp_path, "last_block", 2)
    assert 0.8 * counted < said < counted  # what is checked before the first step is not counted
