"""What a run asks of whoever computes for it, and the run that computes for itself."""

import logging
import os
import time

import torch
from torch import Tensor, nn

from loraexp.config.schema import Trainer
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.prefix_states import Prefix
from loraexp.runtime.company import fitting_threads
from loraexp.runtime.hardware import uses_gpu

log = logging.getLogger("loraexp")


class Apart(Exception):
    """A run cannot share what its pack shares: it is to be made alone."""


class Alone:
    """A run that shares with none: its network, and its clock."""

    width = 1

    def __init__(self, network: nn.Module | None = None) -> None:
        self.network = network

    @property
    def prefixes(self) -> dict[int, Prefix]:
        """Of the pack's frozen first blocks, by how many they are."""
        return {}

    def join(self, network: GPT2Classifier, base_sha256: str) -> None:
        self.network = network

    def logits(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # (B, T), (B,) -> (B, C)
        assert self.network is not None
        logits: Tensor = self.network(tokens, lengths)
        return logits

    def backward(self, loss: Tensor) -> None:
        loss.backward()  # type: ignore[no-untyped-call]

    def clock(self) -> float:
        """Seconds, of which only differences mean anything."""
        return time.monotonic()

    def suit_threads(self, trainer: Trainer) -> None:
        """Begin with as many as are asked for, else as many as other processes leave cores for."""
        asked, own = trainer.threads, torch.get_num_threads()
        if asked is None and not uses_gpu(trainer.accelerator) and trainer.devices == 1:
            found = fitting_threads(os.environ.get("OMP_NUM_THREADS"))
            if found and found[0] < own:
                asked = found[0]
                log.info(
                    f"with {asked} of {own} threads: others keep {found[1]:.1f} cores busy "
                    "(trainer.threads=N chooses)"
                )
        if asked is not None:
            set_threads(asked)

    def keep_threads(self, threads: int) -> None:
        """Go on with as many as the run began with, or that of before had."""
        if threads != torch.get_num_threads():
            own = torch.get_num_threads()
            log.info(f"with {threads} threads, as the run of before: this process has {own}")
            set_threads(threads)


def set_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning sets its own
