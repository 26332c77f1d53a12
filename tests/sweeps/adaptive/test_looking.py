"""A sweep whose seeds are added in looks: how many it trains, and what its table then says."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from in_process import command, train
from made_records import record
from verbs import plan

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.results.arms import arms
from loraexp.results.beside import Beside
from loraexp.results.comparison import findings
from loraexp.results.fairness import caveats
from loraexp.runs.run_folder import RunFolder
from loraexp.stats.looks import Looks
from loraexp.sweeps.adaptive.looking import by_looks
from loraexp.sweeps.jobs import Job
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.sweep_folder import Sweep

LOOKS = Looks((3, 5, 8))


def run(rank: int, seed: int, rate: float, texts: int = 400) -> Record:
    """A run that labels this share of its texts rightly, each seed with its own mistakes."""
    right = np.random.default_rng((rank, seed)).random(texts) < rate
    true = [0, 1] * (texts // 2)
    predicted = [t if hit else 1 - t for t, hit in zip(true, right, strict=True)]
    made = record({"lora.rank": rank, "seed": seed}, name=f"r{rank}-{seed}")
    wrong = [int((~right[at::2]).sum()) for at in (0, 1)]
    half = texts // 2
    confusion = [[half - wrong[0], wrong[0]], [wrong[1], half - wrong[1]]]
    share = float(right.mean())
    scores = {**made.metrics["test"], "accuracy": share, "n": texts, "confusion": confusion}
    return replace(
        made,
        metrics={**made.metrics, "test": scores},
        predictions={"test": {"true": true, "predicted": predicted}},
    )


@pytest.fixture
def swept(tmp_path: Path) -> Callable[[dict[int, float]], dict[int, int]]:
    """How many seeds each rank was given, by how many texts it labels rightly; no training."""

    def sweep(rates: dict[int, float]) -> dict[int, int]:
        def doing(jobs: Sequence[Job]) -> None:
            for job in jobs:
                rank, seed = job.config.lora.rank, job.config.seed
                run(rank, seed, rates[rank]).write(RunFolder.of(job.config).path)
                job.sweep.begin(job.number, RunFolder.of(job.config).path)

        plain = TrainConfig(output_dir=str(tmp_path))
        configs = [
            replace(plain, lora=replace(plain.lora, rank=rank), seed=seed)
            for rank in rates
            for seed in range(LOOKS.seeds[-1])
        ]
        sweep, watch = Sweep(tmp_path / "sweeps" / "a"), Watch("a", [], False, False)
        by_looks(configs, LOOKS, sweep, watch, doing)
        ranks = [one.config["lora"]["rank"] for one in sweep.outcomes()]
        return {rank: ranks.count(rank) for rank in rates}

    return sweep


def test_what_is_told_apart_at_once_needs_no_more(
    swept: Callable[[dict[int, float]], dict[int, int]],
) -> None:
    assert swept({1: 0.6, 2: 0.95}) == {1: 3, 2: 3}


def test_what_is_alike_goes_to_the_end_and_the_loser_does_not(
    swept: Callable[[dict[int, float]], dict[int, int]],
) -> None:
    assert swept({1: 0.6, 2: 0.951, 4: 0.95}) == {1: 3, 2: 8, 4: 8}


def reasons(records: list[Record], looks: Looks | None) -> list[str]:
    return caveats(arms(records, ["lora.rank"]), ["lora.rank"], looks)


def test_the_guard_knows_seeds_of_declared_looks() -> None:
    unequal = [run(1, seed, 0.6) for seed in range(3)] + [run(2, seed, 0.95) for seed in range(8)]
    assert "the arms do not have the same seeds" in reasons(unequal, None)
    assert "the arms do not have the same seeds" not in reasons(unequal, LOOKS)
    assert "the arms do not have the same number of runs" not in reasons(unequal, LOOKS)
    other = [one for one in unequal if one.config["seed"] != 1]  # no look's seeds
    assert "the arms do not have the same seeds" in reasons(other, LOOKS)


def test_p_of_looks_is_dearer_than_of_a_fixed_number_of_seeds() -> None:
    records = [run(rank, seed, 0.8 + 0.05 * rank) for rank in (1, 2) for seed in range(3)]
    fixed, looked = (
        findings(records, ["lora.rank"], beside=Beside(looks=looks)) for looks in (None, LOOKS)
    )
    at = fixed.table.header.index("p")
    (before,) = [row[at] for row in fixed.table.rows if row[at] is not None]
    (after,) = [row[at] for row in looked.table.rows if row[at] is not None]
    assert before < after  # type: ignore[operator]
    assert any(note.startswith("Seeds were added at looks declared") for note in looked.notes)


def test_the_command_declares_its_looks_and_table_reads_them(tmp_path: Path) -> None:
    typed = ("seeds=auto", "seeds.looks=[2,3]", "lora.rank=1,2", "trainer.max_epochs=1")
    status, out, err = train(tmp_path, *typed)
    assert status == 0, err
    (file,) = tmp_path.glob("outputs/sweeps/*/looks.json")
    assert json.loads(file.read_text())["seeds"] == [2, 3]
    assert "look at 2 seeds: " in err
    note = "Seeds were added at looks declared beforehand (2, 3; bound wang_tsiatis)"
    assert note in out
    status, out, _ = command(tmp_path, "table", f"runs={file.parent}", "by=[lora.rank]")
    assert status == 0
    assert note in out
    file.write_text("[]")
    status, _, err = command(tmp_path, "table", f"runs={file.parent}", "by=[lora.rank]")
    assert (status, "looks.json is damaged" in err) == (2, True)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["seeds=auto", "seed=0,1"], "seed=0,1: seeds=auto counts up from seed"),
        (["seeds=auto", "seeds.looks=[3,3]"], "looks must rise"),
        (["seeds=auto", "seeds.looks=[1,3]"], "seeds.looks must rise from 2 or more, got"),
        (["seeds=auto", "seeds.bound=none"], "unknown seeds.bound 'none'"),
        (["seeds.looks=[3,5]", "-m"], "seeds.looks needs seeds=... beside it, one of auto"),
        (["seeds=auto", "search.trials=3", "lora.rank=1,2"], "leave out seeds"),
    ],
)
def test_what_cannot_be_looked_at_is_said_before_a_run(typed: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        plan("train", typed)


def test_an_experiments_own_seeds_give_way() -> None:
    jobs = plan("train", ["experiment=rank_sweep", "seeds=auto", "seeds.looks=[2,4]"]).jobs
    assert {config.seed for config in jobs} == {0, 1, 2, 3}
    assert len(jobs) == 5 * 4
