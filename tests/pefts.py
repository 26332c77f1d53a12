"""peft's own adapters of a base, for what is read from and compared with them."""

from pathlib import Path
from typing import Any

import peft
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForSequenceClassification


def theirs(base: Path, **settings: Any) -> PeftModel:
    """peft's model in float64, every tensor of its adapter random."""
    plain = AutoModelForSequenceClassification.from_pretrained(base)
    config = LoraConfig(task_type="SEQ_CLS", fan_in_fan_out=True, **settings)
    model = peft.get_peft_model(plain, config).double().eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "ranknum" not in name:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                parameter += 0.3 * noise
    return model
