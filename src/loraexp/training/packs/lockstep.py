"""Several runs of one process in step: each is a thread of its own and trains as a single run does,
but only one of them goes on at a time, and what all of them wait for is computed for all at once.

So a run needs to know nothing of the others, and what a library does for one run (a Trainer, its
callbacks, checkpoints, loggers) it does for each.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Semaphore, Thread
from typing import Any

import torch
from torch import Tensor, nn

from loraexp.config.schema import Trainer
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.prefix_states import Prefix
from loraexp.training.packs.alone import Alone, Apart
from loraexp.training.packs.network import PackNetwork, Texts

RandomState = list[Tensor]


class Left(BaseException):
    """Ends a run whose pack is stopped. No Exception: it is no failure of the run."""


@dataclass(frozen=True)
class Asked:
    """What a run waits for.

    Args:
        texts: whose logits; None: the gradients of `loss`.
        modes: whether the run's thread wants gradients, and tensors that can never have any.
    """

    texts: Texts | None = None
    loss: Tensor | None = None
    modes: tuple[bool, bool] = (True, False)


@dataclass(eq=False)
class Member(Alone):
    """A run of a pack, as it sees itself.

    Args:
        random: the state of torch's generators as this run left them.
        places: in the grid of its last batch: its share of what is computed for all.
        away: seconds in which others went on, less its share of what was computed for all.
        end: what ended its thread, if not its work.
    """

    number: int
    pack: "Pack"
    random: RandomState = field(default_factory=lambda: random_state())
    draws: bool = False
    go: Semaphore = field(default_factory=lambda: Semaphore(0))
    parked: Event = field(default_factory=Event)
    asked: Asked = Asked()
    answer: Any = None
    places: int = 1
    away: float = 0.0
    over: bool = False
    end: BaseException | None = None

    @property
    def width(self) -> int:  # type: ignore[override]
        return len(self.pack.members)

    @property
    def prefixes(self) -> dict[int, Prefix]:
        return self.pack.prefixes

    def join(self, network: GPT2Classifier, base_sha256: str) -> None:
        """Raises:
        Apart: a base other than the pack's.
        """
        self.draws = any(isinstance(m, nn.Dropout) and m.p for m in network.modules())
        self.pack.take(self.number, network, base_sha256)

    def logits(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        self.places = tokens.numel()
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        logits: Tensor = self.ask(Asked(texts=(tokens, lengths), modes=modes))
        return logits

    def backward(self, loss: Tensor) -> None:
        self.ask(Asked(loss=loss))

    def clock(self) -> float:
        return time.monotonic() - self.away

    def suit_threads(self, trainer: Trainer) -> None:
        if trainer.threads is not None:
            self.keep_threads(trainer.threads)

    def keep_threads(self, threads: int) -> None:
        if threads != torch.get_num_threads():
            raise Apart(f"it began with {threads} threads")

    def ask(self, asked: Asked) -> Any:
        """Give way until it is there."""
        self.asked, began = asked, time.monotonic()
        self.park()
        self.away += time.monotonic() - began
        answer, self.answer = self.answer, None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def park(self) -> None:
        if not self.pack.stopping:
            self.parked.set()
            self.go.acquire()
        if self.pack.stopping:
            raise Left


class Pack:
    """Runs `works` in step, each with the Member that it is."""

    def __init__(self, works: Sequence[Callable[[Member], None]]) -> None:
        self.members = [Member(number, self) for number in range(len(works))]
        self.works = works
        self.network: PackNetwork | None = None
        self.base_sha256 = ""
        self.prefixes: dict[int, Prefix] = {}
        self.stopping = False

    def run(self) -> None:
        """Until all have ended; how each did is in its `end`. What ends this thread, or is no
        Exception, ends all of them."""
        threads = [
            Thread(target=self.work, args=own) for own in zip(self.members, self.works, strict=True)
        ]
        try:
            for thread in threads:
                thread.start()
            live = self.members
            while live:
                for member in live:
                    self.resume(member)
                live = [member for member in live if not member.over]
                self.serve(live)
        finally:
            self.stopping = True  # nobody is left where nothing went wrong
            for member in self.members:
                member.go.release()
            for thread in threads:
                thread.join()

    def work(self, member: Member, work: Callable[[Member], None]) -> None:
        try:
            member.park()
            work(member)
        except BaseException as error:  # whatever it is: who waits is told
            member.end = error
        member.over = True
        member.parked.set()

    def resume(self, member: Member) -> None:
        """Let a run go on until it gives way, with random numbers of its own."""
        member.parked.wait()
        member.parked.clear()
        with self.drawing(member):
            member.go.release()
            member.parked.wait()
        if member.over and self.network:
            self.network.leave(member.number)
        if member.end is not None and not isinstance(member.end, Exception):
            raise member.end

    def take(self, number: int, network: GPT2Classifier, base_sha256: str) -> None:
        """A network more; the base of the first becomes its own."""
        if self.network is None:
            self.network, self.base_sha256 = PackNetwork(network), base_sha256
        elif base_sha256 != self.base_sha256:
            raise Apart("its base is not that of the others")
        self.network.add(number, network)

    def serve(self, waiting: Sequence[Member]) -> None:
        """Give these what they ask for, what is alike at once."""
        alike: dict[tuple[bool, tuple[bool, bool]], list[Member]] = {}
        for member in waiting:
            alike.setdefault((member.asked.texts is None, member.asked.modes), []).append(member)
        for (backward, modes), some in alike.items():
            began = time.monotonic()
            try:
                self.backward(some) if backward else self.logits(some, *modes)
            except (torch.OutOfMemoryError, MemoryError):
                for member in some:
                    member.answer = Apart("all of them do not fit into memory at once")
            except RuntimeError as error:  # of one or of all: each run says it
                for member in some:
                    member.answer = error
            share = (time.monotonic() - began) / sum(member.places for member in some)
            for member in some:
                member.away -= share * member.places

    def logits(self, some: Sequence[Member], gradients: bool, inference: bool) -> None:
        assert self.network is not None
        texts = {m.number: m.asked.texts for m in some if m.asked.texts is not None}
        draw = gradients and any(member.draws for member in some)
        stream = (lambda number: self.drawing(self.members[number])) if draw else None
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            made = self.network.logits(texts, stream)
        for member in some:
            member.answer = made[member.number]

    def backward(self, some: Sequence[Member]) -> None:
        torch.autograd.backward([m.asked.loss for m in some if m.asked.loss is not None])

    @contextmanager
    def drawing(self, member: Member) -> Iterator[None]:
        """Draw random numbers from the member's own state."""
        outside = random_state()
        set_random_state(member.random)
        try:
            yield
        finally:
            member.random = random_state()
            set_random_state(outside)


def random_state() -> RandomState:
    """Of the CPU's generator and those of the GPUs in use."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    return [torch.get_rng_state(), *gpus]


def set_random_state(state: RandomState) -> None:
    torch.set_rng_state(state[0])
    if len(state) > 1:
        torch.cuda.set_rng_state_all(state[1:])
