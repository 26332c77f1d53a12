"""How far a sweep has come, as a value: what happens to a job is an event, and a board after an
event is another board. Who works is not known here, and may be any number of processes."""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

SEEN = 0.05  # of a job, before what it takes is foreseen
Place = tuple[bool, int]  # is it a trial, and its number among those of its kind


@dataclass(frozen=True)
class Task:
    """A job as a board knows it.

    Args:
        what: it in words, by what varies in its sweep.
        cost: equal of two jobs that take about equally long.
    """

    trial: bool
    number: int
    what: str
    cost: str = ""

    @property
    def place(self) -> Place:
        return self.trial, self.number


@dataclass(frozen=True)
class Known:
    """So many jobs of a kind there will be, as far as is known.

    Args:
        costs: of each; None of one whose result is there already.
    """

    trial: bool
    costs: Sequence[str | None]


@dataclass(frozen=True)
class Began:
    task: Task
    at: float


@dataclass(frozen=True)
class Stepped:
    """What a job does now.

    Args:
        steps: in this epoch; 0 where there are none to count.
        loss: of the last step, where somebody asked for it.
    """

    place: Place
    doing: str
    step: int = 0
    steps: int = 0
    texts_per_second: float | None = None
    loss: float | None = None

    @property
    def done(self) -> float | None:
        """Which share of its epochs; None where it does not train."""
        epochs = re.fullmatch(r"epoch (\d+)/(\d+)", self.doing)
        if not epochs or not self.steps:
            return None
        return (int(epochs[1]) - 1 + self.step / self.steps) / int(epochs[2])


@dataclass(frozen=True)
class Ended:
    """A job that is over; without scores and reason it was ended early.

    Args:
        accuracy: on validation texts, as is the loss; of test texts nothing is known here.
        reason: why it failed.
        found: its result was there before.
    """

    task: Task
    at: float
    accuracy: float | None = None
    loss: float | None = None
    reason: str | None = None
    found: bool = False


Event = Known | Began | Stepped | Ended


@dataclass(frozen=True)
class Running:
    task: Task
    began: float
    now: Stepped


@dataclass(frozen=True)
class Board:
    """The state of a sweep.

    Args:
        folder: where everything of the sweep is.
        began: in seconds, as `time.time` has it.
        seconds: that jobs took which trained here, by what they are.
        seen: of each kind, one more than the highest number of a job that began or ended.
        tops: of each kind, the best by validation texts.
    """

    folder: str
    began: float
    known: Mapping[bool, Sequence[str | None]] = field(default_factory=dict)
    running: Mapping[Place, Running] = field(default_factory=dict)
    ended: Mapping[Place, Ended] = field(default_factory=dict)
    seconds: Mapping[Place, float] = field(default_factory=dict)
    seen: Mapping[bool, int] = field(default_factory=dict)
    tops: Mapping[bool, Ended] = field(default_factory=dict)

    def after(self, event: Event) -> "Board":
        match event:
            case Known():
                return replace(self, known={**self.known, event.trial: event.costs})
            case Began(task, at):
                running = Running(task, at, Stepped(task.place, "loading"))
                going = {**self.running, task.place: running}
                return replace(self, running=going, seen=self.with_seen(task))
            case Stepped(place) if place in self.running:
                running = replace(self.running[place], now=event)
                return replace(self, running={**self.running, place: running})
            case Ended(task):
                return self.without(task.place, event)
        return self

    def without(self, place: Place, event: Ended) -> "Board":
        going = {at: job for at, job in self.running.items() if at != place}
        seconds = {**self.seconds}
        trained = event.accuracy is not None and not event.found
        if trained and place in self.running:
            seconds[place] = event.at - self.running[place].began
        ended = {**self.ended, place: event}
        return replace(
            self,
            running=going,
            ended=ended,
            seconds=seconds,
            seen=self.with_seen(event.task),
            tops=self.with_top(event),
        )

    def with_seen(self, task: Task) -> dict[bool, int]:
        return {**self.seen, task.trial: max(self.seen.get(task.trial, 0), task.number + 1)}

    def with_top(self, event: Ended) -> Mapping[bool, Ended]:
        """By validation texts: of trials the lowest loss, of final runs the highest accuracy."""
        kind = event.task.trial
        if event.accuracy is None:
            return self.tops
        both = [job for job in (self.tops.get(kind), event) if job]  # of equals the first stays
        return {**self.tops, kind: min(both, key=by_loss if kind else by_accuracy)}

    def of_kind(self, trial: bool) -> list[Ended]:
        return [job for job in self.ended.values() if job.task.trial == trial]

    def count(self, trial: bool) -> int:
        """How many jobs of a kind there are, as far as is known."""
        return max(len(self.known.get(trial, ())), self.seen.get(trial, 0))

    @property
    def failures(self) -> list[Ended]:
        """In the order they came."""
        return [job for job in self.ended.values() if job.reason is not None]

    def best(self, trial: bool) -> Ended | None:
        return self.tops.get(trial)

    def seconds_left(self, now: float) -> float | None:
        """As long as jobs of like cost took, or those of the same kind, or any; before one has
        ended, as long as those take that train now, by what they have done; None before that.
        Those who work share what is left."""
        seconds = self.seconds or self.foreseen(now)
        ahead = [*self.ahead()] if seconds else []
        if not ahead:
            return None
        likely = self.expected_of({(place[0], cost) for place, cost in ahead}, seconds)
        left = 0.0
        for place, cost in ahead:
            job = self.running.get(place)
            spent = now - job.began if job else 0.0
            left += max(0.0, likely[place[0], cost] - spent)
        return left / max(1, len(self.running))

    def ahead(self) -> Iterator[tuple[Place, str]]:
        """The jobs that have not ended and are to be trained, and their cost."""
        for trial, costs in self.known.items():
            for number, cost in enumerate(costs):
                if cost is not None and (trial, number) not in self.ended:
                    yield (trial, number), cost

    def foreseen(self, now: float) -> dict[Place, float]:
        """What those take that have trained a twentieth of their epochs."""
        known = {place: job.now.done for place, job in self.running.items()}
        return {
            place: (now - self.running[place].began) / done
            for place, done in known.items()
            if done and done >= SEEN
        }

    def expected_of(
        self, kinds: Collection[tuple[bool, str]], seconds: Mapping[Place, float]
    ) -> dict[tuple[bool, str], float]:
        """What a job of each kind and cost will take."""
        costs = {place: job.task.cost for place, job in self.running.items()}
        taken = defaultdict[tuple[bool, str | None], list[float]](list)
        for place, spent in seconds.items():
            ended = self.ended.get(place)
            taken[place[0], ended.task.cost if ended else costs[place]].append(spent)
            taken[place[0], None].append(spent)
        means = {kind: fmean(spent) for kind, spent in taken.items()}
        any_kind = fmean(seconds.values())
        return {
            (trial, cost): means.get((trial, cost), means.get((trial, None), any_kind))
            for trial, cost in kinds
        }


def by_loss(job: Ended) -> float:
    return math.inf if job.loss is None else job.loss


def by_accuracy(job: Ended) -> tuple[float, float]:
    return -(job.accuracy or 0.0), by_loss(job)
