"""What the tests share: a tiny model, a run of it, the real data where it is there, quiet."""

import os
from pathlib import Path

import pytest
from small import small_run, tiny_model

from loraexp.config.schema import Model
from loraexp.runtime.process import settle

os.environ.setdefault("WANDB_MODE", "offline")  # no test reaches the network
settle()  # as the command line does
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: a core each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def tiny() -> Model:
    return tiny_model()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run."""
    from loraexp.runs.name import run_folder  # torch: only where a test asks for a run
    from loraexp.training.run import train

    config = small_run(tmp_path_factory.mktemp("outputs"), epochs=1, logger="none")
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
