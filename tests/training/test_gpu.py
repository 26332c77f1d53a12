"""On a GPU the same run gives the same result: in float32, in bf16, and compiled."""

from dataclasses import replace

import pytest
import torch

from loraexp.config.schema import TrainConfig
from loraexp.training.run import train


@pytest.mark.gpu
@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="no GPU here; on a machine that has one: make test-gpu"
)
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
