"""For notebooks: the command line's keys as a config object, and a base to apply a method to."""

from collections.abc import Sequence
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.runs.run_folder import RunFolder
from loraexp.sweeps.plan import TRAIN, plan


def configure(*overrides: str) -> TrainConfig:
    """The config of one run from what would be typed after `train`: configure("lora.rank=8").

    Raises:
        UserError: an unknown key, option or value.
    """
    jobs: list[TrainConfig] = plan(TRAIN, list(overrides)).jobs
    if len(jobs) > 1:
        raise UserError(f"a config is of one run, and these overrides make {len(jobs)}")
    return jobs[0]


def load_base(config: TrainConfig, labels: Sequence[str]) -> GPT2Classifier:
    """The base that `config.model` names, in float32, with a fresh head for `labels`."""
    return load_classifier(config.model, config.head, len(labels), config.seed)


def run_folder(config: TrainConfig) -> Path:
    """Where `train` leaves the run of this config."""
    return RunFolder.of(config).path
