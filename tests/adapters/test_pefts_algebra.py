"""Where peft's add_weighted_adapter is the sum of the matrices, and where it is something else.

The comparison behind algebra.py, as peft 0.21 has it: of ours the same properties hold for every
method that is linear in its change (test_algebra.py), and the others are refused.
"""

from typing import Any

import peft
import pytest
import torch
from layers import ALPHA, IN, OUT, OneLinear, random
from torch import Tensor, nn

pytestmark = pytest.mark.skipif(
    not peft.__version__.startswith("0.21"),
    reason="pins faults of peft 0.21; another release may have mended them",
)
RANK = 2  # two of them fit into the layer
KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
}
# A copy less itself is nothing in all of them: A and B cancel, and dora's magnitude starts anew.
CANCELS = {"cancellation"}
EXACT = {
    ("lora", "linear"): {"identity", *CANCELS},  # it adds A's and B's, not their products
    ("lora", "cat"): {"identity", "linearity", *CANCELS},
    ("lora", "svd"): {"identity", "linearity", *CANCELS},
    # The new adapter is scaled by alpha / r whatever the old ones were.
    **{("rslora", how): CANCELS for how in ("linear", "cat", "svd")},
    # The trained magnitude is lost.
    **{("dora", how): CANCELS for how in ("linear", "cat", "svd")},
}
SUMS: dict[str, tuple[list[str], list[float]]] = {
    "identity": (["one"], [1.0]),
    "cancellation": (["one", "copy"], [1.0, -1.0]),
    "linearity": (["one", "other"], [1.0, 2.0]),
}


def model_of(kind: str) -> peft.PeftModel:
    """Adapters one, copy (equal to it) and other on a layer (5, 7), far from their starts."""
    base = nn.Linear(IN, OUT, bias=False, dtype=torch.float64)
    with torch.no_grad():
        base.weight.copy_(random(OUT, IN, seed=1))
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["proj"], **KINDS[kind])  # type: ignore[arg-type]
    model = peft.get_peft_model(OneLinear(base), config, adapter_name="one")
    for name in ("copy", "other"):
        model.add_adapter(name, config)
    model.double().eval()
    seeds = {"one": 10, "copy": 10, "other": 20}
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            for name, seed in seeds.items():
                if f".{name}" in path:
                    own = sum(letter in path for letter in ("lora_B", "magnitude"))
                    start = random(*parameter.shape, seed=seed + own)
                    parameter.copy_(start.abs() + 1 if "magnitude" in path else start)
    return model


@torch.no_grad()
def change(model: peft.PeftModel, name: str) -> Tensor:
    """What an adapter adds to the weight (out, in), whatever its kind."""
    model.set_adapter(name)
    with model.disable_adapter():
        plain = model(torch.eye(IN, dtype=torch.float64))
    whole: Tensor = model(torch.eye(IN, dtype=torch.float64)) - plain
    return whole.t()


@pytest.mark.parametrize("what", SUMS)
@pytest.mark.parametrize(("kind", "how"), EXACT)
def test_where_pefts_sum_is_that_of_the_matrices(kind: str, how: str, what: str) -> None:
    model, (names, weights) = model_of(kind), SUMS[what]
    rank = {"svd_rank": 2 * RANK} if how == "svd" else {}
    model.add_weighted_adapter(names, weights, adapter_name="sum", combination_type=how, **rank)
    parts = zip(weights, names, strict=True)
    wanted = sum((w * change(model, name) for w, name in parts), torch.zeros(OUT, IN))
    off = float((change(model, "sum") - wanted).abs().max())
    # peft makes the new adapter in float32
    assert (off <= 1e-5) == (what in EXACT[kind, how]), off
