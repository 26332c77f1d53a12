"""What a bar and a line say of how far a run is."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from loraexp.training.callbacks.progress import Progress, Steps


def trainer(**more: Any) -> Any:
    settings = {"current_epoch": 1, "max_epochs": 3, "num_training_batches": 10, "callbacks": []}
    return SimpleNamespace(**settings | more)


def test_the_bar_counts_epochs_from_one_and_says_which_split_is_measured() -> None:
    bar = Progress()
    module = SimpleNamespace(measuring="validation")
    bar._trainer = trainer(lightning_module=module)
    assert bar._get_train_description(0) == "Epoch 1 of 3"
    for split in ("validation", "train", "test"):
        module.measuring = split
        assert bar.test_description == f"Measuring {split}"


@pytest.mark.parametrize(("every", "told"), [(0.0, [1, 2, 3, 4]), (30.0, [1, 3])])
def test_steps_are_told_as_often_as_is_asked_for(every: float, told: list[int]) -> None:
    heard: list[tuple[Any, ...]] = []
    times = iter([0.0, 20.0, 31.0, 60.0])
    steps = Steps(lambda *now: heard.append(now), every, lambda: next(times))
    steps.on_train_start(trainer(), None)  # type: ignore[arg-type]
    for index in range(4):
        outputs = {"loss": torch.tensor(0.25)}
        steps.on_train_batch_end(trainer(), None, outputs, None, index)  # type: ignore[arg-type]
    assert [(now[0], now[1], now[2]) for now in heard] == [("epoch 2/3", n, 10) for n in told]
    # the loss is read, for which a device is waited for, where it is seldom told
    assert [now[4] for now in heard] == ([None] * 4 if every == 0 else [None, 0.25])
