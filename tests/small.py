"""A model of milliseconds and a run of it, for tests that need them without a fixture."""

import atexit
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from loraexp.config.schema import Data, Logger, Lora, Model, Optim, TrainConfig, Trainer
from loraexp.records.record import Record, read_record


def tiny_model() -> Model:
    """Two blocks of width 16 on bytes, with random weights."""
    return Model(
        name="tiny",
        weights="random",
        tokenizer="bytes",
        n_layer=2,
        n_head=2,
        d_model=16,
        context=64,
        vocab_size=257,
    )


def small_run(outputs: Path, epochs: int, logger: str) -> TrainConfig:
    """Three batches an epoch; float32, so that results do not depend on the CPU's bf16."""
    return TrainConfig(
        output_dir=str(outputs),
        model=tiny_model(),
        data=Data(limit=24),
        lora=Lora(rank=2),
        optim=Optim(lr=1e-2),
        trainer=Trainer(max_epochs=epochs, precision="fp32", accelerator="cpu"),
        logger=Logger(name=logger),
    )


def trained(config: TrainConfig) -> Record:
    """Like train(), for tests of what comes after it: a config's run is trained once in a session
    and copied for each test, which may do to its copy what it likes."""
    from loraexp.api import run_folder  # torch: only where a test asks for a run
    from loraexp.training.run import train

    assert config.logger.name == "none", "the name of a run does not tell what it logs"
    own = replace(config, output_dir=str(runs_of_session()))
    train(own)  # nothing, where it is finished
    return read_record(Path(shutil.copytree(run_folder(own), run_folder(config))))


@cache
def runs_of_session() -> Path:
    folder = mkdtemp(prefix="loraexp-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)
