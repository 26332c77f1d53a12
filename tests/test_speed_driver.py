"""`make bench` compares in one precision: the roof and peft's arms have the one that ours picks."""

import sys
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pages import ROOT

from loraexp.runtime import hardware

sys.path.append(str(ROOT / "tests" / "benchmarks"))
import speed
from ways import WAYS

Choose = Callable[[str], None]


@pytest.fixture
def hardware_of(monkeypatch: pytest.MonkeyPatch) -> Choose:
    """A stand-in for a CPU on which trainer.precision=auto is this."""

    def choose(precision: str) -> None:
        def pick(wanted: str, accelerator: str) -> str:
            assert (wanted, accelerator) == ("auto", "cpu")
            return precision

        monkeypatch.setattr(hardware, "pick_precision", pick)

    return choose


def compared(monkeypatch: pytest.MonkeyPatch, *typed: str) -> list[str]:
    """The ways that the command would measure."""
    asked: list[Namespace] = []

    def compare(model: str, options: Namespace) -> dict[str, Any]:
        asked.append(options)
        return {}

    monkeypatch.setattr(sys, "argv", ["speed.py", "--device", "cpu", *typed])
    monkeypatch.setattr(speed, "compare", compare)
    monkeypatch.setattr(speed, "show", lambda found: None)
    speed.main()
    return list(asked[0].ways)


def in_bf16(ways: list[str]) -> set[bool]:
    """Of peft's arms; the tutorial's is what it is."""
    return {WAYS[way]["autocast"] for way in ways if way.startswith("peft")}


@pytest.mark.parametrize(("precision", "bf16"), [("fp32", {False}), ("bf16", {True})])
def test_peft_multiplies_in_what_ours_does(
    precision: str, bf16: set[bool], hardware_of: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware_of(precision)
    ways = compared(monkeypatch)
    assert in_bf16(ways) == bf16
    assert {"loraexp", "loraexp, compiled", "tutorial: pad to 120, fp32"} < {*ways}
    assert in_bf16([*WAYS]) == {True, False}  # there was a choice
    typed = "peft, autocast"
    assert compared(monkeypatch, "--ways", typed) == [typed]  # who asks gets it on any CPU


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_roof_is_a_product_in_that_precision(
    precision: str, dtype: torch.dtype, hardware_of: Choose, monkeypatch: pytest.MonkeyPatch
) -> None:
    hardware_of(precision)
    asked = []

    def small(*shape: int, **given: Any) -> torch.Tensor:
        asked.append(given["dtype"])
        return torch.ones(2, 2, dtype=given["dtype"])

    monkeypatch.setattr(torch, "randn", small)
    assert speed.matrix_product_rate("cpu") > 0
    assert asked == [dtype]
