"""What the tests share: a tiny model, a run of it, the real data where it is there, quiet."""

import os
from pathlib import Path

import pytest

from loraexp.config import Data, Logger, Lora, Model, Optim, TrainConfig, Trainer

os.environ.setdefault("WANDB_MODE", "offline")  # no test reaches the network
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line sets it
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: a core each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def tiny() -> Model:
    """Two blocks of width 16 on bytes, with random weights: milliseconds a test."""
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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny run in float32, so that results do not depend on the CPU's bf16."""
    from loraexp.training.naming import run_folder  # torch: only where a test asks for a run
    from loraexp.training.run import train

    model = Model(name="tiny", weights="random", tokenizer="bytes", n_layer=2, n_head=2)
    model.d_model, model.context, model.vocab_size = 16, 64, 257
    config = TrainConfig(
        output_dir=str(tmp_path_factory.mktemp("outputs")),
        model=model,
        data=Data(limit=24),
        lora=Lora(rank=2),
        optim=Optim(lr=1e-2),
        trainer=Trainer(max_epochs=1, precision="fp32", accelerator="cpu"),
        logger=Logger(name="none"),
    )
    train(config)
    return run_folder(config)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real SMS Spam Collection and GPT-2's BPE files."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LORAEXP_DATA_DIR", beside))
    if not (folder / "sms_spam" / "SMSSpamCollection").is_file():
        pytest.skip(f"real data is not in {folder}: set LORAEXP_DATA_DIR to the folder that has it")
    return folder
