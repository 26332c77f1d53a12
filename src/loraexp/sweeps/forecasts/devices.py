"""THE TABLE of devices that somebody has measured: how fast they train, and where that is written
down. What is not in it is not guessed; tests/sweeps/test_devices.py holds it to what was stored."""

from collections.abc import Mapping
from dataclasses import dataclass

from loraexp.errors import UserError

HERE = "here"


@dataclass(frozen=True)
class Device:
    """A machine, and its rate by the name of a base: LoRA of rank 8 on q, k, v and out, steps of 8
    texts of 32 tokens, one process.

    Args:
        source: in tests/benchmarks/results/.
    """

    shown: str
    source: str
    tokens_a_second: Mapping[str, float]


DEVICES = {
    "epyc-2-cores": Device(
        "AMD EPYC, 2 threads",
        "epyc-2-cores-scale.json",
        {
            "nano": 23720.82015095336,
            "distilgpt2": 3543.804856767513,
            "gpt2": 1697.0687427037312,
            "gpt2-medium": 503.9911042006708,
        },
    ),
}


def find_device(name: str) -> Device | None:
    """None: this machine.

    Raises:
        UserError: one that nobody has measured.
    """
    if name != HERE and name not in DEVICES:
        known = ", ".join((HERE, *DEVICES))
        raise UserError(f"device={name}: nobody has measured it; known: {known}")
    return DEVICES.get(name)
