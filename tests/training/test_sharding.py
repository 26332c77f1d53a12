"""Two processes (gloo, CPU) that hold a network in parts train what one process trains."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process import command
from safetensors.torch import load_file
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from loraexp.config.rules import check
from loraexp.config.schema import Head, Model, TrainConfig
from loraexp.data.batching import LengthGrouped
from loraexp.errors import UserError
from loraexp.model.weights import load_classifier
from loraexp.sweeps.jobs import check_jobs
from loraexp.training.sharding import gathered, part, shard

# 40 texts in batches of 4: in the validation of two processes one has a batch less than the other.
SETTINGS = [
    "train",
    "model=tiny",
    "method=full",
    "data.limit=40",
    "data.batch_size=4",
    "trainer.precision=fp32",
    "trainer.max_epochs=3",
    "optim.lr=1e-3",
    "optim.grad_clip=0.5",
    "logger=none",
]
# The batches of a step of two processes, one after another: the same texts in each step.
ONE = ["trainer=cpu", "trainer.accumulate=2"]
# The command line, which with ENDED=yes ends, in each process, as the third epoch begins.
PROGRAM = """
import os

from loraexp.cli import main
from loraexp.training.checkpoints import EpochSeeds


def ended(self, trainer, module, batch, index):
    if trainer.current_epoch == 2:
        os._exit(7)


if os.environ.get("ENDED"):
    EpochSeeds.on_train_batch_start = ended
main()
"""


@pytest.fixture
def mesh() -> Iterator[object]:
    """Of this process alone: every part is then the whole, and all calls are the same."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    torch.distributed.destroy_process_group()


def stepped(network: torch.nn.Module, tokens: Tensor) -> torch.optim.Optimizer:
    """After a step whose gradient is clipped."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2, fused=True)
    network(tokens).square().sum().backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
    optimizer.step()
    return optimizer


def test_a_network_in_parts_takes_the_step_of_a_whole_one(tiny: Model, mesh: object) -> None:
    whole = load_classifier(tiny, Head(), 2, seed=0)
    network, start = deepcopy(whole), deepcopy(whole)
    shard(network, mesh)  # type: ignore[arg-type]
    tokens = torch.arange(12).view(2, 6)
    optimizers = [stepped(one, tokens) for one in (whole, network)]
    for (name, own), (_, parts) in zip(
        whole.named_parameters(), network.named_parameters(), strict=True
    ):
        assert isinstance(parts, DTensor)  # between steps nothing is whole
        assert torch.allclose(gathered(parts), own, rtol=0, atol=1e-6), name
        states = [o.state[p] for o, p in zip(optimizers, (own, parts), strict=True)]
        for key, value in states[0].items():
            together = gathered(states[1][key])
            assert type(together) is Tensor
            assert torch.allclose(together, value, rtol=0, atol=1e-6)
            again = gathered(part(together, parts))
            assert torch.equal(again, together)
    # A control: the step was one.
    assert not torch.allclose(whole.score.weight, start.score.weight, rtol=0, atol=1e-6)


@pytest.mark.parametrize("texts", [1, 7, 8, 9, 40])
@pytest.mark.parametrize("seed", [None, 0])
def test_the_first_of_several_processes_has_most_batches(texts: int, seed: int | None) -> None:
    samplers = [LengthGrouped([1] * texts, 4, seed=seed, rank=r, world=3) for r in range(3)]
    assert {s.rounds for s in samplers} == {max(map(len, samplers))}
    assert [len(s) for s in samplers] == [len([*s]) for s in samplers]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"devices": 1}, "needs trainer.devices of at least 2, got 1"),
        ({"compile": True}, "needs trainer.compile=false, got true"),
    ],
)
def test_what_cannot_be_in_parts_is_refused(
    small: TrainConfig, settings: dict[str, object], message: str
) -> None:
    trainer = replace(small.trainer, devices=2, strategy="fsdp")
    check(replace(small, trainer=trainer))
    with pytest.raises(UserError, match=f"^trainer.strategy=fsdp {message}$"):
        check(replace(small, trainer=replace(trainer, **settings)))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["adalora", "dylora"])
def test_a_method_that_works_between_steps_is_refused_before_training(
    small: TrainConfig, method: str
) -> None:
    small.trainer.devices, small.trainer.strategy = 2, "fsdp"
    check_jobs([small])
    with pytest.raises(UserError, match=rf"^trainer\.strategy=fsdp cannot train method={method}, "):
        check_jobs([replace(small, method=method)])


Left = tuple[dict[str, Any], dict[str, Tensor]]


def left(folder: Path) -> Left:
    """The record and the tensors of the one run in a folder."""
    (file,) = folder.glob("train/*/record.json")
    tensors = load_file(file.parent / "adapter" / "adapter_model.safetensors")
    return json.loads(file.read_text()), tensors


def by_two(folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    typed = [sys.executable, str(program), *SETTINGS, "trainer=fsdp_cpu", f"output_dir={folder}"]
    environment = os.environ | more
    return subprocess.run(typed, capture_output=True, text=True, timeout=300, env=environment)


def by_one(folder: Path, *more: str) -> Left:
    status, _, err = command(folder, *SETTINGS, *ONE, f"output_dir={folder}", *more)
    assert status == 0, err
    return left(folder)


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing cut short."""
    folder = tmp_path_factory.mktemp("two")
    done = by_two(folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("method trainable") == 1, "only the main process prints a table"
    return folder


@pytest.mark.slow  # two processes
def test_two_processes_with_parts_train_what_one_does(whole: Path, tmp_path: Path) -> None:
    (together, parts), (alone, tensors) = left(whole), by_one(tmp_path)
    assert largest_difference(parts, tensors) < 1e-6
    assert together["steps"] == alone["steps"] == 15
    assert together["predictions"] == alone["predictions"]
    for split in ("train", "validation", "test"):
        assert together["metrics"][split]["n"] == alone["metrics"][split]["n"] == 40
        ours, theirs = (record["metrics"][split]["loss"] for record in (together, alone))
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert together["config"]["trainer"]["strategy"] == "fsdp"
    assert together["device"].startswith("2 x ")
    (tmp_path / "other").mkdir()
    _, others = by_one(tmp_path / "other", "trainer.accumulate=1")  # a control: other steps
    assert largest_difference(parts, others) > 1e-3


@pytest.mark.slow  # two processes
@pytest.mark.parametrize("verb", ["verify", "eval", "merge"])
def test_what_two_processes_leave_is_a_run_like_any(whole: Path, verb: str) -> None:
    (run,) = whole.glob("train/*")
    more = [f"out={whole / 'merged'}"] if verb == "merge" else []
    status, out, err = command(whole, verb, f"run={run}", *more)
    assert status == 0, out + err


@pytest.mark.slow  # two processes, twice
def test_a_run_in_parts_that_was_killed_goes_on_to_the_same_bits(
    whole: Path, tmp_path: Path
) -> None:
    assert by_two(tmp_path, ENDED="yes").returncode == 7
    (file,) = tmp_path.glob("train/*/checkpoints/last.ckpt")
    kept = torch.load(file, weights_only=True)
    (state,) = kept["optimizer_states"]
    averages = [values["exp_avg"] for values in state["state"].values()]
    assert [a.shape for a in averages] == [t.shape for t in kept["state_dict"].values()]
    done = by_two(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "going on after epoch 2" in done.stderr
    (again, parts), (record, tensors) = left(tmp_path), left(whole)
    assert largest_difference(parts, tensors) == 0
    assert again["metrics"] == record["metrics"]
    # A control: the epoch that was trained again moved them.
    assert largest_difference(kept["state_dict"], tensors) > 1e-3
