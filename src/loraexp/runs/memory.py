"""What a network needs of the machine's memory, from its config alone and before any is asked for.

No torch here: a mistake is told before it is imported.
"""

import os
from contextlib import suppress
from pathlib import Path

from loraexp.adapters.counts import count_shapes
from loraexp.adapters.methods import check_method
from loraexp.config.pretraining import PretrainConfig
from loraexp.config.schema import Model, TrainConfig
from loraexp.errors import UserError
from loraexp.model.shapes import linear_shapes, shapes

# Bytes a number that must be held at least: of a base that is read, may be in bf16; of all else.
READ, MADE = 2, 4
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_memory(config: TrainConfig | PretrainConfig, classes: int = 2) -> None:
    """The weights alone must fit: what cannot even hold them cannot train or measure them.

    Raises:
        UserError: more bytes than the machine has; and, for the shapes are known here and torch has
            not been imported yet, what `inject` would refuse: a target that matches nothing.
    """
    model, limit = config.model, machine_memory()
    each = MADE if model.weights == "random" else READ
    needed = each * base_numbers(model)
    keys = "model.n_layer, model.d_model, model.vocab_size or model.context"
    if (limit is None or needed <= limit) and isinstance(config, TrainConfig):
        check_method(config)
        linears = [*linear_shapes(model)]
        counts = count_shapes(shapes(model, config.head, classes), linears, config)
        own = counts.trainable + counts.held
        needed = each * (counts.total - own) + MADE * own
        keys = "lora.rank, " + keys
    if limit is not None and needed > limit:
        raise UserError(
            f"the weights alone take {size(needed)}, this machine's memory is {size(limit)}: "
            f"lower {keys}"
        )


def base_numbers(model: Model) -> int:
    """Of all tensors but the head, in closed form: model.shapes would list each of them."""
    d = model.d_model
    block = 12 * d * d + 13 * d  # six matrices, their biases, two layer norms
    return (model.vocab_size + model.context) * d + model.n_layer * block + 2 * d


def machine_memory() -> int | None:
    """Bytes that this process can have at most: memory and swap, or the limit of its container;
    None where the system does not say."""
    limits: list[int] = []
    with suppress(OSError, ValueError, AttributeError):  # Windows has no sysconf
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + swap()]
    for file in CGROUPS:
        with suppress(OSError, ValueError):  # "max" is no limit
            limits.append(int(Path(file).read_text()))
    return min(limits, default=None)


def swap() -> int:
    with suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("SwapTotal:"):
                return int(line.split()[1]) * 1024
    return 0


def size(number: int) -> str:
    """Bytes as people say them: 48.1 GB, 3,000,000.0 TB."""
    unit, name = (10**12, "TB") if number >= 10**13 else (10**9, "GB")
    return f"{number / unit:,.1f} {name}"
