"""Which of the base's own tensors a method trains, by their names."""

import re
from collections.abc import Callable, Iterable

from loraexp.config.schema import Adaptation

Names = Iterable[str]
Trains = Callable[[Names, Adaptation], Names]


def named(pattern: str) -> Trains:
    """The tensors whose name ends so: a regex."""
    return lambda names, config: [name for name in names if re.search(f"(?:{pattern})$", name)]


nothing = named("(?!)")


def last_blocks(names: Names, config: Adaptation) -> Names:
    """The last `last_block.n` blocks and the last layer norm (the tutorial's chapter 6)."""
    blocks = {name: int(m[1]) for name in names if (m := re.match(r"h\.(\d+)\.", name))}
    first = max(blocks.values()) + 1 - config.last_block.n
    return [name for name in names if name.startswith("ln_f.") or blocks.get(name, -1) >= first]
