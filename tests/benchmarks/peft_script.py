"""What people write for one run of a sweep: peft on transformers, at its best here, one process.

    python peft_script.py CONFIG.json OUT.json

The base, the texts as token ids and the settings of one or several runs are in CONFIG.json. Batches
of like length, bf16 products where asked for, validation after each epoch, the best one tested.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

PAD = 0
# On a CPU both are faster than what transformers does by default.
TUNED = {"attn_implementation": "eager", "activation_function": "gelu_pytorch_tanh"}


def batches(lengths: list[int], size: int, generator: np.random.Generator | None) -> list[Any]:
    """Indices, of texts of like length, in random order if there is a generator."""
    order = np.argsort(lengths, kind="stable")
    cut = [order[i : i + size] for i in range(0, len(order), size)]
    return [cut[i] for i in generator.permutation(len(cut))] if generator else cut


def train(base: str, splits: dict[str, Any], run: dict[str, Any]) -> float:
    """One run; returns its test accuracy."""
    torch.manual_seed(run["seed"])
    model = transformers.GPT2ForSequenceClassification.from_pretrained(base, num_labels=2, **TUNED)
    model.config.pad_token_id = PAD
    lora = LoraConfig(
        task_type="SEQ_CLS",
        r=run["rank"],
        lora_alpha=run["alpha"],
        target_modules=["attn.c_attn", "attn.c_proj"],
        fan_in_fan_out=True,
    )
    model = get_peft_model(model, lora)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=run["lr"], fused=True)

    def logits(split: str, batch: Any) -> torch.Tensor:
        rows = [splits[split]["rows"][i] for i in batch]
        width = max(map(len, rows))
        tokens = torch.tensor([row + [PAD] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        with torch.autocast("cpu", torch.bfloat16, enabled=run["bf16"]):
            return model(tokens, attention_mask=mask).logits.float()

    def accuracy(split: str) -> float:
        model.eval()
        classes, right = np.array(splits[split]["classes"]), 0
        with torch.inference_mode():
            for batch in batches([*map(len, splits[split]["rows"])], 4 * run["batch"], None):
                right += int((logits(split, batch).argmax(-1).numpy() == classes[batch]).sum())
        return right / len(classes)

    generator, best = np.random.default_rng(run["seed"]), (-1.0, {})
    for _ in range(run["epochs"]):
        model.train()
        lengths = [*map(len, splits["train"]["rows"])]
        for batch in batches(lengths, run["batch"], generator):
            classes = torch.tensor([splits["train"]["classes"][i] for i in batch])
            F.cross_entropy(logits("train", batch), classes).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if (score := accuracy("validation")) > best[0]:
            kept = {k: v.clone() for k, v in get_peft_model_state_dict(model).items()}
            best = (score, kept)
    set_peft_model_state_dict(model, best[1])
    accuracy("sample")  # of the train texts, as our records have it
    return accuracy("test")


def main() -> None:
    transformers.utils.logging.disable_progress_bar()
    config = json.loads(Path(sys.argv[1]).read_text())
    scores = [train(config["base"], config["splits"], run) for run in config["runs"]]
    Path(sys.argv[2]).write_text(json.dumps(scores))


if __name__ == "__main__":
    main()
