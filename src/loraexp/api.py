"""For notebooks: the command line's keys as a config object, and a base to apply a method to."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir

from loraexp.config import TrainConfig
from loraexp.model.gpt2 import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.overrides import plan, typed


def configure(*overrides: str) -> TrainConfig:
    """The config of one run from what would be typed after `train`: configure("lora.rank=8").

    Raises:
        UserError: an unknown key, option or value.
    """
    planned = plan("train", list(overrides))
    with initialize_config_dir(str(planned.conf), version_base="1.3"):
        config: TrainConfig = typed(compose("train", planned.arguments[1:]))
    return config


def load_base(config: TrainConfig, labels: Sequence[str]) -> GPT2Classifier:
    """The base that `config.model` names, in float32, with a fresh head for `labels`."""
    return load_classifier(config.model, config.head, len(labels), config.seed)
