"""Processes of this machine that do the jobs of a sweep side by side: each has its share of the
cores, or a GPU, and does one pack of jobs after another. What they leave is what one process does.
"""

import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import Thread
from typing import Any

from loraexp.errors import UserError
from loraexp.runtime.shares import share
from loraexp.sweeps.jobs import Job, failed, outcome_of
from loraexp.sweeps.live.board import Stepped, Task
from loraexp.sweeps.live.watch import Watch, there
from loraexp.sweeps.packs import packs

log = logging.getLogger("loraexp")
TRIES = 2  # a job whose process dies is given to another one, once
PATIENCE = 30  # seconds for a process to tidy up before it is killed


@dataclass(frozen=True)
class InHand:
    """A job that a worker does, and whether its result was there before."""

    job: Job
    task: Task
    found: bool


@dataclass
class Worker:
    """One process, and the jobs it has in hand, by their places.

    Args:
        ready: it has read its libraries, and waits for jobs.
    """

    number: int
    process: "subprocess.Popen[str]"
    ready: bool = False
    jobs: dict[tuple[bool, int], InHand] = field(default_factory=dict)

    def say(self, content: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(content) + "\n")
        self.process.stdin.flush()


@dataclass
class Workers:
    """Started when there is a job for them, and kept for the next wave of jobs.

    Args:
        most: how many at most.
        width: jobs of a pack, at most.
    """

    most: int
    width: int
    watch: Watch
    crew: dict[int, Worker] = field(default_factory=dict)
    inbox: "SimpleQueue[tuple[Worker, Any]]" = field(default_factory=SimpleQueue)

    def do(self, jobs: Sequence[Job]) -> None:
        """All of `jobs`; each leaves its result, or its failure, in its run's folder.

        Raises:
            UserError: what ends a sweep, as a full disk.
        """
        waiting = deque(packs(jobs, self.width, self.most))
        tries = dict.fromkeys((job.place for job in jobs), 0)
        while waiting or any(worker.jobs for worker in self.crew.values()):
            for number in range(min(self.most, len(waiting))):
                if number not in self.crew:
                    self.start(number)
            for worker in self.crew.values():
                if waiting and worker.ready:
                    self.give(worker, waiting.popleft())
            worker, message = self.inbox.get()
            if message is not None:
                self.heard(worker, message)
            else:
                waiting.extendleft([job] for job in self.lost(worker, tries))

    def lost(self, worker: Worker, tries: dict[tuple[bool, int], int]) -> Iterator[Job]:
        """The jobs of a worker that is gone which have a try left: each is then done alone."""
        del self.crew[worker.number]
        if not worker.ready and not worker.jobs:
            raise UserError(f"workers: one could not start, its process {ended(worker.process)}")
        for place, in_hand in [*worker.jobs.items()][::-1]:
            tries[place] += 1
            if tries[place] < TRIES:
                log.warning(f"warning: a worker {ended(worker.process)}: its job begins again")
                yield in_hand.job
            else:
                failed(in_hand.job, f"its process {ended(worker.process)}")
                self.over(worker, place)

    def start(self, number: int) -> None:
        process = subprocess.Popen(
            [sys.executable, "-m", "loraexp.sweeps.launchers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **share(number, self.most, os.environ)},
            start_new_session=True,  # Ctrl-C comes to us, and we end them
        )
        worker = self.crew[number] = Worker(number, process)
        Thread(target=listen, args=(worker, self.inbox), daemon=True).start()

    def give(self, worker: Worker, pack: Sequence[Job]) -> None:
        worker.ready = False
        for job in pack:
            found = there(job.config, job.trial)
            task = self.watch.began(job.number, job.config, job.trial)
            worker.jobs[job.place] = InHand(job, task, found)
        with suppress(BrokenPipeError):  # it is dead: `listen` says so
            files = [str(job.write()) for job in pack]
            worker.say({"jobs": files, "steps": self.watch.every})

    def heard(self, worker: Worker, message: Mapping[str, Any]) -> None:
        match message:
            case {"ready": _} | {"free": _}:
                worker.ready = True
            case {"log": [level, text]}:
                log.log(level, text)
            case {"step": [place, *now]}:
                self.watch.tell(Stepped((place[0], place[1]), *now))
            case {"stopped": reason}:
                raise UserError(reason)
            case {"ended": [trial, number]}:
                self.over(worker, (trial, number))

    def over(self, worker: Worker, place: tuple[bool, int]) -> None:
        done = worker.jobs.pop(place)
        self.watch.ended(done.task, outcome_of(done.job), done.found)

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
