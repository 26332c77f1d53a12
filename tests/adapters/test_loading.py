"""Loading a run computes no start that its file overwrites, and gives the file's tensors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from each_method import each_method
from safetensors.torch import load_file

from loraexp.adapters.adapter_files import TENSORS
from loraexp.adapters.branches.base import INITS
from loraexp.adapters.inject import saved_tensors
from loraexp.adapters.methods import METHODS, as_method
from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.inference.predictor import Predictors
from loraexp.runs.load import build_model, load_run
from loraexp.tools.write_run import write_run

LABELS = ("ham", "spam")
WHOLE = ("vera", "miss", "oft", "shira", "randlora")  # start at constants


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was computed for the start of a branch."""
    called: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            called.append(name)
            return real(*given, **named)

        return wrapped

    for name in ("svd", "qr"):
        monkeypatch.setattr(torch.linalg, name, counted(name, getattr(torch.linalg, name)))
    monkeypatch.setitem(INITS, "kaiming", counted("kaiming", INITS["kaiming"]))
    return called


def written(config: TrainConfig) -> Path:
    """The folder of a run whose adapter is at its start."""
    run, tensors = run_folder(config), saved_tensors(build_model(config, LABELS).network)
    write_run(run, config, LABELS, tensors, made_by="import")
    return run


@pytest.mark.parametrize("method", each_method())
def test_no_start_is_computed_and_the_tensors_are_the_files(
    small: TrainConfig, starts: list[str], method: str
) -> None:
    run = written(as_method(small, method))
    fresh = {"pissa": "svd", "olora": "qr", **dict.fromkeys(WHOLE)}
    if METHODS[method].has_rank:  # the control: a fresh adapter computes it
        assert fresh.get(method, "kaiming") in [*starts, None]
    starts.clear()
    made = load_run(run)
    own, file = saved_tensors(made.network), load_file(run / "adapter" / TENSORS)
    assert own.keys() == file.keys()
    assert all(torch.equal(own[name], file[name]) for name in file)
    if METHODS[method].branch:
        Predictors([run])
    assert starts == []
