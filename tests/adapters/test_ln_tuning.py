"""Tuning of layer norms: exactly transformers' layer norms, and those of peft's LN Tuning."""

import peft
import pytest
from transformers import GPT2Config, GPT2ForSequenceClassification

from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.config.schema import Adaptation
from loraexp.model.classifier import GPT2Classifier


@pytest.mark.filterwarnings("ignore:Unsupported layer type")  # of peft, to its own adapter
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
def test_the_norms_that_train_are_those_of_peft(network: GPT2Classifier) -> None:
    config = GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=257, n_positions=64)
    theirs = peft.get_peft_model(
        GPT2ForSequenceClassification(config),
        peft.LNTuningConfig(target_modules=["ln_1", "ln_2", "ln_f"]),
    )
    marks = ("base_model.model.transformer.", "ln_tuning_layers.default.")
    wanted = {
        name.replace(marks[0], "").replace(marks[1], "")
        for name, parameter in theirs.named_parameters()
        if parameter.requires_grad
    }
    ours = adapter_tensors(inject(network, Adaptation("ln_tuning"), seed=1))
    assert ours.keys() == wanted | {"score.weight", "score.bias"}
