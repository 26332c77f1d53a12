"""trainer.compile, from the config to the step: what it changes is the time of a step alone."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from each_method import each_method
from safetensors.torch import load_file
from torch import Tensor

from loraexp.adapters.adapter_files import TENSORS
from loraexp.adapters.inject import adapter_tensors
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.model import gpt2
from loraexp.runs.load import build_model, read_config
from loraexp.runs.naming import run_name
from loraexp.runtime.hardware import prepare_compiler
from loraexp.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")  # torch's compiler warns of itself

TOKENS = torch.randint(0, 256, (4, 12), generator=torch.Generator().manual_seed(5))
LENGTHS = torch.tensor([12, 3, 7, 1])


def compiling(config: TrainConfig, **more: bool) -> TrainConfig:
    return replace(config, trainer=replace(config.trainer, compile=True, **more))


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What torch.compile was given to compile, run as it is: no C++ compiler is called."""
    found: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        found.append(graph)
        return graph

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    gpt2.compiled.cache_clear()
    torch.compiler.reset()
    yield found
    gpt2.compiled.cache_clear()


def gradients(config: TrainConfig) -> dict[str, Tensor]:
    network = build_model(config, ("ham", "spam")).network.train()
    F.cross_entropy(network(TOKENS, LENGTHS), torch.tensor([0, 1, 1, 0])).backward()
    return {n: t.grad for n, t in adapter_tensors(network).items() if t.grad is not None}


@pytest.mark.parametrize("method", each_method())
def test_gradients_are_those_without_it(
    small: TrainConfig, graphs: list[object], method: str
) -> None:
    plain = as_method(small, method)
    wanted = gradients(plain)
    assert graphs == []
    found = gradients(compiling(plain))
    assert graphs
    assert found.keys() == wanted.keys()
    for name, gradient in found.items():
        assert torch.allclose(gradient, wanted[name], rtol=1e-5, atol=1e-7), name


def test_it_goes_with_checkpointing(small: TrainConfig, graphs: list[object]) -> None:
    wanted = gradients(small)
    found = gradients(compiling(small, gradient_checkpointing=True))
    assert graphs
    assert all(torch.allclose(found[n], wanted[n], rtol=1e-5, atol=1e-7) for n in wanted)


def test_blocks_share_what_is_compiled(small: TrainConfig, graphs: list[object]) -> None:
    """By whether a gradient reaches the input, and whether all tokens are wanted: not by block."""
    longer = replace(small, model=replace(small.model, n_layer=6))
    gradients(compiling(longer))
    assert len(graphs) <= 3


def test_what_is_reported_is_computed_without_it(small: TrainConfig, graphs: list[object]) -> None:
    network = build_model(compiling(small), ("ham", "spam")).network.eval()
    with torch.inference_mode():
        network(TOKENS, LENGTHS)
    assert graphs == []


def test_no_compiler_is_said_before_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"^trainer\.compile=true needs a C\+\+ compiler"):
        prepare_compiler()


def test_a_run_of_before_keeps_its_name_and_is_read(small: TrainConfig) -> None:
    assert run_name(compiling(small)) != run_name(small)
    card = {"config": asdict(small), "precision": "fp32"}
    del card["config"]["trainer"]["compile"]
    wanted = replace(small, trainer=replace(small.trainer, precision="fp32"))
    assert read_config(card, Path()) == wanted
    assert "compile" not in card["config"]["trainer"]
    del card["config"]["trainer"]["accumulate"]
    with pytest.raises(UserError, match="damaged"):
        read_config(card, Path())


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler on this machine"
)
def test_a_run_with_it_leaves_the_adapter_of_one_without(small: TrainConfig) -> None:
    plain = replace(small, trainer=replace(small.trainer, max_epochs=1))
    tensors = []
    for config in (plain, compiling(plain)):
        train(config)
        tensors.append(load_file(run_folder(config) / "adapter" / TENSORS))
    assert all(torch.allclose(t, tensors[0][n], rtol=0, atol=1e-5) for n, t in tensors[1].items())
    assert all(t.any() for name, t in tensors[1].items() if name.endswith("lora_B"))
