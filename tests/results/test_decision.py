"""The decision: the cheapest row that is not told apart from the best, with its reasons."""

from dataclasses import replace

import numpy as np
from made_records import record

from loraexp.records.record import Record
from loraexp.results.arms import arms
from loraexp.results.decision import decide, name

BY = ["method", "lora.rank"]


def runs(
    rank: int, rate: float, seeds: int = 5, texts: int = 400, **changes: object
) -> list[Record]:
    """Of a rank, which labels this share of the texts rightly; parameters grow with it."""
    made = []
    for seed in range(seeds):
        right = np.random.default_rng((rank, seed)).random(texts) < rate
        one = record({"lora.rank": rank, "seed": seed}, name=f"r{rank}-{seed}")
        scores = {**one.metrics["test"], "accuracy": float(right.mean()), "n": texts}
        true = [0, 1] * (texts // 2)
        predicted = [t if hit else 1 - t for t, hit in zip(true, right, strict=True)]
        made.append(
            replace(
                one,
                counts={**one.counts, "trainable": 1000 * rank},
                metrics={**one.metrics, "test": scores},
                predictions={"test": {"true": true, "predicted": predicted}},
            )
        )
    return made


def decided(*records: list[Record]) -> tuple[int, str]:
    decision = decide(arms([one for some in records for one in some], BY), BY)
    return decision.arm.chosen.records[0].config["lora"]["rank"], "\n".join(decision.lines)


def test_of_equals_the_cheapest_is_taken_though_another_has_a_higher_mean() -> None:
    rank, words = decided(runs(1, 0.9), runs(8, 0.91), runs(16, 0.9))
    assert rank == 1
    assert words.startswith("Take lora, rank 1, on q,k,v,out: ")
    assert "not told apart from it (p = " in words
    assert "not told apart, and dearer" in words
    assert "Power: " in words


def test_what_is_worse_is_not_taken_however_cheap() -> None:
    rank, words = decided(runs(1, 0.6), runs(8, 0.95), runs(16, 0.95))
    assert rank == 8
    assert "- not lora, rank 1, on q,k,v,out: " in words
    assert "worse than the best (p = " in words


def test_the_best_may_be_the_cheapest() -> None:
    rank, words = decided(runs(1, 0.95), runs(8, 0.6))
    assert rank == 1
    assert "is the best on the test texts" in words


def test_it_says_why_it_is_no_evidence() -> None:
    _, words = decided(runs(1, 0.95, seeds=2), runs(8, 0.6, seeds=2))
    assert "Not evidence of which is better, because" in words
    assert "2 seeds only; three are the least" in words


def test_a_method_without_a_rank_is_named_without_one() -> None:
    bare = record({"method": "head"})
    bare = replace(bare, counts={**bare.counts, "adapted_modules": 0})
    (arm,) = arms([bare], ["method"])
    assert name(arm) == "head"
