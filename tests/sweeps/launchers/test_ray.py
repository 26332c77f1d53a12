"""What is asked of a Ray cluster, and said of one that cannot give it; none is begun."""

import socket
from importlib import import_module
from typing import Any

import pytest

from loraexp.config.sweep import Launcher
from loraexp.errors import UserError

pytest.importorskip("ray", reason="pip install 'ray>=2.55' (80 MB), as make test-slow does it")
engine: Any = import_module("loraexp.sweeps.launchers.ray")  # which needs ray
pytestmark = pytest.mark.slow  # only there is Ray sure to be installed


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(
            UserError, match=r"nothing answers at .*: Connection refused \(ray start"
        ):
            engine.begin(address)
    for wrong, why in {
        "head": "Invalid address format",
        "ray://head:1": "not Ray's client",
    }.items():
        with pytest.raises(UserError, match=f"launcher.address={wrong}: {why}"):
            engine.begin(wrong)


def test_what_no_node_has_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [
        {"Alive": True, "Resources": {"CPU": 8.0, "memory": 4.0 * 2**30}},
        {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0, "memory": 16.0 * 2**30}},
        {"Alive": False, "Resources": {"CPU": 99.0, "GPU": 9.0, "memory": 99.0 * 2**30}},
    ]
    monkeypatch.setattr(engine.ray, "nodes", lambda: nodes)
    for there in ({"CPU": 8, "GPU": 0}, {"CPU": 2, "GPU": 1, "memory": 2**34}):
        engine.check_nodes(there, ends_with_us=True)
    assert caplog.text == ""
    both = {"CPU": 4, "GPU": 1, "memory": 0}  # the cluster has them, no node of it
    engine.check_nodes(both, ends_with_us=False)
    assert (
        "no node of the cluster has launcher's cpus=4 gpus=1 memory_gb=0: there is" in caplog.text
    )
    with pytest.raises(UserError, match="cpus=4 gpus=1"):
        engine.check_nodes(both, ends_with_us=True)


def test_tasks_see_what_is_set_for_us_and_no_secrets() -> None:
    here = {
        "WANDB_MODE": "offline",
        "WANDB_API_KEY": "x",
        "HF_TOKEN": "x",
        "HOME": "/",
        "HF_HOME": "",
    }
    own = engine.environment(Launcher(cpus=3), here)
    assert own == {
        "WANDB_MODE": "offline",
        "HF_HOME": "",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "3",
    }
    assert engine.environment(Launcher(gpus=1), {}) == {"OMP_NUM_THREADS": "1"}
