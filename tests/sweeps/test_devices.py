"""The table of devices has what was measured and stored, and nothing else."""

import json
from pathlib import Path

import pytest

from loraexp.errors import UserError
from loraexp.sweeps.forecasts.devices import DEVICES, HERE, find_device

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


@pytest.mark.parametrize("name", DEVICES)
def test_every_number_is_a_stored_one(name: str) -> None:
    device = DEVICES[name]
    found = json.loads((RESULTS / device.source).read_text(encoding="utf-8"))
    alike = [one for one in found["steps"] if (one["length"], one["batch"]) == (32, 8)]
    stored = {(one["model"], one["tokens_per_second"]) for one in alike}
    assert device.shown == found["device"]
    assert device.tokens_a_second
    assert {*device.tokens_a_second.items()} <= stored


def test_a_device_that_nobody_measured_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UserError, match=r"^device=h100: nobody has measured it; known: here, epyc"):
        find_device("h100")
    assert find_device(HERE) is None
