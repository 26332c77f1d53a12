"""A rank curve is what cutting and measuring by hand gives."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import trained

from loraexp.adapters.algebra import change_of, truncate
from loraexp.adapters.inject import merge
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.commands.rank_curve import RankCurveConfig
from loraexp.commands.rank_curve import run as command
from loraexp.config.schema import Head, TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import read_record
from loraexp.runs.load import load_run
from loraexp.tools.rank_cuts import Cut, put, rank_curve, smallest


@pytest.fixture
def run(small: TrainConfig) -> Path:
    small.lora.rank = 4
    trained(small)
    return run_folder(small)


def test_at_the_trained_rank_it_is_the_run_itself(run: Path) -> None:
    curve, record = rank_curve(run), read_record(run)
    last = curve.cuts[-1]
    assert [cut.rank for cut in curve.cuts] == [1, 2, 3, 4]
    assert last.error == pytest.approx(0.0, abs=1e-7)
    assert last.loss == pytest.approx(record.metrics["validation"]["loss"], abs=1e-5)
    errors = [cut.error for cut in curve.cuts]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.01
    assert curve.cuts[0].loss != last.loss
    assert not curve.nested


def test_a_start_that_is_taken_away_again_has_twice_the_ranks(small: TrainConfig) -> None:
    config = as_method(small, "pissa")
    trained(config)
    assert [cut.rank for cut in rank_curve(run_folder(config)).cuts] == [1, 2, 3, 4]


def test_ranks_that_were_trained_nested_are_kept_and_it_is_said(
    small: TrainConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = as_method(small, "dylora")
    trained(config)
    curve, record = rank_curve(run_folder(config)), read_record(run_folder(config))
    assert (len(curve.cuts), curve.nested) == (2, True)
    assert curve.cuts[-1].error == pytest.approx(0.0, abs=1e-7)
    loss = record.metrics["validation"]["loss"]
    assert curve.cuts[-1].loss == pytest.approx(loss, abs=1e-5) != curve.cuts[0].loss
    command(RankCurveConfig(run=str(run_folder(config))))
    assert "each row keeps the first ranks as they were trained" in capsys.readouterr().out


def test_a_network_with_a_cut_change_has_its_weights(run: Path) -> None:
    made = load_run(run)
    change = change_of(made.network)
    base = {name: made.network.get_submodule(name).base.weight.clone() for name in change}
    cut = truncate(change, 1).change
    put(made.network, cut)
    merge(made.network)
    for name, weight in base.items():
        now = made.network.get_submodule(name).weight.double()
        assert torch.allclose(now, weight.double() + cut[name].dense(), atol=1e-6)
        assert not torch.allclose(now, weight.double() + change[name].dense(), atol=1e-6)


def test_the_smallest_rank_within_one_standard_error_is_taken() -> None:
    def curve(*accuracies: float) -> list[Cut]:
        return [Cut(rank, 0.0, a, 0.1, 100) for rank, a in enumerate(accuracies, 1)]

    # the best is 0.9: its standard error is 0.03
    assert smallest(curve(0.80, 0.86, 0.871, 0.90)) == 3
    assert smallest(curve(0.80, 0.88, 0.871, 0.90)) == 2
    assert smallest(curve(0.9, 0.9)) == 1


def test_what_has_no_ranks_is_refused(small: TrainConfig) -> None:
    for method, message in (("head", "no low-rank adapter"), ("dora", "depends on the weight")):
        config = as_method(replace(small, head=Head()), method)
        trained(config)
        with pytest.raises(UserError, match=message):
            rank_curve(run_folder(config))


def test_the_command_marks_what_is_enough(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command(RankCurveConfig(run=str(run)))
    out = capsys.readouterr().out
    assert out.count("enough") == 1
    assert "is the smallest within one standard error of the best; its test accuracy is" in out
