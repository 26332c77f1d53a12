"""Who asks for GPUs that are not there is told so before anything is loaded."""

from dataclasses import replace

import pytest
import torch

from loraexp.config.schema import Data, TrainConfig
from loraexp.errors import UserError
from loraexp.runtime.hardware import check_gpus
from loraexp.training.run import train


def with_gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_a_gpu_that_is_not_there_is_refused_before_the_data_are_read(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(0, monkeypatch)
    small.trainer.accelerator = "gpu"
    wanted = "^trainer.accelerator=gpu, but torch sees no GPU; use auto or cpu$"
    with pytest.raises(UserError, match=wanted):
        train(replace(small, data=Data(name="csv", path="nowhere.csv")))


@pytest.mark.parametrize("accelerator", ["gpu", "auto"])
def test_more_devices_than_gpus_are_refused(
    accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpus(2, monkeypatch)
    check_gpus(accelerator, 2)
    with pytest.raises(
        UserError, match=r"^trainer\.devices must be at most the number of GPUs = 2"
    ):
        check_gpus(accelerator, 3)


def test_the_cpu_takes_any_number_of_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpus, accelerator in ((0, "auto"), (0, "cpu"), (2, "cpu")):
        with_gpus(gpus, monkeypatch)
        check_gpus(accelerator, 3)
