"""Processes that train together end together."""

import signal
import threading

from lightning.pytorch import Callback, LightningModule, Trainer


class Together(Callback):
    """What ends the main process of DDP ends those that it started: left alone they would wait, or
    complain of a closed connection. Lightning's own answer to SIGTERM is a broadcast in the middle
    of whatever is going on, and hangs: a handler that was there before has its place back."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if callable(self.handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.handler)

    on_validation_start = on_test_start = on_train_start

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        if trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(signal.SIGKILL)
