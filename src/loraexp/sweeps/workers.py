"""Processes of this machine that do the jobs of a sweep side by side: each has its share of the
cores, or a GPU, and does one job after another. What they leave is what one process leaves."""

import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any

from loraexp.errors import UserError
from loraexp.runtime.shares import share
from loraexp.sweeps.jobs import Job, failed, launch, outcome_of
from loraexp.sweeps.live.board import Stepped, Task
from loraexp.sweeps.live.watch import Watch, there

log = logging.getLogger("loraexp")
Doing = Callable[[Sequence[Job]], None]  # does jobs, in any order, and comes back when all are done
TRIES = 2  # a job whose process dies is given to another one, once
PATIENCE = 30  # seconds for a process to tidy up before it is killed


@contextmanager
def crew(workers: int, watch: Watch) -> Iterator[Doing]:
    """Who does a sweep's jobs: this process, or several of its own."""
    if workers == 1:
        yield partial(one_by_one, watch)
        return
    several = Workers(workers, watch)
    try:
        yield several.do
    except BaseException:
        several.stop()
        raise
    several.dismiss()


def one_by_one(watch: Watch, jobs: Sequence[Job]) -> None:
    for job in jobs:
        launch(job, watch)


@dataclass
class Worker:
    """One process, and the job it has in hand.

    Args:
        ready: it has read its libraries.
    """

    number: int
    process: "subprocess.Popen[str]"
    ready: bool = False
    job: Job | None = None
    task: Task | None = None
    found: bool = False

    def say(self, content: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()


@dataclass
class Workers:
    """Started when there is a job for them, and kept for the next wave of jobs.

    Args:
        most: how many at most.
    """

    most: int
    watch: Watch
    crew: dict[int, Worker] = field(default_factory=dict)
    inbox: "SimpleQueue[tuple[Worker, Any]]" = field(default_factory=SimpleQueue)

    def do(self, jobs: Sequence[Job]) -> None:
        """All of `jobs`; each leaves its result, or its failure, in its run's folder.

        Raises:
            UserError: what ends a sweep, as a full disk.
        """
        waiting, tries = deque(jobs), dict.fromkeys((job.place for job in jobs), 0)
        while waiting or any(worker.job for worker in self.crew.values()):
            for number in range(min(self.most, len(waiting))):
                if number not in self.crew:
                    self.start(number)
            for worker in self.crew.values():
                if waiting and worker.ready and worker.job is None:
                    self.give(worker, waiting.popleft())
            worker, message = self.inbox.get()
            if message is not None:
                self.heard(worker, message)
            elif (job := self.lost(worker)) is not None:
                tries[job.place] += 1
                if tries[job.place] < TRIES:
                    log.warning(f"warning: a worker {ended(worker.process)}: its job begins again")
                    waiting.appendleft(job)
                else:
                    failed(job, f"its process {ended(worker.process)}")
                    self.over(worker)

    def lost(self, worker: Worker) -> Job | None:
        """The job of a worker that is gone."""
        del self.crew[worker.number]
        if not worker.ready:
            raise UserError(f"workers: one could not start, its process {ended(worker.process)}")
        return worker.job

    def start(self, number: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "loraexp.sweeps.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **share(number, self.most, os.environ)},
            start_new_session=True,  # Ctrl-C comes to us, and we end them
        )
        worker = self.crew[number] = Worker(number, process)
        Thread(target=listen, args=(worker, self.inbox), daemon=True).start()

    def give(self, worker: Worker, job: Job) -> None:
        worker.job, worker.found = job, there(job.config, job.trial)
        worker.task = self.watch.began(job.number, job.config, job.trial)
        with suppress(BrokenPipeError):  # it is dead: `listen` says so
            worker.say({"job": str(job.write()), "steps": self.watch.on_screen})

    def heard(self, worker: Worker, message: Mapping[str, Any]) -> None:
        match message:
            case {"ready": _}:
                worker.ready = True
            case {"log": [level, text]}:
                log.log(level, text)
            case {"step": now} if worker.task:
                self.watch.tell(Stepped(worker.task.place, *now))
            case {"stopped": reason}:
                raise UserError(reason)
            case {"ended": _}:
                self.over(worker)

    def over(self, worker: Worker) -> None:
        assert worker.task is not None
        assert worker.job is not None
        self.watch.ended(worker.task, outcome_of(worker.job), worker.found)
        worker.job = worker.task = None

    def dismiss(self) -> None:
        """They end by themselves, having nothing to do."""
        for worker in self.crew.values():
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        for worker in self.crew.values():
            worker.process.wait()

    def stop(self) -> None:
        """They keep the epoch they have reached, and end."""
        for worker in self.crew.values():
            worker.process.terminate()
        for worker in self.crew.values():
            try:
                worker.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.process.kill()


def listen(worker: Worker, inbox: "SimpleQueue[tuple[Worker, Any]]") -> None:
    """Hand on what a worker says; None when it is gone."""
    assert worker.process.stdout is not None
    with worker.process.stdout as said:
        for line in said:
            inbox.put((worker, json.loads(line)))
    worker.process.wait()
    inbox.put((worker, None))


def ended(process: "subprocess.Popen[str]") -> str:
    status = process.wait()
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
