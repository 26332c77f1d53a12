"""`make methods`: what holds of each method; docs/methods.md shows it.

A tiny GPT-2 in float64, adapters far from their start; differences are of logits, the largest.
Every cell is computed here, none is typed.
"""

import argparse
import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import drawn
import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from loraexp.adapters.branches.base import Adapted
from loraexp.adapters.counts import count_shapes
from loraexp.adapters.inject import adapter_tensors, inject, merge
from loraexp.adapters.methods import METHODS, as_method
from loraexp.adapters.of_base import nothing
from loraexp.config.schema import Adaptation, Head, Lora, Model
from loraexp.errors import UserError
from loraexp.inference.multi_adapter import MultiAdapter
from loraexp.model.checkpoint import save_classifier
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.shapes import linear_shapes, shapes
from loraexp.model.tokenizer import from_bytes
from loraexp.model.weights import load_classifier
from loraexp.results.tables import FORMATS
from loraexp.tools.peft.to_peft import WRITERS, save_to, to_peft

EXACT = 1e-12
LORA = Lora(rank=8)
GPT2 = Model()
TOKENS = torch.randint(0, 256, (4, 9), generator=torch.Generator().manual_seed(5))
LENGTHS = torch.tensor([9, 4, 7, 1])


def tiny() -> Model:
    model = Model("tiny", "random", "bytes", n_layer=2, n_head=2, d_model=16, context=16)
    model.vocab_size = 257
    return model


def trained(method: str, seed: int = 1) -> GPT2Classifier:
    network = load_classifier(tiny(), Head(), 2, seed=0).double()
    inject(network, as_method(Adaptation(lora=LORA), method), seed).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter_tensors(network).values():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.3 * noise
    return network.eval()


def parameters(method: str) -> int:
    """Trainable with GPT-2 124M, two classes, rank 8 on q, k, v and out."""
    config = as_method(Adaptation(lora=LORA), method)
    return count_shapes(shapes(GPT2, Head(), 2), [*linear_shapes(GPT2)], config).trainable


def in_peft(method: str, folded: bool) -> float:
    """Exported, and opened by peft; there merged into the base too, if `folded`."""
    network = trained(method)
    if METHODS[method].peft not in WRITERS:
        raise UserError("merged only" if METHODS[method].branch else "no adapter")
    with tempfile.TemporaryDirectory() as name:
        base, adapter = Path(name) / "base", Path(name) / "adapter"
        plain = load_classifier(tiny(), Head(), 2, seed=0)
        save_classifier(plain.state_dict(), tiny(), from_bytes(), ("a", "b"), base)
        settings, tensors = to_peft(network, method, str(base))
        save_to(adapter, settings, tensors)
        exact = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(exact, adapter / "adapter_model.safetensors")
        model = AutoModelForSequenceClassification.from_pretrained(base).double()
        theirs = PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).eval()
        theirs = theirs.merge_and_unload() if folded else theirs
        return gap(network(TOKENS), theirs(TOKENS).logits)


def merges(method: str) -> float:
    network = trained(method)
    before = network(TOKENS, LENGTHS)
    return gap(before, merge(network)(TOKENS, LENGTHS))


def packs(method: str) -> float:
    """Two adapters in one batch of texts of different lengths, against each alone."""
    if METHODS[method].trains is not nothing:
        raise UserError("trains the base")
    pair = {name: trained(method, seed) for seed, name in enumerate("ab")}
    many = MultiAdapter(load_classifier(tiny(), Head(), 1, seed=0).double()).eval()
    for name, network in pair.items():
        own = copy.deepcopy(network)
        branches = {n: m.branch for n, m in own.named_modules() if isinstance(m, Adapted)}
        many.add(name, own.pooling, own.score, branches)
    names = ["a", "b", "b", "a"]
    found = many.mixed(TOKENS, LENGTHS, names)
    rows = {name: [i for i, own in enumerate(names) if own == name] for name in pair}
    return max(gap(found[n], network(TOKENS, LENGTHS)[rows[n]]) for n, network in pair.items())


def gap(one: Tensor, other: Tensor) -> float:
    return float((one.detach() - other.detach()).abs().max())


def cell(measure: Callable[[], float]) -> str:
    """The difference where it is at most EXACT; `NO` with it where it is more; why not, else."""
    try:
        value = measure()
    except UserError as error:
        return str(error)
    return f"{value:.0e}" if value <= EXACT else f"NO: {value:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--format", choices=[*FORMATS], default="table")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = [
        [
            method,
            parameters(method),
            cell(lambda m=method: in_peft(m, folded=False)),
            cell(lambda m=method: in_peft(m, folded=True)),
            cell(lambda m=method: merges(m)),
            cell(lambda m=method: packs(m)),
        ]
        for method in METHODS
    ]
    lines = [dict(zip(drawn.METHOD, row, strict=True)) for row in rows]
    print(FORMATS[options.format](drawn.methods(lines)))
    if options.out:
        options.out.write_text(json.dumps(lines, indent=2) + "\n")


if __name__ == "__main__":
    main()
