"""What the machine is and what it can do fast."""

import os
import platform
import shutil
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import torch

from loraexp.errors import UserError

COMPUTE = ("torch", "lightning", "torchmetrics", "tiktoken", "safetensors", "numpy", "pandas")
CXX = ("g++", "clang++")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def pick_precision(wanted: str, accelerator: str) -> str:
    """fp32 or bf16; "auto" is bf16 where the hardware itself multiplies it."""
    if wanted != "auto":
        return wanted
    if uses_gpu(accelerator):
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp32"
    capabilities = torch.cpu.get_capabilities()
    fast = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return "bf16" if fast else "fp32"


def uses_gpu(accelerator: str) -> bool:
    return accelerator != "cpu" and torch.cuda.is_available()


def gpu_memory(accelerator: str) -> int | None:
    """Bytes of the first GPU, where one is used."""
    if not uses_gpu(accelerator):
        return None
    return int(torch.cuda.get_device_properties(0).total_memory)


def check_gpus(accelerator: str, devices: int = 1) -> None:
    """Who asks for GPUs gets them, or is told that there are none.

    Raises:
        UserError: no GPU for accelerator=gpu, or fewer than `devices`.
    """
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("trainer.accelerator=gpu, but torch sees no GPU; use auto or cpu")
    if uses_gpu(accelerator) and devices > (there := torch.cuda.device_count()):
        raise UserError(
            f"trainer.devices must be at most the number of GPUs = {there}, got {devices}"
        )


def prepare_compiler() -> None:
    """Forget what an earlier run compiled: of each function torch keeps a few forms, and after that
    compiles no more.

    Raises:
        UserError: no C++ compiler, which torch.compile calls on CPU and GPU alike.
    """
    wanted = os.environ.get("CXX")
    if not any(map(shutil.which, [wanted] if wanted else CXX)):
        raise UserError(
            "trainer.compile=true needs a C++ compiler on PATH or in CXX: "
            f"{wanted or ' or '.join(CXX)}, not found"
        )
    torch.compiler.reset()


def device_name(accelerator: str, devices: int, threads: int | None = None) -> str:
    """For the record, such as "AMD EPYC, 2 threads" or "2 x NVIDIA H200".

    Args:
        threads: of this process, unless it is said.
    """
    many = f"{devices} x " if devices > 1 else ""
    if uses_gpu(accelerator):
        return many + torch.cuda.get_device_name()
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.machine()
    return f"{many}{name}, {threads or torch.get_num_threads()} threads"


def reset_peak_memory() -> None:
    """Start a new peak, so that a sweep's job does not report an earlier job's."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # not Linux, or not allowed: the peak is then the process's
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes(accelerator: str) -> int:
    """Largest memory since `reset_peak_memory`: of the GPU, else resident memory of the process."""
    if uses_gpu(accelerator):
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "loraexp": version("loraexp"),
        **{name: version(name) for name in COMPUTE},
    }


def git_commit() -> str | None:
    """The commit of the checkout the code runs from, with "+" if it was changed; else None."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40"]
    try:
        git = subprocess.run([*command, "--dirty=+"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return git.stdout.strip() or None
