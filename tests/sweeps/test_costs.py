"""A run's seconds from what a probe of it measured, and what is alike enough for one probe."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from small import small_run, trained

from loraexp.config.schema import TrainConfig
from loraexp.data.batching import LengthGrouped
from loraexp.sweeps.forecasts.costs import A_RANK, A_SHAPE, MOST, Cost, Tried, kind_of, kinds
from loraexp.sweeps.forecasts.flops import Texts
from loraexp.sweeps.forecasts.work import Reading, Work, frozen_of

WORK = Work(
    *(Texts(texts, tokens, pairs=0) for texts, tokens in ((50, 1000), (5, 100), (15, 300))),
    batches=5,
    shapes=7,
    epochs=3,
    least=2,
    frozen=Fraction(0),
)
COST = Cost(fixed=2.0, epoch=0.5, train=0.01, forward=0.004, peak=10**9, shapes=3)


def test_a_run_is_its_epochs_and_what_comes_once() -> None:
    epoch = 1000 * 0.01 + 100 * 0.004 + 0.5
    assert COST.seconds(WORK) == pytest.approx(2 + 3 * epoch + 300 * 0.004)
    assert COST.seconds(WORK, least=True) == pytest.approx(2 + 2 * epoch + 300 * 0.004)
    assert COST.seconds(WORK, "trial") == pytest.approx(2 + 3 * epoch + 100 * 0.004)
    assert COST.seconds(WORK, "rest") == pytest.approx(300 * 0.004)


def test_through_frozen_blocks_texts_go_once_not_in_each_epoch() -> None:
    half = replace(WORK, frozen=Fraction(1, 2))
    spared = 2 * 0.002 * (1000 + 100)
    assert COST.seconds(half) == pytest.approx(COST.seconds(WORK) - spared)
    one, single = replace(WORK, epochs=1), replace(half, epochs=1)
    assert COST.seconds(single) == COST.seconds(one)  # nothing is kept for one


def test_memory_grows_by_the_shapes_and_ranks_that_the_probe_has_not_seen() -> None:
    config = TrainConfig()
    config.trainer.accelerator, config.trainer.precision = "cpu", "bf16"
    assert COST.bytes(WORK, config, 1) == 10**9 + 4 * (A_SHAPE + A_RANK)
    assert COST.bytes(WORK, config, 2) == 10**9 + 4 * (A_SHAPE + A_RANK) + 7 * A_RANK
    many = replace(WORK, shapes=10**6)
    assert COST.bytes(many, config, 1) == 10**9 + MOST - 3 * (A_SHAPE + A_RANK)
    config.trainer.precision = "fp32"
    assert COST.bytes(many, config, 1) == 10**9


def test_runs_of_other_ranks_rates_and_seeds_cost_alike_and_other_methods_do_not() -> None:
    runs = [replace(TrainConfig(), seed=seed) for seed in range(3)]
    for run, rank in zip(runs, (16, 2, 4), strict=True):
        run.lora.rank = rank
    head = replace(runs[0], method="head")
    assert [*kinds([*runs, head]).values()] == [runs[2], head]
    assert kind_of(runs[0]) != kind_of(head)


def test_work_is_counted_from_the_texts_themselves(tmp_path: Path) -> None:
    config, reading = small_run(tmp_path, epochs=2, logger="none"), Reading()
    data, lengths = reading.read(config)
    work = reading.work(config)
    assert (
        work.train.tokens
        == sum(lengths["train"])
        == sum(min(64, len(text.encode())) for text in data.train.texts)
    )
    assert work.validation.tokens == sum(lengths["validation"])
    assert work.measured.tokens == sum(map(sum, lengths.values()))
    config.trainer.limit_batches = 1
    (first, *_) = LengthGrouped(lengths["validation"], 32, seed=None)
    assert reading.work(config).validation.tokens == sum(lengths["validation"][at] for at in first)


def test_frozen_is_what_is_below_all_that_trains(tmp_path: Path) -> None:
    config = small_run(tmp_path, epochs=2, logger="none")
    shares = [frozen_of(replace(config, method=name)) for name in ("lora", "last_block", "head")]
    assert shares == [0, Fraction(1, 2), 1]


def test_what_is_made_of_a_probe_gives_its_own_seconds_back(tmp_path: Path) -> None:
    config = small_run(tmp_path, epochs=1, logger="none")
    record, work = trained(config), Reading().work(config)
    record = replace(record, seconds={**record.seconds, "fit": 5.0, "evaluate": 1.0})
    record = replace(record, texts_per_second=12.0)  # 24 texts: two of the five seconds
    tried = Tried(wall=14.0, workers=2, width=2, records=[record] * 4, works=[work] * 4)
    assert tried.busy == 12
    assert tried.cost().seconds(work) == pytest.approx(14 / 2)  # of two runs in step
    assert tried.expected(tried.cost()) == pytest.approx(14)
