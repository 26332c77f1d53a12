"""The ways that are timed against each other: a training step and a prediction of each.

All start from the same random GPT-2 weights and see the same texts, r = 8 on q, k, v and out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from loraexp.config import TrainConfig
from loraexp.data.batching import LengthGrouped, collate
from loraexp.training.assemble import assemble

PAD = 50256


@dataclass(frozen=True)
class Texts:
    """Token ids and class of every text."""

    rows: Sequence[list[int]]
    classes: Sequence[int]

    def batches(self, size: int, seed: int, *, grouped: bool) -> list[list[int]]:
        """An epoch's row numbers: like lengths together, or at random."""
        if grouped:
            return list(LengthGrouped([len(row) for row in self.rows], size, seed=seed))
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.rows), generator=generator).tolist()
        return [order[i : i + size] for i in range(0, len(order), size)]


class Arm:
    """One way to compute logits, with the optimizer that all share."""

    grouped = True

    def __init__(
        self,
        name: str,
        network: torch.nn.Module,
        logits: Callable[[list[int]], torch.Tensor],
        texts: Texts,
        device: str,
    ) -> None:
        self.name, self.logits, self.texts, self.device = name, logits, texts, device
        self.network = network.to(device).train()
        self.trained = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-3, fused=True)

    def step(self, batch: list[int]) -> None:
        wanted = torch.tensor([self.texts.classes[i] for i in batch], device=self.device)
        F.cross_entropy(self.logits(batch), wanted).backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.inference_mode()
    def predict(self, batch: list[int]) -> None:
        self.logits(batch).argmax(-1).cpu()


def ours(config: TrainConfig, texts: Texts, device: str, name: str = "loraexp") -> Arm:
    """The network, the batches and the collate function that `train` uses."""
    network = assemble(config, ("ham", "spam")).network

    def logits(batch: list[int]) -> torch.Tensor:
        made = collate([(texts.rows[i], 0) for i in batch], PAD)
        return network(made.tokens.to(device), made.lengths.to(device))

    return Arm(name, network, logits, texts, device)


def peft(
    name: str,
    folder: Path,
    texts: Texts,
    device: str,
    *,
    autocast: bool,
    weights: torch.dtype = torch.float32,
    pad_to: int | None = None,
) -> Arm:
    """peft on transformers: the fused c_attn and attn.c_proj.

    Args:
        autocast: multiply in bf16.
        weights: what the frozen base is held in; the adapter is float32.
        pad_to: the tutorial's fixed width and random batches; else the batch's longest text, in
            batches of like length.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2ForSequenceClassification

    base = GPT2ForSequenceClassification.from_pretrained(folder, num_labels=2, dtype=weights)
    base.config.pad_token_id = PAD
    targets = ["attn.c_attn", "attn.c_proj"]
    lora = LoraConfig(
        task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=targets, fan_in_fan_out=True
    )
    model = get_peft_model(base, lora)

    def logits(batch: list[int]) -> torch.Tensor:
        made = collate([(texts.rows[i][:pad_to], 0) for i in batch], PAD, pad_to)
        mask = torch.arange(made.tokens.shape[1]) < made.lengths[:, None]
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            out = model(made.tokens.to(device), attention_mask=mask.long().to(device))
        return out.logits.float()

    arm = Arm(name, model, logits, texts, device)
    arm.grouped = pad_to is None
    return arm
