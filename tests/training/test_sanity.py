"""Training that cannot teach anything stops at once and says why."""

import re
from typing import Any

import pytest
import torch

from loraexp.adapters import learning
from loraexp.adapters.branches.lora import LowRank
from loraexp.api import run_folder
from loraexp.config.schema import Model, Optim, TrainConfig
from loraexp.errors import UserError
from loraexp.runs.load import build_model
from loraexp.training import classifier_module as module
from loraexp.training.callbacks.sanity import check_moved
from loraexp.training.run import train
from loraexp.training.schedule import schedule


def test_loss_that_is_not_finite_stops_the_run(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(logits: torch.Tensor, classes: torch.Tensor, **_: Any) -> torch.Tensor:
        return logits.sum() * float("nan")

    monkeypatch.setattr(module.F, "cross_entropy", broken)
    with pytest.raises(UserError, match="the loss is nan at step 1"):
        train(small)
    assert not (run_folder(small) / "record.json").exists()


def test_weights_that_the_last_step_of_an_epoch_breaks_stop_the_run(small: TrainConfig) -> None:
    # One step an epoch: its own loss is still finite, that of validation is not.
    small.data.limit, small.optim.lr, small.optim.warmup = 8, 1e30, 0.0
    with pytest.raises(
        UserError,
        match="^the logits of validation texts are NaN or infinite afte"
        r"r step 1; try a lower optim\.lr \(it is 1e\+30\) or trainer\.precision",
    ):
        train(small)
    assert not (run_folder(small) / "record.json").exists()


def test_a_validation_loss_that_is_not_finite_stops_the_run(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = module.ClassifierModule.summary
    monkeypatch.setattr(module.ClassifierModule, "summary", lambda own: whole(own) | {"loss": None})
    with pytest.raises(UserError, match=r"^the loss of validation texts is NaN or infinite after"):
        train(small)


def test_head_that_is_missing_from_the_optimizer_stops_the_run(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = learning.adapter_tensors

    def headless(network: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
        return {name: p for name, p in whole(network).items() if not name.startswith("score")}

    monkeypatch.setattr(learning, "adapter_tensors", headless)
    with pytest.raises(UserError, match=re.escape("score.weight is missing from the optimizer")):
        train(small)


def test_branch_that_no_gradient_reaches_stops_the_run(
    small: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detached(self: LowRank, x: torch.Tensor, y: torch.Tensor, base: torch.nn.Linear) -> Any:
        return y + self.merged(torch.zeros_like(base.weight)).detach().sum()

    monkeypatch.setattr(LowRank, "forward", detached)
    with pytest.raises(UserError, match=r"lora_B did not move in the first step \(8 such"):
        train(small)


def test_check_moved_names_the_tensor_that_is_still_where_it_was() -> None:
    starts = {f"h.{i}.attn.v_proj.lora_B": torch.zeros(3, 2) for i in range(3)}
    moved = {name: torch.ones(3, 2) for name in starts}
    check_moved(moved, starts)
    with pytest.raises(UserError, match=r"^h\.1\.attn\.v_proj\.lora_B .*\(1 such"):
        check_moved({**moved, "h.1.attn.v_proj.lora_B": torch.zeros(3, 2)}, starts)


def test_bf16_run_keeps_its_adapter_and_head_in_float32(small: TrainConfig, tiny: Model) -> None:
    small.trainer.precision = "bf16"
    made = build_model(small, ("ham", "spam"))
    assert made.precision == "bf16"
    for name, parameter in made.network.named_parameters():
        norm = ".ln_" in name or name.startswith("ln_f")
        full = parameter.requires_grad or norm
        assert parameter.dtype == (torch.float32 if full else torch.bfloat16), name
    assert train(small).precision == "bf16"


@pytest.mark.parametrize("shape", ["constant", "linear", "cosine"])
def test_schedule_warms_up_linearly_then_takes_its_shape(shape: str) -> None:
    factor = schedule(Optim(schedule=shape, warmup=4), 20)
    rates = [factor(step) for step in range(20)]
    assert rates[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    assert rates[4] == max(rates) == 1.0
    halfway = {"constant": 1.0, "linear": 0.5, "cosine": 0.5}
    assert rates[12] == pytest.approx(halfway[shape])
    assert all(rate > 0 for rate in rates)


def test_a_factor_scales_every_rate_of_a_schedule() -> None:
    plain, scaled = schedule(Optim(warmup=4), 20), schedule(Optim(warmup=4, lr_factor=3.0), 20)
    assert [scaled(k) for k in range(20)] == pytest.approx([3 * plain(k) for k in range(20)])


def test_warmup_below_one_is_a_share_of_all_steps() -> None:
    share, steps = schedule(Optim(warmup=0.2), 50), schedule(Optim(warmup=10), 50)
    assert [share(step) for step in range(50)] == [steps(step) for step in range(50)]
