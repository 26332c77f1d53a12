"""A training step and a prediction of each way that is timed (ways.py).

All start from the same random GPT-2 weights and see the same texts, r = 8 on q, k, v and out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from ways import COMPILED, OURS, WAYS

from loraexp.adapters.inject import fold, unfold
from loraexp.api import configure
from loraexp.config.schema import TrainConfig
from loraexp.data.batching import LengthGrouped, collate
from loraexp.data.splits import load_data
from loraexp.model.locate import tokenizer_folder
from loraexp.model.weights import load_tokenizer
from loraexp.runs.load import build_model

PAD = 50256
TUNED = {"attn_implementation": "eager", "activation_function": "gelu_pytorch_tanh"}


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

    def sample(self, size: int, number: int, *, grouped: bool) -> list[list[int]]:
        """That many batches for a whole epoch: of like length, evenly from short to long, or at
        random. The same ones each time."""
        batches = self.batches(size, 0, grouped=grouped)
        if grouped:
            batches.sort(key=lambda batch: sum(len(self.rows[i]) for i in batch))
        return [batches[int((k + 0.5) * len(batches) / number)] for k in range(number)]

    def longest(self, size: int) -> list[int]:
        return sorted(range(len(self.rows)), key=lambda i: -len(self.rows[i]))[:size]


class Arm:
    """One way to compute logits, with the optimizer that all share."""

    grouped = True

    def __init__(
        self,
        network: torch.nn.Module,
        logits: Callable[[list[int]], torch.Tensor],
        texts: Texts,
        device: str,
    ) -> None:
        self.logits, self.texts, self.device = logits, texts, device
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

    def merge(self) -> None:
        """Until `unmerge`, predict at the cost of the base alone."""
        fold(self.network)

    def unmerge(self) -> None:
        unfold(self.network)


class PeftArm(Arm):
    def merge(self) -> None:
        self.network.merge_adapter()  # type: ignore[operator]

    def unmerge(self) -> None:
        self.network.unmerge_adapter()  # type: ignore[operator]


def build(way: str, model: str, base: Path, device: str) -> Arm:
    """One of WAYS on the base in that folder, with the real SMS texts."""
    config = configure(f"model={model}", "model.weights=random", "data=sms_spam")
    data = load_data(config.data)
    rows = load_tokenizer(config.model).encode(data.train.texts, config.model.context)
    texts = Texts(rows, data.train.classes)
    if way not in (OURS, COMPILED):
        return peft(base, texts, device, **WAYS[way])
    tokenizer = str(tokenizer_folder(config.model))
    config = replace(config, model=replace(config.model, weights=str(base), tokenizer=tokenizer))
    return ours(config, texts, device, **WAYS[way])


def ours(config: TrainConfig, texts: Texts, device: str, *, compiled: bool = False) -> Arm:
    """The network, the batches and the collate function that `train` uses."""
    config = replace(config, trainer=replace(config.trainer, compile=compiled))
    network = build_model(config, ("ham", "spam")).network

    def logits(batch: list[int]) -> torch.Tensor:
        made = collate([(texts.rows[i], 0) for i in batch], PAD)
        return network(made.tokens.to(device), made.lengths.to(device))

    return Arm(network, logits, texts, device)


def peft(
    folder: Path,
    texts: Texts,
    device: str,
    *,
    autocast: bool,
    bf16_base: bool = False,
    tuned: bool = False,
    compiled: bool = False,
    pad_to: int | None = None,
) -> Arm:
    """peft on transformers: the fused c_attn and attn.c_proj.

    Args:
        autocast: multiply in bf16.
        bf16_base: hold the frozen base in bf16; the adapter is float32.
        tuned: attention written out, and gelu as one operation: on a CPU both are faster than
            transformers' defaults, torch's fused attention and a gelu of eight operations.
        compiled: by torch.compile, for all lengths.
        pad_to: the tutorial's fixed width and random batches; else the batch's longest text, in
            batches of like length.
    """
    import transformers
    from peft import LoraConfig, get_peft_model

    transformers.utils.logging.disable_progress_bar()
    weights = torch.bfloat16 if bf16_base else torch.float32
    base = transformers.GPT2ForSequenceClassification.from_pretrained(
        folder, num_labels=2, dtype=weights, **TUNED if tuned else {}
    )
    base.config.pad_token_id = PAD
    targets = ["attn.c_attn", "attn.c_proj"]
    lora = LoraConfig(
        task_type="SEQ_CLS", r=8, lora_alpha=16, target_modules=targets, fan_in_fan_out=True
    )
    model = get_peft_model(base, lora)
    if compiled:
        torch._dynamo.config.recompile_limit = 64  # of 8, its steps would soon be plain ones
        model.compile(dynamic=True)

    def logits(batch: list[int]) -> torch.Tensor:
        made = collate([(texts.rows[i][:pad_to], 0) for i in batch], PAD, pad_to)
        mask = torch.arange(made.tokens.shape[1]) < made.lengths[:, None]
        with torch.autocast(device, torch.bfloat16, enabled=autocast):
            out = model(made.tokens.to(device), attention_mask=mask.long().to(device))
        return out.logits.float()

    arm = PeftArm(model, logits, texts, device)
    arm.grouped = pad_to is None
    return arm
