"""Numbers of parameters in closed form: from shapes alone, without a tensor and without torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from loraexp.adapters.methods import find_method
from loraexp.adapters.targets import HEAD, targeted
from loraexp.config.schema import Adaptation

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Counts:
    """Numbers of parameters.

    Args:
        trainable: head included.
        total: of base, head and adapter.
        adapted_modules: linear layers with a branch.
        held: numbers of the adapter that do not train but belong to its file.
        low_rank_modules: of the adapted ones, those whose branch has a rank.
    """

    trainable: int
    total: int
    adapted_modules: int
    held: int = 0
    low_rank_modules: int = 0

    @property
    def percent(self) -> float:
        return 100.0 * self.trainable / self.total

    @property
    def adapter_bytes(self) -> int:
        """What the adapter's tensors take in float32."""
        return 4 * (self.trainable + self.held)

    def as_dict(self) -> dict[str, int | float]:
        derived = {"percent": self.percent, "adapter_bytes": self.adapter_bytes}
        return {**asdict(self), **derived}


def count_shapes(shapes: Shapes, linears: Sequence[str], config: Adaptation) -> Counts:
    """What `inject` would make of a network with these tensors.

    Args:
        shapes: of every tensor of base and head, by name.
        linears: paths of the linear layers that a method may adapt.

    Raises:
        UserError: as inject.
    """
    method = find_method(config.method)
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    base = [name for name in shapes if not in_head(name)]
    trainable = sum(sizes[name] for name in method.trains(base, config))
    added = held = 0
    targets = targeted(linears, config.lora) if method.branch else []
    head = sum(sizes[name] for name in shapes if in_head(name))
    frozen = head if any(target.path == HEAD for target in targets) else 0
    trainable += head - frozen
    for target in targets:
        out, into = shapes[f"{target.path}.weight"]
        added += method.branch_trains(into, out, target)
        held += method.branch_holds(into, out, target)
    total = sum(sizes.values()) + added + held
    ranked = len(targets) if method.has_rank else 0
    return Counts(trainable + added, total, len(targets), held + frozen, ranked)


def in_head(name: str) -> bool:
    return name == HEAD or name.startswith(f"{HEAD}.")
