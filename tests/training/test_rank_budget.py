"""A whole run with method=adalora: what is cut, and what is learnt."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from loraexp.api import configure, run_folder
from loraexp.training.run import train

TINY = (
    "method=adalora",
    "model.weights=random",
    "model.tokenizer=bytes",
    "model.vocab_size=257",
    "model.n_layer=2",
    "model.n_head=2",
    "model.d_model=16",
    "model.context=64",
    "data.limit=24",
    "logger=none",
    "lora.rank=4",
    "lora.target_modules=[q_proj,v_proj]",
)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_run_ends_with_the_share_of_ranks(share: float, tmp_path: Path) -> None:
    config = configure(*TINY, f"adalora.budget={share}", f"output_dir={tmp_path}")
    train(config)
    tensors = load_file(run_folder(config) / "adapter" / "adapter_model.safetensors")
    left = sum(int((t != 0).sum()) for name, t in tensors.items() if name.endswith(".lora_E"))
    assert left == share * 4 * 4  # four targets of rank 4


def test_penalty_is_part_of_what_is_learnt(tmp_path: Path) -> None:
    found = {}
    for weight in (0.0, 1000.0):
        longer = ("optim.lr=0.01", "trainer.max_epochs=10", f"output_dir={tmp_path}")
        config = configure(*TINY, f"adalora.orthogonality={weight}", *longer)
        train(config)
        tensors = load_file(run_folder(config) / "adapter" / "adapter_model.safetensors")
        rows = torch.stack([t for name, t in sorted(tensors.items()) if name.endswith(".lora_A")])
        found[weight] = float((rows @ rows.transpose(1, 2) - torch.eye(4)).square().sum())
    assert found[1000.0] < 0.8 * found[0.0]
