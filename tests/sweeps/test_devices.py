"""The table of devices has what was measured and stored, or the vendor's data sheet, and nothing
else."""

import json
from pathlib import Path

import pytest

from loraexp.errors import UserError
from loraexp.sweeps.forecasts.devices import DEVICES, HERE, DataSheet, Device, find_device

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


MEASURED = {name: one for name, one in DEVICES.items() if isinstance(one, Device)}
SHEETS = {name: one for name, one in DEVICES.items() if isinstance(one, DataSheet)}
# Multiprocessors, operations of each in a cycle (dense bf16), and the clock that the peak is of.
CORES = {"h100": (132, 4096, 1.83e9), "h200": (132, 4096, 1.83e9), "a100": (108, 2048, 1.41e9)}


@pytest.mark.parametrize("name", MEASURED)
def test_every_number_is_a_stored_one(name: str) -> None:
    device = MEASURED[name]
    found = json.loads((RESULTS / device.source).read_text(encoding="utf-8"))
    alike = [one for one in found["steps"] if (one["length"], one["batch"]) == (32, 8)]
    stored = {(one["model"], one["tokens_per_second"]) for one in alike}
    assert device.shown == found["device"]
    assert device.tokens_a_second
    assert {*device.tokens_a_second.items()} <= stored


@pytest.mark.parametrize("name", SHEETS)
def test_a_peak_is_that_of_dense_products(name: str) -> None:
    sheet, (cores, each, clock) = SHEETS[name], CORES[name]
    assert sheet.flops == pytest.approx(cores * each * clock, rel=1e-3)  # of sparse ones twice that
    assert sheet.source.startswith("https://www.nvidia.com/")


def test_a_device_of_which_nothing_is_known_is_refused_with_all_that_are() -> None:
    with pytest.raises(UserError, match=r"^device=v100: .*; known: here, epyc-2-cores, h100, h200"):
        find_device("v100")
    assert find_device(HERE) is None
