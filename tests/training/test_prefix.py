"""Frozen first blocks are computed once a text: which these are, and that nothing else changes."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from loraexp.adapters.inject import inject
from loraexp.api import run_folder
from loraexp.config.schema import Adaptation, Head, LastBlock, Lora, Model, TrainConfig
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.gpt2 import Block
from loraexp.model.prefix_states import Prefix
from loraexp.model.weights import load_classifier
from loraexp.training import fit as fitting
from loraexp.training.callbacks.prefix_cache import PrefixCaching, frozen_blocks
from loraexp.training.run import train

TOKENS = torch.randint(0, 257, (5, 11), generator=torch.Generator().manual_seed(3))
LENGTHS = torch.tensor([11, 3, 1, 8, 1])


@pytest.mark.parametrize(
    ("method", "targets", "blocks"),
    [
        ("lora", ["q_proj"], 0),
        ("lora", ["h.1.attn.q_proj"], 1),
        ("head", ["q_proj"], 2),
        ("last_block", ["q_proj"], 1),
        ("bitfit", ["q_proj"], 0),
        ("full", ["q_proj"], 0),
        ("lora_fa", ["h.1.mlp.fc1"], 1),
    ],
)
def test_blocks_below_the_first_that_trains_are_frozen(
    tiny: Model, method: str, targets: list[str], blocks: int
) -> None:
    network = load_classifier(tiny, Head(), 2, seed=0)
    inject(network, Adaptation(method, lora=Lora(target_modules=targets)), seed=0)
    assert frozen_blocks(network) == blocks


def test_dropout_inside_the_base_leaves_no_prefix(tiny: Model) -> None:
    network = load_classifier(replace(tiny, dropout=0.1), Head(), 2, seed=0)
    assert frozen_blocks(inject(network, Adaptation("head"), seed=0)) == 0


@pytest.mark.parametrize("pooling", ["last_token", "mean", "first", "last_position"])
@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("in_memory", [2**30, 0])
def test_a_batch_of_known_texts_gives_the_same_logits(
    tiny: Model, pooling: str, blocks: int, in_memory: int
) -> None:
    """In memory and from a file; the batch the states come from to the bit, others nearly."""
    network = load_classifier(tiny, Head(pooling=pooling), 2, seed=0).double().eval()
    plain = network(TOKENS, LENGTHS)
    prefix = network.execution.prefix = Prefix(blocks, in_memory)
    prefix.filling = True
    assert torch.equal(network(TOKENS, LENGTHS), plain)
    prefix.filling = False
    ran = counter(network)
    assert torch.equal(network(TOKENS, LENGTHS), plain)
    assert ran == [*network.h][blocks:]
    order = torch.tensor([4, 2, 0])
    some = network(TOKENS[order], LENGTHS[order])
    assert torch.allclose(some, plain[order], rtol=0, atol=1e-12)
    assert ran == 2 * [*network.h][blocks:]
    assert (prefix.folder is not None) == (in_memory == 0)
    unknown = (TOKENS + 1) % 257
    network(unknown, LENGTHS)
    assert ran[-2:] == [*network.h]  # what is not known is computed


def counter(network: GPT2Classifier) -> list[Block]:
    """The blocks that run from now on."""
    ran: list[Block] = []
    for block in network.h:
        block.register_forward_hook(lambda module, *_: ran.append(module))
    return ran


METHODS = [
    {"method": "head"},
    {"method": "last_block", "last_block": LastBlock(1)},
    {"lora": Lora(rank=2, target_modules=["h.1.attn.v_proj"])},
]


@pytest.mark.parametrize("changes", METHODS, ids=["head", "last_block", "lora"])
def test_a_run_learns_what_it_learns_with_states_computed_anew_for_each_batch(
    small: TrainConfig, changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the bit. The control recomputes the prefix, batch for batch as it was filled."""
    config = replace(small, **changes)  # type: ignore[arg-type]
    cached = train(config)

    def anew(self: Prefix, tokens: Tensor, packing: object, pooled: bool) -> Tensor | None:
        found = kept(self, tokens, packing, pooled)  # type: ignore[arg-type]
        if found is not None:
            self.states = {key: state.clone() for key, state in self.states.items()}
            hits.append(len(tokens))
        return found

    hits: list[int] = []
    kept = Prefix.get
    monkeypatch.setattr(Prefix, "get", anew)
    again = train(replace(config, output_dir=str(tmp_path / "again")))
    assert sum(hits) == config.trainer.max_epochs * (24 + 24)  # training and validation texts
    assert again.hashes["adapter"] == cached.hashes["adapter"]
    monkeypatch.setattr(fitting, "PrefixCaching", Nothing)
    plain = train(replace(config, output_dir=str(tmp_path / "plain")))
    first, second = (
        torch.load(
            run_folder(replace(config, output_dir=folder)) / "checkpoints" / "best.ckpt",
            weights_only=True,
        )["state_dict"]
        for folder in (config.output_dir, str(tmp_path / "plain"))
    )
    for name, tensor in first.items():
        assert torch.allclose(tensor, second[name], rtol=0, atol=1e-5), name
    assert cached.metrics["test"]["accuracy"] == plain.metrics["test"]["accuracy"]


class Nothing(PrefixCaching):
    def on_train_start(self, *_: object) -> None:
        """No prefix."""
