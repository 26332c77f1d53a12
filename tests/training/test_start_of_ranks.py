"""Two processes of torchrun (gloo, CPU) begin each of several runs with one adapter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loraexp.records.record import read_record

# As it begins, DDP hands the first process's tensors to the others, and FSDP takes a part of each
# process's: what a process made by itself is seen only before.
PROGRAM = """
import faulthandler, hashlib, json, os, sys
from dataclasses import replace
from pathlib import Path

import loraexp
from loraexp.adapters.inject import adapter_tensors
from loraexp.training import fit

faulthandler.dump_traceback_later(250, exit=True)  # who waits for the other, if any does
rank, folder = os.environ["RANK"], Path(sys.argv[1])
start_from_data, build_model, begun = fit.start_from_data, fit.build_model, {}


def told(network, texts):
    start_from_data(network, texts)
    own = hashlib.sha256()
    for name, tensor in adapter_tensors(network).items():
        own.update(name.encode() + tensor.detach().numpy().tobytes())
    begun.setdefault(number, own.hexdigest())  # FSDP makes another one when it has trained


def otherwise(config, labels, **more):
    return build_model(replace(config, seed=config.seed + int(rank)), labels, **more)


fit.start_from_data = told
small = ["model=tiny", "data.limit=16", "data.batch_size=4", "logger=none"]
small += ["trainer.max_epochs=1", "trainer.precision=fp32"]
for number, typed in enumerate(sys.argv[2:]):
    if typed.endswith(" otherwise"):
        fit.build_model = otherwise
    words = [word for word in typed.split() if word != "otherwise"]
    loraexp.train(loraexp.configure(*small, *words, f"output_dir={folder}/{number}"))
(folder / f"{rank}.json").write_text(json.dumps([*begun.values()]))
"""
RUNS = [
    "trainer=fsdp_cpu",
    "trainer=fsdp_cpu seed=1",
    "trainer=fsdp_cpu method=lora_ga",  # begins with what the data say
    "trainer=ddp_cpu",
    "trainer=ddp_cpu method=lora_ga",
    "trainer=ddp_cpu otherwise",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "program.py").write_text(PROGRAM)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    typed = [*torchrun, str(folder / "program.py"), str(folder), *RUNS]
    done = subprocess.run(typed, capture_output=True, text=True, timeout=290)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow  # two processes
def test_each_process_begins_with_the_same_adapter(folder: Path) -> None:
    one, other = (json.loads((folder / f"{rank}.json").read_text()) for rank in range(2))
    assert len(one) == len(RUNS)
    assert one[:-1] == other[:-1]
    assert one[-1] != other[-1]  # the control: a process that draws with a seed of its own
    assert one[0] == one[3] == one[5]  # both ways begin alike
    assert len({*one[:3]}) == 3  # and what is another run otherwise


@pytest.mark.slow  # the same processes
def test_runs_in_parts_follow_one_another_in_the_same_processes(folder: Path) -> None:
    records = [read_record(*folder.glob(f"{n}/train/*")) for n in range(len(RUNS))]
    assert [r.config["trainer"]["strategy"] for r in records] == ["fsdp"] * 3 + ["ddp"] * 3
    assert all(record.metrics["test"]["n"] == 16 and record.steps == 2 for record in records)
    # The network in parts is trained as the one that is whole in each process.
    for parts, whole in ((0, 3), (2, 4)):
        ours, theirs = (records[n].metrics["test"]["loss"] for n in (parts, whole))
        assert ours == pytest.approx(theirs, abs=1e-5)
