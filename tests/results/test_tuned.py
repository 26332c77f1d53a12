"""The guard on tuned sweeps: it passes the protocol, and each way of breaking it is said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from made_records import record

from loraexp.records.record import Failure, Record, Trial
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings
from loraexp.results.fairness import caveats

LOSSES = {0.3: 0.2, 1.0: 0.1, 3.0: 0.3}
Arms = tuple[list[Record], list[Trial | Failure]]


def arm(
    rank: int,
    losses: Mapping[float, float | None] = LOSSES,
    chosen: float = 1.0,
    seeds: int = 3,
    tuning_seeds: tuple[int, ...] = (10_000,),
    **changes: Any,
) -> Arms:
    """The final runs of an arm and its trials; a loss of None is a run that failed."""
    finals = [
        record(
            {"lora.rank": rank, "optim.lr_factor": chosen, "seed": seed, **changes},
            name=f"final-{rank}-{seed}",
        )
        for seed in range(seeds)
    ]
    trials: list[Trial | Failure] = []
    for factor, loss in losses.items():
        for seed in tuning_seeds:
            settings = {"lora.rank": rank, "optim.lr_factor": factor, "seed": seed, **changes}
            made = record(settings, name=f"trial-{rank}-{factor}-{seed}")
            if loss is None:
                trials.append(Failure(made.name, made.config, "the loss is nan", ""))
            else:
                scores = {**made.metrics["validation"], "loss": loss}
                trials.append(Trial(made.name, made.config, scores, "", made.hashes))
    return finals, trials


def reasons(*both: Arms) -> list[str]:
    records = [one for finals, _ in both for one in finals]
    trials = [one for _, tried in both for one in tried]
    return caveats(arms(records, ["lora.rank"], trials), ["lora.rank"])


def test_the_protocol_passes() -> None:
    assert reasons(arm(1), arm(2)) == []


def test_without_its_trials_the_same_runs_are_no_evidence() -> None:
    assert "only 1 of at least 3 learning rates tried: rank 1; rank 2" in reasons(
        (arm(1)[0], []), (arm(2)[0], [])
    )


def test_an_arm_may_have_gone_on_at_its_edge() -> None:
    further = {0.3: 0.9, 1.0: 0.5, 3.0: 0.2, 10.0: 0.4}
    assert reasons(arm(1), arm(2, further, chosen=3.0)) == []


def test_a_rate_that_did_not_train_was_tried() -> None:
    assert reasons(arm(1), arm(2, {0.3: 0.2, 1.0: 0.1, 3.0: None})) == []


def test_what_the_guard_refuses() -> None:
    edge = {0.3: 0.3, 1.0: 0.2, 3.0: 0.1}
    assert reasons(arm(1), arm(2, edge, chosen=3.0)) == [
        "the best learning rate is at the edge of its grid: rank 2 (0.003)"
    ]
    assert reasons(arm(1), arm(2, chosen=0.3)) == [
        "trained with another learning rate than the best on validation texts: rank 2 (0.0003, "
        "the best is 0.001)"
    ]
    assert reasons(arm(1), arm(2, tuning_seeds=(10_000, 10_001))) == [
        "the arms were not tuned with the same seeds"
    ]
    assert "the arms were not tuned over one grid of learning rates" in reasons(
        arm(1), arm(2, {0.1: 0.2, 1.0: 0.1, 3.0: 0.3})
    )
    assert "some arms were tuned by runs of their own, others by those that are compared" in (
        reasons(arm(1), (arm(2)[0], []))
    )
    assert "the arms do not have the same seeds" in reasons(arm(1), arm(2, seeds=4))


def test_trials_of_other_texts_or_another_setting_are_no_part_of_it() -> None:
    finals, trials = arm(2)
    other = [
        replace(one, hashes={**one.hashes, "split": "0" * 64})
        for one in trials
        if isinstance(one, Trial)
    ]
    assert reasons(arm(1), (finals, [*other])) == reasons(arm(1), (finals, []))
    _, longer = arm(2, **{"trainer.max_epochs": 9})
    assert reasons(arm(1), (finals, longer)) == reasons(arm(1), (finals, []))


def test_texts_that_were_trained_on_are_no_evidence() -> None:
    everything = {"data.split": "all"}
    assert "data.split=all: the test texts were trained on" in reasons(
        arm(1, **everything), arm(2, **everything)
    )


def test_the_table_says_what_was_spent() -> None:
    further = {0.3: 0.9, 1.0: 0.5, 3.0: 0.2, 10.0: 0.4}
    both = (arm(1), arm(2, further, chosen=3.0))
    records = [one for finals, _ in both for one in finals]
    trials = [one for _, tried in both for one in tried]
    told = findings(records, ["lora.rank"], beside=Beside(trials=trials))
    assert any(
        note.startswith("Learning rates: 3 to 4 a row, factors 0.3 to 10 of its optim.lr")
        for note in told.notes
    )
    assert [row[told.table.header.index("settings")] for row in told.table.rows] == [3, 4]
