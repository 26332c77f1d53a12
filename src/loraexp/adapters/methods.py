"""THE TABLE of methods: what each one attaches, and which of the base's tensors it trains.

The head trains with every method. To add a method, add a row here and conf/method/<name>.yaml.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from loraexp.adapters.branches import Branch, LowRank
from loraexp.config import Adaptation
from loraexp.errors import unknown

Names = Iterable[str]


def nothing(names: Names, config: Adaptation) -> Names:
    return ()


def everything(names: Names, config: Adaptation) -> Names:
    return names


def last_blocks(names: Names, config: Adaptation) -> Names:
    """The last `last_block.n` blocks and the last layer norm (the tutorial's chapter 6)."""
    blocks = {name: int(m[1]) for name in names if (m := re.match(r"h\.(\d+)\.", name))}
    first = max(blocks.values()) + 1 - config.last_block.n
    return [name for name in names if name.startswith("ln_f.") or blocks.get(name, -1) >= first]


@dataclass(frozen=True)
class Method:
    """One way to fine-tune."""

    summary: str
    branch: type[Branch] | None = None  # attached to every target module
    trains: Callable[[Names, Adaptation], Names] = nothing  # of the base's tensors, by name


METHODS = {
    "lora": Method("low-rank update of the target modules (Hu et al. 2021)", branch=LowRank),
    "full": Method("every tensor of the base", trains=everything),
    "last_block": Method("the last block(s) and the last layer norm", trains=last_blocks),
    "head": Method("the classification head alone"),
}


def find_method(name: str) -> Method:
    """The row called `name`; an unknown name is an error that lists the rows."""
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
