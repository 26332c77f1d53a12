"""Of simulated runs each verdict comes out as they were made: holds, does not, cannot be told."""

import math

import pytest
from made_rows import found, full, lora, runs

from loraexp.results.regret.claims import findings
from loraexp.results.regret.of_best_rates import batches, layers, same_rate, ten_times
from loraexp.results.regret.of_curves import capacity, same_start
from loraexp.results.regret.rows import Arm

HOLDS, NOT, OPEN = "holds", "does not hold", "cannot be told"


@pytest.mark.parametrize(
    ("ratio", "noise", "verdict"), [(10, 0.05, HOLDS), (2, 0.05, NOT), (10, 1.5, OPEN)]
)
def test_the_ratio_of_rates_is_about_ten_or_is_not(
    ratio: float, noise: float, verdict: str
) -> None:
    full_ = runs(full(), 4e-4, noise=noise)
    high = (runs(lora(rank), ratio * 4e-4, noise=noise) for rank in (16, 64))
    finding = ten_times(found(full_, *high))
    assert finding.verdict == verdict
    if noise < 1:
        assert math.exp(finding.quantities[0].interval().mean) == pytest.approx(ratio, rel=0.1)


def test_ratios_of_seeds_whose_best_is_at_an_end_are_left_out() -> None:
    ends = [row for row in runs(full(), 4e-4) if row.rate > 3e-4]
    finding = ten_times(found(ends, runs(lora(16), 4e-3)))
    assert (finding.verdict, finding.quantities) == (OPEN, [])


@pytest.mark.parametrize(
    ("of_256", "noise", "verdict"), [(2.2e-3, 0.05, HOLDS), (8e-3, 0.05, NOT), (3.5e-3, 0.3, OPEN)]
)
def test_rates_of_all_ranks_are_alike_or_are_not(of_256: float, noise: float, verdict: str) -> None:
    low = (runs(lora(rank), 2e-3, noise=noise) for rank in (4, 16))
    beside = runs(lora(1), 2e-4)  # of which nothing is claimed
    assert same_rate(found(beside, *low, runs(lora(256), of_256, noise=noise))).verdict == verdict


@pytest.mark.parametrize(
    ("start", "by_control", "verdict"),
    [
        (0.002, 0.05, HOLDS),
        (0.002, -0.05, HOLDS),
        (0.05, 0.05, NOT),
        (-0.04, 0.05, NOT),
        (0.002, 0.0, OPEN),  # where not even the control differs, nothing is known
    ],
)
def test_curves_begin_alike_or_do_not_beside_the_control(
    start: float, by_control: float, verdict: str
) -> None:
    own = [runs(lora(4), 2e-3, start=start), runs(lora(64), 2e-3)]
    control = [
        runs(Arm("rslora", "all", rank, 32), 2e-3, start=higher)
        for rank, higher in ((16, by_control), (256, 0))
    ]
    assert same_start(found(*own, *control)).verdict == verdict


def test_without_a_control_nothing_is_said_and_it_decides_no_other_claim() -> None:
    assert same_start(found(runs(lora(4), 2e-3), runs(lora(64), 2e-3))).verdict == OPEN
    alone = found(*(runs(Arm("rslora", "all", rank, 32), 2e-3) for rank in (16, 256)))
    assert all(one.verdict == OPEN for one in findings(alone))


@pytest.mark.parametrize(
    ("loss", "noise", "verdict"), [(1.1, 0.05, HOLDS), (1.0, 0.05, NOT), (1.02, 3.0, OPEN)]
)
def test_attention_only_is_worse_or_is_not(loss: float, noise: float, verdict: str) -> None:
    attention = runs(lora(20, targets="attention"), 2e-3, loss, noise=noise)
    mlp = runs(lora(16, targets="mlp"), 2e-3, 1.0, noise=noise)
    assert layers(found(attention, mlp)).verdict == verdict


def test_arms_of_other_sizes_are_not_compared() -> None:
    attention = runs(lora(20, targets="attention"), 2e-3, 1.1, trainable=999)
    finding = layers(found(attention, runs(lora(16, targets="mlp"), 2e-3)))
    assert (finding.verdict, finding.remark) == (OPEN, "sizes differ")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        ((0.1, 0.2, 0.3), (0.1, 0.2, 0.3), HOLDS),
        ((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), NOT),  # a gap that does not grow
        ((0.1, 0.2, 0.3), (0.1, 0.4, 0.8), NOT),  # it grows with the rank, too
    ],
)
def test_the_gap_grows_with_the_batch_whatever_the_rank_or_does_not(
    low: tuple[float, ...], high: tuple[float, ...], verdict: str
) -> None:
    sizes = (32, 96, 288)
    rows = [runs(full(size), 4e-4, 1.0) for size in sizes]
    for rank, gaps in ((4, low), (64, high)):
        rows += [
            runs(lora(rank, size), 4e-3, 1 + gap) for size, gap in zip(sizes, gaps, strict=True)
        ]
    assert batches(found(*rows)).verdict == verdict


@pytest.mark.parametrize(
    ("leaves", "verdict"),
    [
        ({1: 20, 4: 40, 16: 80}, HOLDS),
        ({1: 80, 4: 40, 16: 20}, NOT),
        ({1: 40, 4: 40, 16: 40}, NOT),
        ({1: None, 4: None, 16: None}, OPEN),
    ],
)
def test_small_ranks_leave_earlier_or_do_not(leaves: dict[int, int | None], verdict: str) -> None:
    rows = [runs(lora(rank), 2e-3, leaves=step) for rank, step in leaves.items()]
    assert capacity(found(*rows, runs(lora(256), 2e-3))).verdict == verdict


def test_two_seeds_or_no_runs_tell_nothing_of_any_claim() -> None:
    few = [runs(arm, 2e-3, seeds=(0, 1)) for arm in (full(), lora(4), lora(16), lora(64))]
    for arms in (found(), found(*few)):
        assert [one.verdict for one in findings(arms)] == [OPEN] * 6
