"""THE TABLE of methods: what each one attaches, and which of the base's tensors it trains.

The head trains with every method. To add a method, add a row here and conf/method/<name>.yaml, and
if no branch in branches/ does what it needs, one file there. Above each row stands its formula, and
where it differs from PEFT's. No torch here: counting and naming need none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loraexp.adapters.of_base import Trains, last_blocks, named, nothing
from loraexp.adapters.sizes import blocks, full_rank, kronecker, low_rank
from loraexp.adapters.targets import Target
from loraexp.config.schema import Adaptation, Lora
from loraexp.errors import UserError, unknown

Numbers = Callable[[int, int, Target], int]  # of in, out and the target's rank or path


@dataclass(frozen=True)
class Method:
    """One way to fine-tune.

    Args:
        branch: name of the class in branches.BRANCHES that every target module gets, or None.
        trains: which of the base's tensors train, by name.
        lora: keys of `lora` that make the method what it is.
        tunable: of these, keys that a user may set to any other value above this one.
        frozen: tensors of the branch that do not train.
        branch_trains, branch_holds: numbers that train, and that do not, in one branch.
        without: keys of `lora` that it has no use for, and refuses.
        has_rank: whether `lora.rank` and all that goes with it mean anything.
        peft: PEFT's name for what `export` writes, or why it writes nothing.
    """

    summary: str
    branch: str | None = None
    trains: Trains = nothing
    lora: Mapping[str, Any] = field(default_factory=dict)
    tunable: Mapping[str, float] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    branch_trains: Numbers = lambda into, out, target: 0
    branch_holds: Numbers = lambda into, out, target: 0
    has_rank: bool = False
    peft: str = "trains tensors of the base, which no adapter that export writes holds"


def ranked(summary: str, branch: str = "LowRank", **more: Any) -> Method:
    """A row of the low-rank kind."""
    own = {"branch_trains": low_rank, "has_rank": True, "peft": "LORA"}
    return Method(summary, branch, **{**own, **more})


def dense(summary: str, branch: str, trains: Numbers, **more: Any) -> Method:
    """A row whose change of a weight is of no low rank."""
    none = "changes weights by matrices of no low rank, and export writes PEFT's LoRA and IA3 alone"
    return Method(summary, branch, branch_trains=trains, has_rank=True, peft=none, **more)


METHODS = {
    # W x + (alpha / r) B A x, as PEFT's (LowRank).
    "lora": ranked("low-rank update of the target modules (Hu et al. 2021, section 4.1)"),
    # W x + (alpha / sqrt(r)) B A x, as PEFT's use_rslora.
    "rslora": ranked(
        "lora scaled by alpha over the root of r (Kalajdzievski 2023, section 3)",
        lora={"scaling": "alpha_over_sqrt_r"},
    ),
    # The same branch: W x + s B A x. lora_B learns at lr_ratio times the rate, lora_A at the rate
    # itself (Hayou et al. 2024, where 16 is advised). PEFT's optimizer has vectors in the fast
    # group too and embeddings in one of their own; here nothing but lora_B leaves the common rate.
    "lora_plus": ranked(
        "lora with a higher rate for lora_B (Hayou et al. 2024, section 4)",
        lora={"lr_ratio": 16.0},
        tunable={"lr_ratio": 1.0},
    ),
    # W x + s B A x with A as it was drawn. PEFT has it as an optimizer (LoraFAOptimizer), which
    # also divides the gradient of B by s^2 A A'; here AdamW takes the gradient as it is.
    "lora_fa": ranked(
        "lora with lora_A frozen (Zhang et al. 2023, LoRA-FA, section 3)",
        frozen=("lora_A",),
        branch_trains=lambda into, out, target: target.rank * out,
        branch_holds=lambda into, out, target: target.rank * into,
    ),
    # W x + s (B A - B0 A0) x; PEFT edits W instead (FromStart).
    "pissa": ranked(
        "lora from the principal singular vectors (Meng et al. 2024, section 3)",
        "FromStart",
        lora={"init": "pissa"},
        branch_holds=low_rank,
    ),
    # The same with another B0 A0; PEFT edits W instead (FromStart).
    "olora": ranked(
        "lora from a QR decomposition (Buyukakyuz 2024, section 3)",
        "FromStart",
        lora={"init": "olora"},
        branch_holds=low_rank,
    ),
    # The same with B0 A0 from the gradient of the first batches; PEFT scales it otherwise (LoraGa).
    "lora_ga": ranked(
        "lora from the weight's first gradient (Wang et al. 2024, LoRA-GA)",
        "LoraGa",
        branch_holds=low_rank,
    ),
    # W x + s B A x, A from the inputs of the first batches; PEFT also hands ranks around (Eva).
    "eva": ranked("lora from the layer's first inputs (Paischer et al. 2024, EVA)", "Eva"),
    # m (W + s B A) / |W + s B A| x, as PEFT's (Dora).
    "dora": ranked(
        "lora for the direction, a vector for the magnitude (Liu et al. 2024, section 4)",
        "Dora",
        branch_trains=lambda into, out, target: target.rank * (into + out) + out,
    ),
    # W x + b * B (d * A x); PEFT draws A and B otherwise (Vera).
    "vera": ranked(
        "vectors that scale shared random matrices (Kopiczko et al. 2023, section 3.1)",
        "Vera",
        branch_trains=lambda into, out, target: target.rank + out,
    ),
    # W x + s P (e * Q x); PEFT's s and penalty differ (AdaLora).
    "adalora": ranked(
        "a budget of ranks, spent where they matter (Zhang et al. 2023, AdaLoRA, section 3)",
        "AdaLora",
        branch_trains=lambda into, out, target: target.rank * (into + out + 1),
    ),
    # W x + s_b B_b A_b x, the first b ranks of r, b drawn for each step; PEFT has it not, but what
    # comes of it is a LORA.
    "dylora": ranked(
        "lora of which each step trains the first few ranks (Valipour et al. 2022, DyLoRA)",
        "Dylora",
    ),
    # W x + B sum_i x_i, x_i shards of r inputs: lora with a frozen A of ones and zeros, and so
    # PEFT's LORA; as PEFT's MISS (Miss).
    "miss": ranked(
        "one matrix for all shards of the input (Kang and Yin 2024, MiSS, section 4.2)",
        "Miss",
        branch_trains=lambda into, out, target: target.rank * out,
    ),
    # W R x, R of blocks (r, r), as PEFT's without its series in place of the inverse (Oft).
    "oft": dense(
        "the input is rotated in blocks of lora.rank (Qiu et al. 2023, OFT, section 3.3)",
        "Oft",
        lambda into, out, target: blocks(into, target) * (target.rank * (target.rank - 1) // 2),
        without=("dropout",),
    ),
    # (W + W * (B A)) x, as PEFT's (Hira).
    "hira": dense(
        "the weight times a low-rank matrix, entry by entry (Huang et al. 2025, HiRA, section 3)",
        "Hira",
        low_rank,
    ),
    # W x + s ((B1 A1) * (B2 A2)) x, as PEFT's (Loha).
    "loha": dense(
        "two low-rank matrices, entry by entry (Hyeon-Woo et al. 2022, FedPara, section 2.2)",
        "Loha",
        lambda into, out, target: 2 * low_rank(into, out, target),
    ),
    # W x + s (C (x) (B A)) x with the Kronecker product, as PEFT's (Lokr).
    "lokr": dense(
        "a Kronecker product with a low-rank matrix (Yeh et al. 2024, LyCORIS, section 3.2)",
        "Lokr",
        kronecker,
    ),
    # W x + S x, S sparse; PEFT draws other places (Shira).
    "shira": dense(
        "as many entries of the weight as lora has (Bhardwaj et al. 2024, SHiRA, section 3.1)",
        "Shira",
        lambda into, out, target: min(low_rank(into, out, target), into * out),
    ),
    # W x + s sum_j B_j L_j A G_j x; PEFT draws A and B otherwise (Randlora).
    "randlora": dense(
        "diagonals that scale random matrices of full rank (Albert et al. 2025, section 4.2)",
        "Randlora",
        lambda into, out, target: (
            full_rank(out, into, target.rank) * (target.rank + min(into, out))
        ),
    ),
    # l * (W x + b), of fc2 W (l * x) + b, as PEFT's (Ia3).
    "ia3": Method(
        "vectors that scale keys, values and the MLP's inside (Liu et al. 2022, section 3.3)",
        "Ia3",
        branch_trains=lambda into, out, target: into if target.closes_mlp else out,
        peft="IA3",
    ),
    # W x + b with b trained, those of the layer norms too; PEFT has no counterpart (its `bias` goes
    # along with an adapter). The paper's BitFit(b_q, b_m2) trains fewer.
    "bitfit": Method(
        "every bias of the base (Ben Zaken et al. 2021, section 3)", trains=named(r"\.bias")
    ),
    # W x + b with the norms' weight and bias trained, as PEFT's LN Tuning; the last one's too.
    "ln_tuning": Method(
        "every layer norm of the base (Zhao et al. 2023, Tuning LayerNorm, section 3)",
        trains=named(r"ln_[12f]\.\w+"),
    ),
    # W itself: no formula but the network's. Embeddings train too.
    "full": Method("every tensor of the base (Radford et al. 2018, section 3.2)", trains=named("")),
    # W itself, of a few blocks.
    "last_block": Method(
        "the last block(s) and the last layer norm (Raschka 2024, section 6.5)", trains=last_blocks
    ),
    # W_head h with h the frozen base's pooled vector.
    "head": Method("the classification head alone (Raschka 2024, section 6.5)"),
}


def find_method(name: str) -> Method:
    """The row called `name`; an unknown name is an error that lists the rows."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def as_method(config: Adaptation, name: str) -> Any:
    """The same config with another method, and the keys of `lora` that it stands for."""
    own = {key: getattr(Lora, key) for row in METHODS.values() for key in row.lora}
    row = find_method(name)
    own |= {key: getattr(Lora, key) for key in row.without}
    lora = replace(config.lora, **{**own, **row.lora})
    return replace(config, method=name, lora=lora)


def check_method(config: Adaptation) -> Method:
    """The row of `config.method`.

    Raises:
        UserError: an unknown method, or a key of `lora` that contradicts it.
    """
    method = find_method(config.method)
    for key, value in method.lora.items():
        given, least = getattr(config.lora, key), method.tunable.get(key)
        if given != value and (least is None or given <= least):
            wanted = f"={value}" if least is None else f" above {least:g}"
            raise UserError(f"method={config.method} needs lora.{key}{wanted}, got {given}")
    for key in method.without:
        given, none = getattr(config.lora, key), getattr(Lora, key)
        if given != none:
            raise UserError(
                f"method={config.method} has no lora.{key}: it must be {none}, got {given}"
            )
    started = {row.lora["init"] for row in METHODS.values() if "init" in row.lora}
    if method.branch and "init" not in method.lora and config.lora.init in started:
        raise UserError(
            f"lora.init={config.lora.init} belongs to method={config.lora.init}, "
            f"got method={config.method}"
        )
    return method
