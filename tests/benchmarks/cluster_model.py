"""A sweep on many workers, by discrete events: what `cluster.py` feeds with measured seconds.

One process hands out packs of jobs and hears of their ends; one folder serves all, one operation
after another. A worker starts, asks for a pack, writes what begins it, computes, writes what ends
it. One that fails loses what it computed since the last epoch's end; its jobs begin again one by
one, before all others, as in launchers/workers.py.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from cluster_costs import (
    COMPUTED,
    FAILURES,
    FOLDER,
    STARTED,
    SUBMITTER,
    WAVE,
    Costs,
    Result,
    Setting,
)


@dataclass
class Server:
    """Serves one after another, in the order they come."""

    free: float = 0.0
    busy: float = 0.0

    def until(self, now: float, seconds: float) -> float:
        self.free = max(now, self.free) + seconds
        self.busy += seconds
        return self.free


@dataclass
class Pack:
    """
    Args:
        left: share of each job's computing that is still to be done.
        tries: how often it was begun.
    """

    jobs: int
    left: float = 1.0
    tries: int = 0


# What a process waits for: so many seconds of its own, or of a server.
Wait = tuple[Server | None, float]
Steps = Generator[Wait, None, None]


@dataclass
class Worker:
    """
    Args:
        life: grows with each failure: what was planned for an earlier one does not happen.
        began, needs: when it began to compute what it has in hand, and for how long.
    """

    number: int
    life: int = 0
    pack: Pack | None = None
    began: float | None = None
    needs: float = 0.0


class Cluster:
    """One sweep; `run` once."""

    def __init__(self, costs: Costs, setting: Setting) -> None:
        self.costs, self.setting = costs, setting
        self.random = random.Random(setting.seed)
        self.now, self.order = 0.0, 0
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.folder, self.submitter, self.result = Server(), Server(), Result()
        self.open, width = setting.jobs, setting.width
        sizes = (min(width, setting.jobs - at) for at in range(0, setting.jobs, width))
        self.waiting = deque(map(Pack, sizes))
        self.idle: dict[int, tuple[Worker, float]] = {}  # and since when

    def run(self) -> Result:
        costs, jobs, result = self.costs, self.setting.jobs, self.result
        self.now = costs.around + costs.opening * jobs
        self.submitter.until(0.0, self.now)
        workers = [Worker(n) for n in range(self.setting.workers)]
        for worker in workers:
            self.begin(worker)
        while self.open:
            self.now, _, action = heapq.heappop(self.events)
            action()
        for number in [*self.idle]:
            self.wake(number)
        result.makespan = self.submitter.until(self.now, costs.closing * jobs)
        outside = result.makespan - self.now + costs.around + costs.opening * jobs
        result.add(SUBMITTER, outside * self.setting.workers)
        result.folder, result.submitter = self.folder.busy, self.submitter.busy
        return result

    def at(self, when: float, action: Callable[[], None]) -> None:
        self.order += 1
        heapq.heappush(self.events, (when, self.order, action))

    def begin(self, worker: Worker) -> None:
        """A worker's life, from its start to its failure."""
        life = worker.life
        self.go(worker, life, self.living(worker))
        if self.setting.failures:
            after = self.random.expovariate(self.setting.failures / 3600)
            self.at(self.now + after, lambda: self.fail(worker, life))

    def go(self, worker: Worker, life: int, steps: Steps) -> None:
        """On to the next thing that it waits for."""
        if worker.life != life:
            return
        wait = next(steps, None)
        if wait is not None:
            server, seconds = wait
            end = server.until(self.now, seconds) if server else self.now + seconds
            self.at(end, lambda: self.go(worker, life, steps))

    def living(self, worker: Worker) -> Steps:
        if not self.setting.fresh:
            yield from self.timed(STARTED, None, self.costs.start)
        yield from self.asking(worker)

    def asking(self, worker: Worker) -> Steps:
        """One pack after another, until none waits."""
        while self.waiting:
            pack = worker.pack = self.waiting.popleft()
            pack.tries += 1
            yield from self.doing(worker, pack)
            worker.pack = None
            self.over(pack, finished=True)
        self.idle[worker.number] = worker, self.now

    def doing(self, worker: Worker, pack: Pack) -> Steps:
        costs, n = self.costs, pack.jobs
        if self.setting.fresh:
            yield from self.timed(STARTED, None, costs.start)
        yield from self.timed(SUBMITTER, self.submitter, n * costs.hand_out)
        yield from self.timed(FOLDER, self.folder, n * (costs.files + costs.before))
        worker.began, worker.needs = self.now, self.alone(n) * pack.left
        yield None, worker.needs
        self.result.add(COMPUTED, worker.needs)
        worker.began, pack.left = None, 0.0
        yield from self.timed(FOLDER, self.folder, n * costs.after)
        self.submitter.until(self.now, n * costs.hear)  # nobody waits for it

    def alone(self, n: int) -> float:
        return self.costs.job if n == 1 else n * self.costs.packed

    def timed(self, what: str, server: Server | None, seconds: float) -> Steps:
        began = self.now
        if seconds:
            yield server, seconds
            if server is self.folder:
                yield None, seconds * (self.costs.wait - 1)
        self.result.add(what, self.now - began)

    def over(self, pack: Pack, finished: bool) -> None:
        self.open -= pack.jobs
        if finished:
            self.result.finished += pack.jobs
        else:
            self.result.failed += pack.jobs

    def fail(self, worker: Worker, life: int) -> None:
        if worker.life != life:
            return
        worker.life += 1
        self.result.failures += 1
        self.wake(worker.number)
        if worker.pack:
            self.waiting.extendleft(self.saved(worker, worker.pack))
            worker.pack, worker.began = None, None
        self.result.add(FAILURES, self.costs.repair)
        self.at(self.now + self.costs.repair, lambda: self.begin(worker))
        for number in [*self.idle][: len(self.waiting)]:
            asleep = self.wake(number)
            self.go(asleep, asleep.life, self.asking(asleep))

    def wake(self, number: int) -> Worker | None:
        """One that had nothing to do."""
        worker, since = self.idle.pop(number, (None, 0.0))
        if worker:
            self.result.add(WAVE, self.now - since)
        return worker

    def saved(self, worker: Worker, pack: Pack) -> list[Pack]:
        """What is to be done again of the jobs that a worker had in hand: from the last epoch's
        end."""
        left = pack.left
        if worker.began is not None:
            spent = self.now - worker.began
            whole = 1 - left * (1 - spent / worker.needs)
            left = min(left, 1 - int(whole * self.costs.epochs) / self.costs.epochs)
            useful = worker.needs * (1 - left / pack.left)
            self.result.add(COMPUTED, useful)
            self.result.add(FAILURES, spent - useful)
        if pack.tries < self.setting.tries:
            return [Pack(1, left, pack.tries) for _ in range(pack.jobs)]
        self.over(pack, finished=False)
        return []
