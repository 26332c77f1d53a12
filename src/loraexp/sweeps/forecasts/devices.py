"""THE TABLE of devices: how fast those train that somebody has measured, and what its data sheet
says of the others. What is not in it is not guessed; tests/sweeps/test_devices.py holds what was
measured to what was stored."""

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


@dataclass(frozen=True)
class DataSheet:
    """A GPU that nobody has measured.

    Args:
        source: of the vendor.
        flops: dense products in bf16, a second, at its peak.
        memory: bytes.
        bandwidth: of the memory, bytes a second.
    """

    shown: str
    source: str
    flops: float
    memory: int
    bandwidth: float


DEVICES: dict[str, Device | DataSheet] = {
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
    # Hopper's sheets have the products of sparse matrices: half of these are dense.
    "h100": DataSheet(
        "NVIDIA H100 SXM",
        "https://www.nvidia.com/en-us/data-center/h100/",
        flops=1979e12 / 2,
        memory=80 * 10**9,
        bandwidth=3.35e12,
    ),
    "h200": DataSheet(
        "NVIDIA H200 SXM",
        "https://www.nvidia.com/en-us/data-center/h200/",
        flops=1979e12 / 2,
        memory=141 * 10**9,
        bandwidth=4.8e12,
    ),
    "a100": DataSheet(
        "NVIDIA A100 80GB SXM",
        "https://www.nvidia.com/en-us/data-center/a100/",
        flops=312e12,
        memory=80 * 10**9,
        bandwidth=2.039e12,
    ),
}


def find_device(name: str) -> Device | DataSheet | None:
    """None: this machine.

    Raises:
        UserError: one of which nothing is known.
    """
    if name != HERE and name not in DEVICES:
        known = ", ".join((HERE, *DEVICES))
        raise UserError(
            f"device={name}: neither measured nor its data sheet stored; known: {known}"
        )
    return DEVICES.get(name)
