"""On a GPU the same run gives the same result: in float32, in bf16, and compiled."""

from dataclasses import replace

import pytest
import torch

from loraexp.config.schema import TrainConfig
from loraexp.sweeps.packed_check import compared
from loraexp.training.run import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available(),
        reason="no GPU here; on a machine that has one: make test-gpu",
    ),
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler's, of itself
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 5e-2)])
def test_gpu_run_agrees_with_the_cpu_run(
    small: TrainConfig, precision: str, tolerance: float, compiled: bool
) -> None:
    on_cpu = train(small)
    settings = replace(small.trainer, accelerator="gpu", precision=precision, compile=compiled)
    on_gpu = train(replace(small, trainer=settings))
    assert on_gpu.device != on_cpu.device
    for split in ("train", "validation", "test"):
        left, right = on_cpu.metrics[split]["loss"], on_gpu.metrics[split]["loss"]
        assert left == pytest.approx(right, abs=tolerance)


def test_runs_in_step_on_a_gpu_are_those_alone(small: TrainConfig) -> None:
    settings = replace(small.trainer, accelerator="gpu")
    lora = replace(small.lora, dropout=0.1)
    configs = [
        replace(small, trainer=settings, lora=replace(lora, rank=rank), seed=seed)
        for rank in (2, 4)
        for seed in (0, 1)
    ]
    for run in compared(configs, len(configs)):
        assert run.pack == len(configs)
        assert run.apart <= 1e-3
        assert run.others == 0
