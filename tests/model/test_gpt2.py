"""Our GPT-2 against transformers, naive loops and published counts."""

import tempfile
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import GPT2Config, GPT2ForSequenceClassification

from loraexp.commands.params import read_model
from loraexp.config.schema import Head, Model
from loraexp.model.classifier import GPT2Classifier, empty_classifier
from loraexp.model.gpt2 import GPT2
from loraexp.model.weights import load_classifier

POOLINGS: tuple[str, ...] = next(f for f in fields(Head) if f.name == "pooling").metadata["choices"]
RAGGED = [9, 1, 4, 7]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}


def pair(model: Model, seed: int = 0) -> tuple[GPT2Classifier, GPT2ForSequenceClassification]:
    """Ours and transformers' with the same weights, handed over in a checkpoint folder."""
    config = GPT2Config(
        vocab_size=model.vocab_size,
        n_positions=model.context,
        n_embd=model.d_model,
        n_layer=model.n_layer,
        n_head=model.n_head,
        num_labels=3,
        pad_token_id=model.vocab_size - 1,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    theirs = GPT2ForSequenceClassification(config).eval()
    shake(theirs, seed)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = load_classifier(replace(model, weights=folder), Head(), 3, seed=0).eval()
    ours.score.load_state_dict(theirs.score.state_dict())
    return ours, theirs


def shake(network: torch.nn.Module, seed: int = 0) -> None:
    """Weights so far from a fresh start that every bias and layer norm shows in the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.3, generator=generator)


def batch(model: Model, lengths: list[int], seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Random tokens padded on the right with the last id, their mask (B, T) and lengths (B,)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(lengths), max(lengths))
    tokens = torch.randint(model.vocab_size - 1, shape, generator=generator)
    mask = torch.arange(shape[1]) < torch.tensor(lengths)[:, None]
    return tokens.where(mask, torch.tensor(model.vocab_size - 1)), mask, torch.tensor(lengths)


def distance(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


@pytest.fixture
def ours(tiny: Model) -> GPT2Classifier:
    network = load_classifier(tiny, Head(), 3, seed=0).eval()
    shake(network)
    return network


geometries = st.builds(
    lambda n_layer, n_head, width: Model(
        n_layer=n_layer, n_head=n_head, d_model=n_head * width, context=24, vocab_size=50
    ),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 8),
)
ragged = st.lists(st.integers(1, 24), min_size=1, max_size=4)


@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(deadline=None, max_examples=12)
@given(model=geometries, lengths=ragged, seed=st.integers(0, 99))
@torch.no_grad()
def test_hidden_states_equal_those_of_transformers(
    dtype: torch.dtype, model: Model, lengths: list[int], seed: int
) -> None:
    ours, theirs = (network.to(dtype) for network in pair(model, seed))
    tokens, mask, _ = batch(model, lengths, seed)
    expected = theirs.transformer(tokens, attention_mask=mask.long()).last_hidden_state
    assert distance(GPT2.forward(ours, tokens)[mask], expected[mask]) <= TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", TOLERANCE)
@settings(deadline=None, max_examples=12)
@given(model=geometries, lengths=ragged, seed=st.integers(0, 99))
@torch.no_grad()
def test_logits_equal_those_of_transformers(
    dtype: torch.dtype, model: Model, lengths: list[int], seed: int
) -> None:
    ours, theirs = (network.to(dtype) for network in pair(model, seed))
    tokens, mask, n = batch(model, lengths, seed)
    expected = theirs(tokens, attention_mask=mask.long()).logits
    assert distance(ours(tokens, n), expected) <= TOLERANCE[dtype]


@pytest.mark.parametrize("wrong", ["transposed", "q and k swapped", "last_position", "no position"])
@torch.no_grad()
def test_a_wrong_network_differs_from_transformers(tiny: Model, wrong: str) -> None:
    ours, theirs = pair(tiny)
    attention = ours.h[0].attn
    if wrong == "transposed":
        attention.out_proj.weight.copy_(attention.out_proj.weight.t().clone())
    elif wrong == "q and k swapped":
        attention.q_proj, attention.k_proj = attention.k_proj, attention.q_proj
    elif wrong == "last_position":
        ours.pooling = wrong
    else:
        ours.wpe.weight.zero_()
    tokens, mask, n = batch(tiny, RAGGED)
    assert distance(ours(tokens, n), theirs(tokens, attention_mask=mask.long()).logits) > 1e-2


def pooled_by_hand(hidden: Tensor, lengths: list[int], pooling: str) -> Tensor:
    rows = []
    for row, length in zip(hidden, lengths, strict=True):
        real = [row[t] for t in range(max(length, 1))]
        choices = {
            "first": real[0],
            "last_token": real[-1],
            "last_position": row[row.shape[0] - 1],
            "mean": torch.stack(real).sum(0) / len(real),
        }
        rows.append(choices[pooling])
    return torch.stack(rows)


@pytest.mark.parametrize("pooling", POOLINGS)
@settings(deadline=None, max_examples=25)
@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=5), spare=st.integers(0, 3))
def test_pooled_states_equal_a_loop_over_the_padded_texts(
    pooling: str, lengths: list[int], spare: int
) -> None:
    config = Model(weights="random", n_layer=2, n_head=2, d_model=8, context=16, vocab_size=40)
    ours = load_classifier(config, Head(pooling=pooling), 2, seed=0).double()
    shake(ours)
    T = max([1, *lengths]) + spare
    tokens = torch.randint(0, 40, (len(lengths), T))
    # the loop: every text alone, all T positions of it, nothing packed
    hidden = torch.cat([GPT2.forward(ours, row[None]) for row in tokens])
    expected = ours.score(pooled_by_hand(hidden, lengths, pooling))
    assert distance(ours(tokens, torch.tensor(lengths)), expected) <= 1e-12


def test_no_two_poolings_agree_on_a_ragged_batch(tiny: Model, ours: GPT2Classifier) -> None:
    tokens, _, n = batch(tiny, RAGGED)
    logits = []
    for ours.pooling in POOLINGS:
        logits.append(ours(tokens, n))
    for i, a in enumerate(logits):
        assert all(distance(a, b) > 1e-2 for b in logits[:i])


@pytest.mark.parametrize("pooling", POOLINGS)
def test_only_last_position_sees_what_padding_holds(
    tiny: Model, ours: GPT2Classifier, pooling: str
) -> None:
    ours.pooling = pooling
    tokens, mask, n = batch(tiny, RAGGED)
    other = tokens.where(mask, torch.tensor(3))
    change = distance(ours(tokens, n), ours(other, n))
    assert change > 1e-2 if pooling == "last_position" else change <= 1e-6


@pytest.mark.parametrize("pooling", POOLINGS)
def test_only_last_position_sees_how_much_padding_there_is(
    tiny: Model, ours: GPT2Classifier, pooling: str
) -> None:
    ours.pooling = pooling
    tokens, _, n = batch(tiny, RAGGED)
    wider = F.pad(tokens, (0, 5), value=tiny.vocab_size - 1)
    change = distance(ours(tokens, n), ours(wider, n))
    assert change > 1e-2 if pooling == "last_position" else change <= 1e-5


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_without_tokens_counts_as_one_padding_long(
    tiny: Model, ours: GPT2Classifier, pooling: str
) -> None:
    ours.pooling = pooling
    tokens, _, n = batch(tiny, [0, 1, 5])
    one = n.clamp(min=1)
    assert torch.equal(ours(tokens, n), ours(tokens, one))
    assert ours(tokens, n).isfinite().all()


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_of_one_token_is_that_token(tiny: Model, ours: GPT2Classifier, pooling: str) -> None:
    ours.pooling = pooling
    expected = ours.score(GPT2.forward(ours, torch.tensor([[5]]))[:, 0])
    assert distance(ours(torch.tensor([[5]]), torch.tensor([1])), expected) <= 1e-6


@torch.no_grad()
def test_a_real_token_with_the_id_of_padding_is_not_padding(tiny: Model) -> None:
    ours, theirs = pair(tiny)
    pad = tiny.vocab_size - 1
    text = torch.tensor([[5, pad, 7, pad]])
    padded = F.pad(text, (0, 3), value=pad)
    assert distance(ours(padded, torch.tensor([4])), ours(text)) <= 1e-5
    # transformers goes by the id, so it reads the 7: the very mistake.
    assert distance(theirs(padded).logits, ours(text)) > 1e-2
    assert distance(theirs(padded).logits, ours(padded, torch.tensor([3]))) <= 1e-4


def test_dropout_acts_in_training_only(tiny: Model) -> None:
    network = GPT2Classifier(replace(tiny, dropout=0.5), Head(), 3)
    shake(network)
    tokens, _, n = batch(tiny, RAGGED)
    assert distance(network.train()(tokens, n), network(tokens, n)) > 1e-2
    assert torch.equal(network.eval()(tokens, n), network(tokens, n))


@pytest.mark.parametrize(
    ("name", "base", "with_head"),
    [
        ("distilgpt2", 81_912_576, 81_914_114),
        ("gpt2", 124_439_808, 124_441_346),
        ("gpt2-medium", 354_823_168, 354_825_218),
        ("gpt2-large", 774_030_080, 774_032_642),
        ("gpt2-xl", 1_557_611_200, 1_557_614_402),
    ],
)
def test_published_sizes_have_the_published_number_of_parameters(
    name: str, base: int, with_head: int
) -> None:
    network = empty_classifier(read_model(name), Head(bias=True), 2)
    head = sum(p.numel() for p in network.score.parameters())
    total = sum(p.numel() for p in network.parameters())
    assert (total - head, total) == (base, with_head)
