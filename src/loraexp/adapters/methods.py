"""THE TABLE of methods: what each one attaches, and which of the base's tensors it trains.

The head trains with every method. To add a method, add a row here and conf/method/<name>.yaml, and
if no branch in branches.py or variants.py does what it needs, one class there. No torch here:
counting and naming need none.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from loraexp.config import Adaptation, Lora
from loraexp.errors import UserError, unknown

Names = Iterable[str]
Numbers = Callable[[int, int, int], int]  # of in, out, r


def nothing(names: Names, config: Adaptation) -> Names:
    return ()


def everything(names: Names, config: Adaptation) -> Names:
    return names


def biases(names: Names, config: Adaptation) -> Names:
    return [name for name in names if name.endswith(".bias")]


def last_blocks(names: Names, config: Adaptation) -> Names:
    """The last `last_block.n` blocks and the last layer norm (the tutorial's chapter 6)."""
    blocks = {name: int(m[1]) for name in names if (m := re.match(r"h\.(\d+)\.", name))}
    first = max(blocks.values()) + 1 - config.last_block.n
    return [name for name in names if name.startswith("ln_f.") or blocks.get(name, -1) >= first]


def low_rank(into: int, out: int, r: int) -> int:
    return r * (into + out)


def none(into: int, out: int, r: int) -> int:
    return 0


@dataclass(frozen=True)
class Method:
    """One way to fine-tune.

    Args:
        branch: name of the class in variants.BRANCHES that every target module gets, or None.
        trains: which of the base's tensors train, by name.
        lora: keys of `lora` that make the method what it is.
        frozen: tensors of the branch that do not train.
        branch_trains, branch_holds: numbers that train, and that do not, in one branch.
    """

    summary: str
    branch: str | None = None
    trains: Callable[[Names, Adaptation], Names] = nothing
    lora: Mapping[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    branch_trains: Numbers = none
    branch_holds: Numbers = none


def on_targets(summary: str, branch: str = "LowRank", **more: Any) -> Method:
    return Method(summary, branch, **{"branch_trains": low_rank, **more})


METHODS = {
    "lora": on_targets("low-rank update of the target modules (Hu et al. 2021)"),
    "rslora": on_targets(
        "lora scaled by alpha over the root of r (Kalajdzievski 2023)",
        lora={"scaling": "alpha_over_sqrt_r"},
    ),
    "lora_plus": on_targets("lora with a higher rate for lora_B (Hayou et al. 2024)"),
    "lora_fa": on_targets(
        "lora with lora_A frozen (Zhang et al. 2023)",
        frozen=("lora_A",),
        branch_trains=lambda into, out, r: r * out,
        branch_holds=lambda into, out, r: r * into,
    ),
    "pissa": on_targets(
        "lora from the principal singular vectors (Meng et al. 2024)",
        "FromStart",
        lora={"init": "pissa"},
        branch_holds=low_rank,
    ),
    "olora": on_targets(
        "lora from a QR decomposition (Buyukakyuz 2024)",
        "FromStart",
        lora={"init": "olora"},
        branch_holds=low_rank,
    ),
    "dora": on_targets(
        "lora for the direction, a vector for the magnitude (Liu et al. 2024)",
        "Dora",
        branch_trains=lambda into, out, r: r * (into + out) + out,
    ),
    "vera": on_targets(
        "vectors that scale shared random matrices (Kopiczko et al. 2023)",
        "Vera",
        branch_trains=lambda into, out, r: r + out,
    ),
    "adalora": on_targets(
        "a budget of ranks, spent where they matter (Zhang et al. 2023)",
        "AdaLora",
        branch_trains=lambda into, out, r: r * (into + out + 1),
    ),
    "bitfit": Method("every bias of the base (Ben Zaken et al. 2021)", trains=biases),
    "full": Method("every tensor of the base", trains=everything),
    "last_block": Method("the last block(s) and the last layer norm", trains=last_blocks),
    "head": Method("the classification head alone"),
}


def find_method(name: str) -> Method:
    """The row called `name`; an unknown name is an error that lists the rows."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]


def as_method(config: Adaptation, name: str) -> Any:
    """The same config with another method, and the keys of `lora` that it stands for."""
    own = {key: getattr(Lora, key) for row in METHODS.values() for key in row.lora}
    lora = replace(config.lora, **{**own, **find_method(name).lora})
    return replace(config, method=name, lora=lora)


def check_method(config: Adaptation) -> Method:
    """The row of `config.method`.

    Raises:
        UserError: an unknown method, or a key of `lora` that contradicts it.
    """
    method = find_method(config.method)
    for key, value in method.lora.items():
        if (given := getattr(config.lora, key)) != value:
            raise UserError(f"method={config.method} needs lora.{key}={value}, got {given}")
    started = "pissa", "olora"
    if method.branch not in (None, "FromStart") and config.lora.init in started:
        raise UserError(
            f"lora.init={config.lora.init} belongs to method={config.lora.init}, "
            f"got method={config.method}"
        )
    return method
