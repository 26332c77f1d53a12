"""Counts of parameters against closed formulas and the published sizes of GPT-2."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from loraexp.adapters.counts import Counts, count_shapes
from loraexp.adapters.inject import count, inject
from loraexp.adapters.methods import METHODS, as_method
from loraexp.commands.params import read_model
from loraexp.config.schema import Adaptation, Head, LastBlock, Lora, Model
from loraexp.errors import UserError
from loraexp.model.classifier import empty_classifier
from loraexp.model.shapes import linear_shapes, shapes

# Features in and out of each linear layer, in units of the width.
SHAPES = {
    "q_proj": (1, 1),
    "k_proj": (1, 1),
    "v_proj": (1, 1),
    "out_proj": (1, 1),
    "fc1": (1, 4),
    "fc2": (4, 1),
}

TARGETS = {
    "q,v": ["q_proj", "v_proj"],
    "q,k,v": ["q_proj", "k_proj", "v_proj"],
    "q,k,v,out": ["q_proj", "k_proj", "v_proj", "out_proj"],
    "fc1,fc2": ["fc1", "fc2"],
    "all six": list(SHAPES),
}

# LoRA parameters a unit of rank, in the order of TARGETS; each sum of in + out times the blocks.
PER_RANK = {
    "gpt2": (36_864, 55_296, 73_728, 92_160, 165_888),
    "gpt2-medium": (98_304, 147_456, 196_608, 245_760, 442_368),
    "gpt2-large": (184_320, 276_480, 368_640, 460_800, 829_440),
    "gpt2-xl": (307_200, 460_800, 614_400, 768_000, 1_382_400),
}

# What transformers counts for GPT2ForSequenceClassification with two classes, with a bias.
WITH_HEAD = {
    "gpt2": 124_441_346,
    "gpt2-medium": 354_825_218,
    "gpt2-large": 774_032_642,
    "gpt2-xl": 1_557_614_402,
}

geometries = st.builds(
    lambda heads, width, **sizes: Model(n_head=heads, d_model=heads * width, **sizes),
    heads=st.integers(1, 3),
    width=st.integers(1, 8),
    n_layer=st.integers(1, 4),
    context=st.integers(1, 64),
    vocab_size=st.integers(2, 300),
)


def counted(model: Model, config: Adaptation, head: Head | None = None, classes: int = 2) -> Counts:
    return count(inject(empty_classifier(model, head or Head(), classes), config, seed=0))


def block_size(d: int) -> int:
    """Two norms, four d x d and two d x 4d linears, all with biases."""
    return 12 * d * d + 13 * d


def base_size(model: Model) -> int:
    d = model.d_model
    return (model.vocab_size + model.context) * d + model.n_layer * block_size(d) + 2 * d


def lora_size(model: Model, rank: int, targets: Sequence[str]) -> int:
    return rank * model.n_layer * model.d_model * sum(sum(SHAPES[name]) for name in targets)


@settings(deadline=None, max_examples=40)
@given(
    model=geometries,
    rank=st.integers(1, 9),
    targets=st.lists(st.sampled_from(list(SHAPES)), min_size=1, unique=True),
    classes=st.integers(2, 5),
    bias=st.booleans(),
)
def test_lora_counts_rank_times_in_plus_out(
    model: Model, rank: int, targets: list[str], classes: int, bias: bool
) -> None:
    lora = Lora(rank=rank, target_modules=targets)
    counts = counted(model, Adaptation("lora", lora=lora), Head(bias=bias), classes)
    head = classes * (model.d_model + bias)
    size = lora_size(model, rank, targets)
    assert counts == Counts(
        trainable=size + head,
        total=base_size(model) + size + head,
        adapted_modules=model.n_layer * len(targets),
        low_rank_modules=model.n_layer * len(targets),
    )


@settings(deadline=None, max_examples=30)
@given(model=geometries, classes=st.integers(2, 5), bias=st.booleans(), data=st.data())
def test_methods_without_a_branch_count_what_they_train(
    model: Model, classes: int, bias: bool, data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, model.n_layer))
    d, head = model.d_model, classes * (model.d_model + bias)
    trained = {
        "full": base_size(model),
        "head": 0,
        "last_block": n * block_size(d) + 2 * d,
        "bitfit": model.n_layer * (4 * d + 5 * d + 2 * d) + d,  # four + two linears, norms
        "ln_tuning": model.n_layer * 4 * d + 2 * d,
    }
    assert trained.keys() == {name for name, method in METHODS.items() if method.branch is None}
    for method, size in trained.items():
        config = Adaptation(method, last_block=LastBlock(n))
        counts = counted(model, config, Head(bias=bias), classes)
        assert counts == Counts(size + head, base_size(model) + head, adapted_modules=0)


@settings(deadline=None, max_examples=15)
@given(
    model=geometries,
    rank=st.integers(1, 9),
    targets=st.lists(st.sampled_from(list(SHAPES)), min_size=1, unique=True),
    classes=st.integers(2, 5),
    bias=st.booleans(),
    fc1=st.none() | st.integers(1, 9),
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_counted_without_tensors_equals_what_is_counted_with_them(
    method: str,
    model: Model,
    rank: int,
    targets: list[str],
    classes: int,
    bias: bool,
    fc1: int | None,
) -> None:
    pattern = {"fc1": fc1} if fc1 and "fc1" in targets else {}
    lora = Lora(rank=rank, target_modules=targets, rank_pattern=pattern)
    config = as_method(Adaptation(lora=lora), method)
    sizes, linears = shapes(model, Head(bias=bias), classes), list(linear_shapes(model))
    try:
        wanted = counted(model, config, Head(bias=bias), classes)
    except UserError as error:
        assert method == "oft"
        with pytest.raises(UserError, match=re.escape(str(error))):
            count_shapes(sizes, linears, config)
        return
    assert count_shapes(sizes, linears, config) == wanted
    larger = {**sizes, "score.weight": (classes + 1, model.d_model)}
    assert count_shapes(larger, linears, config) != wanted


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("name", PER_RANK)
def test_lora_on_a_published_size_counts_rank_times_the_table(name: str, targets: str) -> None:
    model, rank = read_model(name), 8
    lora = Lora(rank=rank, target_modules=TARGETS[targets])
    per_rank = PER_RANK[name][list(TARGETS).index(targets)]
    trainable = counted(model, Adaptation("lora", lora=lora)).trainable
    assert trainable == rank * per_rank + 2 * model.d_model


@pytest.mark.parametrize("name", WITH_HEAD)
def test_a_published_size_has_as_many_parameters_as_in_transformers(name: str) -> None:
    model = read_model(name)
    assert counted(model, Adaptation("full"), Head(bias=True)).trainable == WITH_HEAD[name]
    wrong = replace(model, n_layer=model.n_layer + 1)
    assert counted(wrong, Adaptation("full"), Head(bias=True)).trainable != WITH_HEAD[name]


def test_counting_takes_no_memory() -> None:
    network = inject(empty_classifier(Model(), Head(), 2), Adaptation(), seed=0)
    assert {p.device for p in network.parameters()} == {torch.device("meta")}


def test_a_matrix_of_768_by_768_at_rank_8_has_12288_and_not_589824() -> None:
    assert 768 * 768 == 589_824
    one = Lora(rank=8, target_modules=["h.0.attn.q_proj"])
    assert counted(Model(), Adaptation(lora=one)).trainable - 2 * 768 == 12_288


@pytest.mark.parametrize("method", METHODS)
def test_low_rank_modules_are_those_of_a_method_with_a_rank(method: str, tiny: Model) -> None:
    counts = counted(tiny, as_method(Adaptation(), method))
    assert (counts.low_rank_modules > 0) == METHODS[method].has_rank
    assert (counts.adapted_modules > 0) == (METHODS[method].branch is not None)


def test_percent_and_bytes_follow_from_the_counts() -> None:
    assert Counts(trainable=250, total=1000, adapted_modules=1).as_dict() == {
        "trainable": 250,
        "total": 1000,
        "adapted_modules": 1,
        "held": 0,
        "low_rank_modules": 0,
        "percent": 25.0,
        "adapter_bytes": 1000,
    }
    assert Counts(trainable=250, total=1000, adapted_modules=1, held=50).adapter_bytes == 1200
