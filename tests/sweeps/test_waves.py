"""Which jobs follow from which, at least and at most, before any of them runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from in_process import TINY
from small import small_run, trained

from loraexp.sweeps.forecasts.waves import Wave, least, most
from loraexp.sweeps.plan import TRAIN, Plan, plan


@pytest.fixture(autouse=True)
def fresh_hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def planned(folder: Path, *typed: str) -> Plan:
    return plan(TRAIN, [*TINY, f"output_dir={folder}", *typed])


def sizes(waves: list[Wave]) -> list[tuple[str, int]]:
    return [(wave.part, len(wave.configs)) for wave in waves]


def test_a_grid_is_one_wave_of_its_jobs(tmp_path: Path) -> None:
    one = planned(tmp_path, "lora.rank=2,4", "seed=0,1,2", "-m")
    assert sizes(least(one)) == sizes(most(one)) == [("whole", 6)]
    assert least(one)[0].configs == one.jobs


def test_an_arm_that_finds_its_rate_inside_tries_no_more_of_them(tmp_path: Path) -> None:
    one = planned(tmp_path, "lora.rank=2,4", "seed=0,1", "tune=lr", "tune.most=5", "-m")
    assert sizes(least(one)) == [("trial", 6), ("whole", 4)]
    assert sizes(most(one)) == [("trial", 6), ("trial", 2), ("trial", 2), ("whole", 4)]


def test_of_two_rates_the_best_is_at_an_edge(tmp_path: Path) -> None:
    one = planned(tmp_path, "seed=0,1", "tune=lr", "tune.factors=[0.5,1]", "-m")
    assert sizes(least(one)) == [("trial", 2), ("trial", 1), ("whole", 2)]


def test_seeds_come_in_looks_and_a_single_arm_needs_one_look(tmp_path: Path) -> None:
    looks = ("seeds=auto", "seeds.looks=[2,3,5]")
    two, one = planned(tmp_path, "method=lora,head", *looks), planned(tmp_path, *looks)
    assert sizes(least(two)) == [("whole", 4)]
    assert sizes(most(two)) == [("whole", 4), ("whole", 2), ("whole", 4)]
    assert sizes(most(one)) == [("whole", 2)]


def test_a_search_tries_as_many_as_it_has_workers_and_then_tests_the_best(tmp_path: Path) -> None:
    typed = ("search.trials=5", "search.seeds=2", "lora.rank=2,4", "workers=2", "-m")
    one = planned(tmp_path, *typed)
    rest = [("rest", 1)] * 2
    assert sizes(least(one)) == [("trial", 4), ("trial", 4), ("trial", 2), *rest]


def test_what_is_finished_is_not_missing(tmp_path: Path) -> None:
    done = small_run(tmp_path, epochs=1, logger="none")
    other = small_run(tmp_path, epochs=2, logger="none")
    trained(done)
    assert Wave([done, other, other]).missing == [other]
    assert Wave([done], known=False).missing == [done]
