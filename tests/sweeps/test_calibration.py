"""Which way of doing a sweep is measured, kept and chosen."""

from pathlib import Path

import pytest
from in_process import TINY

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.sweeps import calibration
from loraexp.sweeps.adaptive.probing import texts_a_second
from loraexp.sweeps.calibration import Way, chosen, fastest, ways
from loraexp.sweeps.plan import TRAIN, plan

RULE = Way(4, 16)


@pytest.fixture
def config() -> TrainConfig:
    one: TrainConfig = plan(TRAIN, [*TINY]).jobs[0]
    return one


def test_the_rule_comes_first_and_then_fewer_processes_and_no_packs() -> None:
    assert [*ways(RULE)] == [RULE, Way(2, 16), Way(1, 16), Way(4, 1)]
    assert [*ways(Way(2, 1))] == [Way(2, 1), Way(1, 1)]
    assert [*ways(Way(1, 1))] == [Way(1, 1)]


@pytest.mark.parametrize(
    ("rates", "at"), [([100, 109, 90, 50], 0), ([100, 111, 90, 50], 1), ([0, 0, 0, 1], 3)]
)
def test_another_way_must_be_clearly_faster(rates: list[float], at: int) -> None:
    tried = [*ways(RULE)]
    assert chosen(tried, rates) == tried[at]


def test_it_is_measured_once(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def rate(config: TrainConfig, workers: int, width: int) -> float:
        asked.append((workers, width))
        return 200.0 if workers == 2 else 100.0

    monkeypatch.setattr(calibration, "texts_a_second", rate)
    assert fastest(RULE, config, tmp_path) == Way(2, 16)
    assert len(asked) == 4
    monkeypatch.setattr(calibration, "texts_a_second", None)  # what is kept needs no measurement
    assert fastest(RULE, config, tmp_path) == Way(2, 16)


def test_other_runs_and_what_is_damaged_are_measured_anew(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(calibration, "texts_a_second", lambda *_: float(asked.append(1) or 1))
    fastest(RULE, config, tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text('["fast"]')
    fastest(RULE, config, tmp_path)
    assert len(asked) == 8
    config.data.batch_size = 3
    fastest(RULE, config, tmp_path)
    assert len(asked) == 12


def test_what_cannot_be_measured_leaves_the_rule(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> float:
        raise UserError("no such file")

    monkeypatch.setattr(calibration, "texts_a_second", fails)
    assert fastest(RULE, config, tmp_path) == RULE
    assert not [*tmp_path.iterdir()]


def test_a_speed_is_that_of_all_workers(config: TrainConfig) -> None:
    assert texts_a_second(config, 1, 1) > 0
    assert texts_a_second(config, 1, 2) > 0
