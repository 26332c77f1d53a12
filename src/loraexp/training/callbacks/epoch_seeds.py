"""An epoch's random numbers are its own."""

import random

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from loraexp.data.batching import Batch


class EpochSeeds(Callback):
    """Random numbers (dropout) of an epoch come from the seed, the process and the epoch alone, so
    an epoch is the same whether or not the process began with it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Batch, index: int
    ) -> None:
        if index == 0:
            place = (self.seed, trainer.global_rank, trainer.current_epoch)
            (seed,) = np.random.SeedSequence(place).generate_state(1)
            torch.manual_seed(int(seed))
            np.random.seed(seed)
            random.seed(int(seed))
