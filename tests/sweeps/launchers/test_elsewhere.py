"""Packs in the hands of another engine: whatever it does with them, each job has one result."""

import json
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from in_process import TINY

from loraexp.records.record import Failure, Record
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.jobs import Job, outcome_of
from loraexp.sweeps.launchers import elsewhere
from loraexp.sweeps.launchers.elsewhere import Elsewhere
from loraexp.sweeps.launchers.worker import work_through
from loraexp.sweeps.live.board import Event
from loraexp.sweeps.live.watch import Unseen
from loraexp.sweeps.plan import TRAIN, plan
from loraexp.sweeps.sweep_folder import Sweep

Doing = Callable[[Sequence[str]], None]


@dataclass
class Fake:
    """Does a pack as soon as it is asked how far it is; `does` stands for each one's fate, the last
    for all after it."""

    does: list[Doing]
    at_once: int = 2
    late: float = 0.0
    shown: str = "an engine of the test"
    queue: dict[str, list[str]] = field(default_factory=dict)
    given: list[list[str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def submit(self, packs: Sequence[Sequence[Path]]) -> list[str]:
        names = [str(len(self.given) + at) for at in range(len(packs))]
        files = [[*map(str, pack)] for pack in packs]
        self.queue |= dict(zip(names, files, strict=True))
        self.given += files
        assert len(self.queue) <= self.at_once
        return names

    def working(self, names: Collection[str]) -> set[str]:
        for name in [*self.queue]:
            self.does[min(int(name), len(self.does) - 1)](self.queue.pop(name))
        return set()

    def told(self, name: str) -> str:
        return f"pack {name} was lost"

    def cancel(self, names: Collection[str]) -> None:
        self.cancelled += names

    def close(self) -> None:
        pass


class Clock:
    """One on which only sleep takes time."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Heard(Unseen):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)


def lost(files: Sequence[str]) -> None:
    """A node that is gone before it began."""


def half(files: Sequence[str]) -> None:
    """One that is gone after its first job."""
    work_through(files[:1])


def jobs_in(folder: Path, *typed: str) -> list[Job]:
    planned = plan(TRAIN, [*TINY, "trainer.max_epochs=1", f"output_dir={folder}", *typed, "-m"])
    sweep = Sweep(folder / "sweeps" / "one")
    return [Job(sweep, number, config) for number, config in enumerate(planned.jobs)]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks: the engine of the test does all when it is looked at."""
    monkeypatch.setattr(elsewhere, "PERIOD", 0.0)


def done(jobs: Sequence[Job], engine: Fake, width: int = 2) -> Heard:
    heard = Heard()
    Elsewhere(engine, width, heard).do(jobs)
    return heard


def test_every_job_is_done_once_in_packs(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1,2,3,4")
    engine = Fake([work_through])
    heard = done(jobs, engine)
    assert sorted(len(pack) for pack in engine.given) == [1, 2, 2]
    assert len({file for pack in engine.given for file in pack}) == 5
    assert all(isinstance(outcome_of(job), Record) for job in jobs)
    assert len(heard.events) == 2 * len(jobs)


def test_what_is_there_is_not_given_away(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1")
    done(jobs, Fake([work_through]))
    engine = Fake([lost])
    heard = done(jobs, engine)
    assert engine.given == []
    assert len(heard.events) == 4


def test_a_lost_pack_is_done_again_job_by_job(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1")
    engine = Fake([half, lost, work_through])
    done(jobs, engine)
    assert [len(pack) for pack in engine.given] == [2, 1, 1]
    assert engine.given[1] == engine.given[2] == engine.given[0][1:]
    assert all(isinstance(outcome_of(job), Record) for job in jobs)


def test_the_results_of_all_lost_packs_are_waited_for_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is gone takes several with it."""
    monkeypatch.setattr(elsewhere, "PERIOD", 1.0)
    monkeypatch.setattr(elsewhere, "time", clock := Clock())
    jobs = jobs_in(tmp_path, "seed=0,1,2")
    done(jobs, Fake([lost, lost, lost, work_through], at_once=3, late=30.0), width=1)
    assert all(isinstance(outcome_of(job), Record) for job in jobs)
    assert clock.now == 30.0


def test_what_is_lost_each_time_fails_and_says_how(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1")
    engine = Fake([half, lost])
    done(jobs, engine)
    first, second = map(outcome_of, jobs)
    assert isinstance(first, Record)
    assert isinstance(second, Failure)
    assert second.reason == "pack 2 was lost"
    assert len(engine.given) == elsewhere.TRIES


def test_a_failure_of_before_is_no_result_of_now(tmp_path: Path) -> None:
    """The folder of a job that failed once holds that until it is done again."""
    jobs = jobs_in(tmp_path, "optim.lr=1e30,1e-3")
    done(jobs, Fake([work_through]), width=1)
    assert isinstance(outcome_of(jobs[0]), Failure)
    engine = Fake([lost, work_through])
    done(jobs, engine, width=1)
    assert [pack for pack in engine.given if "000000" in pack[0]] == engine.given
    assert len(engine.given) == 2  # lost, then failed anew


def test_a_rerun_is_not_over_while_its_record_is_the_old_one(tmp_path: Path) -> None:
    file, typed = tmp_path / "texts.csv", [f"data.path={tmp_path / 'texts.csv'}", "seed=0,1"]
    lines = [f"{label},{label} text {at}" for at in range(20) for label in ("ham", "spam")]
    file.write_text("\n".join(["label,text", *lines]) + "\n")
    done(jobs_in(tmp_path, "data=csv", *typed), Fake([work_through]))
    file.write_text("\n".join(["label,text", *lines, "ham,one more"]) + "\n")
    engine = Fake([lost, work_through])
    jobs = jobs_in(tmp_path, "data=csv", *typed, "rerun=true")
    done(jobs, engine)
    assert [len(pack) for pack in engine.given] == [2, 1, 1]
    done(jobs, Fake([lost]))  # of these texts it is there
    assert len([*(tmp_path / "replaced").iterdir()]) == 2


def test_who_goes_on_waits_for_what_is_in_the_queue(tmp_path: Path) -> None:
    """The process that gave the packs away is gone; the engine is not."""
    jobs = jobs_in(tmp_path, "seed=0,1,2,3")
    engine = Fake([work_through], at_once=1)
    Elsewhere(engine, 2, Unseen()).give([jobs[:2]])
    assert json.loads((jobs[0].sweep.folder / "given.json").read_text()) == {
        "0": ["jobs/0", "jobs/1"]
    }

    class Slow(Fake):
        """What is in the queue is at work at the first look."""

        looks = 0

        def working(self, names: Collection[str]) -> set[str]:
            self.looks += 1
            return {*names} if self.looks == 1 else super().working(names)

    slow = Slow([work_through], at_once=1, queue=engine.queue, given=engine.given)
    done(jobs, slow)
    assert [len(pack) for pack in slow.given] == [2, 2]
    assert all(isinstance(outcome_of(job), Record) for job in jobs)


def test_what_was_given_away_is_taken_back(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1")
    engine = Fake([lost])
    own = Elsewhere(engine, 2, Unseen())
    own.give([jobs])
    own.stop()
    assert engine.cancelled == ["0"]


def test_a_folder_that_was_removed_since_is_made_again(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, "seed=0,1")
    done(jobs, Fake([work_through]))
    shutil.rmtree(RunFolder.of(jobs[0].config).path)
    engine = Fake([work_through])
    done(jobs, engine)
    assert [len(pack) for pack in engine.given] == [1]
