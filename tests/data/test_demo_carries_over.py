"""What is learnt from the demo's messages holds for messages that people wrote."""

from pathlib import Path

import pytest

from loraexp.api import configure, run_folder
from loraexp.config.schema import Data
from loraexp.inference.predictor import Predictor
from loraexp.training.measure import measure_again
from loraexp.training.run import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default demo run."""
    config = configure("logger=none", f"output_dir={tmp_path_factory.mktemp('outputs')}")
    train(config)
    return run_folder(config)


@pytest.mark.slow
def test_a_prize_is_spam_and_an_appointment_is_ham(trained: Path) -> None:
    chances = Predictor(trained).probabilities(["You have won! Call now", "ok see you at 5"])
    assert chances.argmax(-1).tolist() == [1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("split", ["book", "stratified"])
def test_nine_of_ten_real_test_texts_are_labelled_rightly(
    split: str, trained: Path, real_data: Path
) -> None:
    data = Data(name="sms_spam", split=split, path=str(real_data / "sms_spam"))
    assert measure_again(trained, "test", data)["accuracy"] >= 0.9
