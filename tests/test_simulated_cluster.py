"""The simulated cluster of `make simulate` beside what can be computed by hand."""

import math
import statistics
import sys
from dataclasses import replace

import pytest
from pages import ROOT

sys.path.append(str(ROOT / "tests" / "benchmarks"))
from cluster_costs import COMPUTED, FOLDER, SUBMITTER, WAVE, Costs, Setting, limit
from cluster_model import Cluster

PLAIN = Costs(start=0.0, job=10.0, packed=6.0)


def test_one_worker_without_failures_takes_the_sum() -> None:
    costs = Costs(2.0, 10.0, 6.0, before=0.5, after=0.25, hand_out=0.125, opening=1.0, closing=3.0)
    result = Cluster(costs, Setting(jobs=8, workers=1)).run()
    assert result.makespan == 2 + 8 * (10 + 0.5 + 0.25 + 0.125 + 1 + 3)
    assert (result.finished, result.failed) == (8, 0)


@pytest.mark.parametrize(("jobs", "workers"), [(7, 1), (10, 3), (12, 4), (3, 8), (1000, 999)])
def test_equal_jobs_go_in_waves(jobs: int, workers: int) -> None:
    result = Cluster(PLAIN, Setting(jobs, workers)).run()
    assert result.makespan == 10 * math.ceil(jobs / workers)
    spent = result.spent[COMPUTED] + result.spent.get(WAVE, 0.0)
    assert spent == result.makespan * workers  # no worker's second is lost from sight


@pytest.mark.parametrize(("jobs", "width", "waves"), [(16, 4, 2), (17, 4, 3), (8, 8, 1)])
def test_packs_are_units(jobs: int, width: int, waves: int) -> None:
    result = Cluster(PLAIN, Setting(jobs, workers=2, width=width)).run()
    last = 10 if jobs % width == 1 else 6 * width
    assert result.makespan == (waves - 1) * 6 * width + last


def test_a_folder_that_serves_one_at_a_time_bounds_any_number_of_workers() -> None:
    costs = replace(PLAIN, job=0.0, before=0.5, after=0.5)
    few, many = (Cluster(costs, Setting(1000, workers)).run() for workers in (2, 500))
    assert few.makespan == many.makespan == 1000
    assert limit(many) == FOLDER
    assert Cluster(replace(costs, before=0.0), Setting(1000, 500)).run().makespan == 500


def test_so_does_the_process_that_hands_out_jobs() -> None:
    result = Cluster(replace(PLAIN, hand_out=1.0), Setting(100, workers=100)).run()
    assert result.makespan == 110
    assert limit(result) == SUBMITTER


def test_a_process_a_job_starts_as_often_as_there_are_jobs() -> None:
    costs = replace(PLAIN, start=5.0)
    kept, fresh = (Cluster(costs, Setting(4, 1, fresh=fresh)).run() for fresh in (False, True))
    assert (kept.makespan, fresh.makespan) == (45, 60)


@pytest.mark.parametrize("rate", [36.0, 180.0, 720.0])
def test_failures_cost_what_the_renewal_equation_says(rate: float) -> None:
    """Of a job of T seconds that begins anew at each, rate L, repair R: (1 / L + R) (e^LT - 1)."""
    costs, tries, a_second = replace(PLAIN, repair=4.0), 10**6, rate / 3600
    expected = (1 / a_second + 4.0) * math.expm1(a_second * 10)
    taken = [
        Cluster(costs, Setting(1, 1, failures=rate, tries=tries, seed=seed)).run().makespan
        for seed in range(4000)
    ]
    error = statistics.stdev(taken) / len(taken) ** 0.5
    assert abs(statistics.fmean(taken) - expected) < 4 * error
    assert abs(10.0 - expected) > 4 * error  # as without failures


def test_a_job_goes_on_from_the_end_of_its_last_epoch() -> None:
    once, epochs = (
        statistics.fmean(
            Cluster(replace(PLAIN, epochs=n), Setting(40, 1, failures=180.0, tries=99, seed=seed))
            .run()
            .makespan
            for seed in range(50)
        )
        for n in (1, 10)
    )
    assert 400 < epochs < once


def test_who_fails_twice_is_failed_and_all_others_are_there() -> None:
    result = Cluster(PLAIN, Setting(500, workers=7, width=4, failures=90.0)).run()
    assert result.failed > 0
    assert result.finished + result.failed == 500
    assert Cluster(PLAIN, Setting(500, 7, width=4)).run().failed == 0
