"""A method is what its row says: the keys it stands for, where it comes from, what it refuses."""

import re
from pathlib import Path

import peft
import pytest
import torch
from layers import OneLinear, base_layer
from peft.optimizers import create_loraplus_optimizer
from torch import nn

from loraexp.adapters import methods
from loraexp.adapters.branches import BRANCHES
from loraexp.adapters.counts import Counts
from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.adapters.learning import optimizer_groups
from loraexp.adapters.methods import METHODS, as_method, check_method
from loraexp.adapters.targets import Target
from loraexp.api import configure
from loraexp.config.schema import Adaptation, LastBlock, Lora, TrainConfig
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier


@pytest.mark.parametrize("method", METHODS)
def test_a_row_names_its_paper_and_formula(method: str) -> None:
    assert re.search(r"\(\D+ 20\d\d.*\)$", METHODS[method].summary)
    lines = Path(methods.__file__).read_text().splitlines()
    (row,) = [n for n, line in enumerate(lines) if line.startswith(f'    "{method}": ')]
    assert lines[row - 1].startswith("    # ")  # its formula, and where it differs from PEFT's


def test_every_branch_says_its_formula_and_source() -> None:
    for kind in BRANCHES.values():
        assert re.search(r"\d{4}[^)]*(section|eq\.)", kind.__doc__ or ""), kind
    assert not re.search(r"\d{4}[^)]*(section|eq\.)", Counts.__doc__ or "")  # the control


REFUSED = [
    ("rslora", Lora(), "method=rslora needs lora.scaling=alpha_over_sqrt_r, got alpha_over_r"),
    ("pissa", Lora(init="olora"), "method=pissa needs lora.init=pissa, got olora"),
    ("olora", Lora(), "method=olora needs lora.init=olora, got kaiming"),
    ("lora_plus", Lora(), "method=lora_plus needs lora.lr_ratio above 1, got 1"),
    ("oft", Lora(dropout=0.1), r"method=oft has no lora.dropout: it must be 0.0, got 0.1"),
    ("lora_plus", Lora(lr_ratio=0.5), "method=lora_plus needs lora.lr_ratio above 1, got 0.5"),
    *(
        (
            method,
            Lora(init="pissa"),
            f"lora.init=pissa belongs to method=pissa, got method={method}",
        )
        for method, row in METHODS.items()
        if row.branch not in (None, "FromStart") and not row.lora
    ),
]


@pytest.mark.parametrize(("method", "lora", "message"), REFUSED)
def test_a_key_that_contradicts_its_method_is_refused(
    method: str, lora: Lora, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        check_method(Adaptation(method, lora=lora))
    check_method(as_method(Adaptation(method, lora=lora), method))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_refuses_a_second_adapter_and_targets_that_are_not_there(
    network: GPT2Classifier, method: str
) -> None:
    config = as_method(Adaptation(last_block=LastBlock(1)), method)
    if METHODS[method].branch is None:
        inject(inject(network, config, seed=0), config, seed=0)  # nothing is attached
        return
    for key, message in (
        ({"target_modules": ["attn"]}, "'attn' matches nothing; did you mean 'c_attn'"),
        ({"target_modules": []}, "lora.target_modules is empty"),
        ({"rank_pattern": {"fc1": 2}}, "lora.rank_pattern: 'fc1' matches no adapted module"),
    ):
        with pytest.raises(UserError, match=message):
            inject(network, as_method(Adaptation(lora=Lora(**key)), method), seed=0)
    inject(network, config, seed=0)
    with pytest.raises(UserError, match="has an adapter already"):
        inject(network, config, seed=0)


def rates(network: GPT2Classifier, config: TrainConfig) -> dict[str, float]:
    groups = optimizer_groups(network, config)
    found = {id(p): group.get("lr", config.optim.lr) for group in groups for p in group["params"]}
    return {name: found[id(p)] for name, p in adapter_tensors(network).items()}


def test_lora_plus_gives_b_its_own_rate_as_pefts_optimizer_does(network: GPT2Classifier) -> None:
    """From the command line's method=lora_plus on; the ratio can be tuned, but not be 1."""
    config = configure("method=lora_plus", "optim.lr=1e-3")
    assert config.lora == as_method(Adaptation(), "lora_plus").lora
    ours = rates(inject(network, config, seed=1), config)
    assert {rate for name, rate in ours.items() if name.endswith("lora_B")} == {16e-3}
    assert {rate for name, rate in ours.items() if not name.endswith("lora_B")} == {1e-3}
    assert configure("method=lora_plus", "lora.lr_ratio=4").lora.lr_ratio == 4.0
    assert as_method(config, "lora").lora.lr_ratio == 1.0
    model = peft.get_peft_model(
        OneLinear(base_layer()), peft.LoraConfig(r=2, target_modules=["proj"])
    )
    theirs = create_loraplus_optimizer(model, torch.optim.AdamW, lr=1e-3, loraplus_lr_ratio=16.0)
    named = {id(p): name for name, p in model.named_parameters()}
    for group in theirs.param_groups:
        for parameter in group["params"]:
            assert group["lr"] == (16e-3 if "lora_B" in named[id(parameter)] else 1e-3)


@pytest.mark.parametrize("rank", [1, 3, 5, 32])
def test_oft_needs_blocks_that_fill_the_input_and_says_which_do(
    network: GPT2Classifier, rank: int
) -> None:
    message = (
        r"^method=oft needs a lora\.rank above 1 that divides 16, the inputs of h\.0\.attn\.q_proj "
        rf"\(2, 4, 8, 16\), got {rank}$"
    )
    config = Adaptation("oft", lora=Lora(rank=rank))
    with pytest.raises(UserError, match=message):
        inject(network, config, seed=0)
    with torch.device("meta"):  # a sweep's jobs are checked so, before the first one trains
        empty = nn.ModuleDict({"q": nn.Linear(16, 16)})
    with pytest.raises(UserError, match="method=oft needs"):
        BRANCHES["Oft"].empty(empty["q"], config, Target("q", rank, 1.0))
    inject(network, Adaptation("oft", lora=Lora(rank=4)), seed=0)
