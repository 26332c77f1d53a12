"""What the tests share: a tiny model, a run of it, the real data where it is there, quiet."""

import gc
import os
from pathlib import Path

import pytest
from made_records import make_record, make_records  # noqa: F401
from small import small_run, tiny_model

from loraexp.config.schema import Head, Model, TrainConfig

os.environ.setdefault("WANDB_MODE", "offline")  # no test reaches the network
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: a core each, before torch is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """As many threads in each run, whoever else works here; workers have their own."""
    if not getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count()))


@pytest.fixture(scope="module", autouse=True)
def what_is_imported_is_no_garbage() -> None:
    """statsmodels and Lightning collect garbage each time, 0.2 s of it in what was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def tiny() -> Model:
    return tiny_model()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run."""
    from loraexp.api import run_folder  # torch: only where a test asks for a run
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


@pytest.fixture
def small(tmp_path: Path) -> TrainConfig:
    return small_run(tmp_path / "outputs", epochs=2, logger="none")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path]:
    """A tiny base, as ours and as transformers' folder."""
    from loraexp.model.checkpoint import save_classifier
    from loraexp.model.tokenizer import from_bytes
    from loraexp.model.weights import load_classifier

    model = Model("tiny", "random", "bytes", n_layer=2, n_head=2, d_model=8, context=16)
    model.vocab_size = 257
    folder = tmp_path_factory.mktemp("base")
    network = load_classifier(model, Head(), 2, seed=0)
    save_classifier(network.state_dict(), model, from_bytes(), ("ham", "spam"), folder)
    return model, folder
