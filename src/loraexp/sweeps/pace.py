"""How many processes do a sweep's jobs, and how many jobs each does in step, where nobody has typed
it: from the jobs and from how large the machine is, and for a long sweep from what was measured
once on it; never from how busy it is, for both decide the last bits of an adapter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pooch

from loraexp.config.schema import TrainConfig
from loraexp.runs.memory import base_numbers, machine_memory
from loraexp.runtime import hardware
from loraexp.runtime.shares import machine
from loraexp.sweeps.calibration import Way, fastest
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.jobs import Sizes

# Products and sums of a sweep that one core has done before a second process has started.
LEAST = 2e12
LONG = 20 * LEAST  # of a sweep that is worth a minute to find out how it is done fastest
WIDEST = 16  # runs in step: more gain nothing measurable on a CPU
WAVE = 4  # settings that a search tries at a time on a cluster
SPARED = 0.5  # of the memory, for all that is not counted here
PROCESS = 4e8  # bytes of a worker before it reads a base
CHARACTERS = 4  # of a token, in English


def decided(
    protocol: Protocol,
    configs: Sequence[TrainConfig],
    sizes: Mapping[str, Sizes],
    measure: bool = True,
    gpu: int | None = None,
) -> Protocol:
    """The protocol with numbers in place of `auto`. A search has one worker, unless a cluster does
    it: what it draws depends on their number.

    Args:
        sizes: of the data of each config, by its repr.
        measure: whether a long sweep may be measured.
        gpu: bytes of one that is not here and takes the place of this machine.
    """

    def fitting(workers: int) -> int:
        """Runs of a worker, where there are so many."""
        return min(room(one, sizes[repr(one.data)], workers, gpu) for one in configs)

    launcher = protocol.launcher
    if launcher.name != "local":  # of its machines nothing is known here
        wave = max(2, launcher.at_once or WAVE) if protocol.search else 1
        wide = WIDEST if launcher.gpus and not protocol.search else 1
        return replace(protocol, workers=wave, width=protocol.width or wide)
    work_of_all = sum(work(config, sizes[repr(config.data)]) for config in configs)
    small = work_of_all < LEAST
    workers, width = protocol.workers, protocol.width
    if workers is None:
        single = small or protocol.search or any(config.trainer.devices > 1 for config in configs)
        most = 1 if single or gpu else min(machine(), len(configs))
        workers = next((n for n in range(most, 1, -1) if fitting(n) >= 1), 1)
    if width is None:
        pays = (gpu or all(map(is_bound_by_steps, configs))) and not (small or protocol.search)
        width = max(1, min(WIDEST, fitting(workers))) if pays else 1
    free = protocol.workers is protocol.width is None and not protocol.search
    if (
        measure
        and free
        and work_of_all > LONG
        and not hardware.uses_gpu(configs[0].trainer.accelerator)
    ):
        way = fastest(
            Way(workers, width), longest(configs, sizes), Path(pooch.os_cache("loraexp")) / "speed"
        )
        workers, width = way.workers, way.width
    return replace(protocol, workers=workers, width=width)


def longest(configs: Sequence[TrainConfig], sizes: Mapping[str, Sizes]) -> TrainConfig:
    """The run that takes most."""
    return max(configs, key=lambda config: work(config, sizes[repr(config.data)]))


def is_bound_by_steps(config: TrainConfig) -> bool:
    """Whether a step costs by its operations more than by their size, as in bf16 or on a GPU. On a
    CPU in float32 it does not: packs were no faster there, and runs alone are the same to the bit.
    """
    return hardware.uses_gpu(config.trainer.accelerator) or is_short(config)


def is_short(config: TrainConfig) -> bool:
    wanted, accelerator = config.trainer.precision, config.trainer.accelerator
    return hardware.pick_precision(wanted, accelerator) == "bf16"


def work(config: TrainConfig, sizes: Sizes) -> float:
    """Products and sums of a run's training, about."""
    texts, trainer = sizes.train, config.trainer
    if trainer.limit_batches:
        texts = min(texts, trainer.limit_batches * config.data.batch_size)
    tokens = min(sizes.mean / CHARACTERS, limit(config))
    return 4.0 * trainer.max_epochs * texts * tokens * block_numbers(config)


def room(config: TrainConfig, sizes: Sizes, workers: int, gpu: int | None = None) -> int:
    """Runs like this whose largest batches fit into a worker's part of the memory at once."""
    whole = gpu or hardware.gpu_memory(config.trainer.accelerator)
    own = whole or (machine_memory() or 0) // workers
    base = PROCESS + 4 * base_numbers(config.model)
    tokens = int(min(sizes.longest / CHARACTERS, limit(config)))
    return int((SPARED * own - base) // kept(config, tokens, gpu is not None))


def kept(config: TrainConfig, tokens: int, on_gpu: bool = False) -> int:
    """Bytes that a step keeps for its gradients where every text has so many tokens, about: a
    block's residual stream and what its norms, products, attention and gelu read again.

    Args:
        on_gpu: on one that has bf16, and is not here.
    """
    model, texts = config.model, config.data.batch_size
    short = config.trainer.precision != "fp32" if on_gpu else is_short(config)
    size = 2 if short else 4
    a_token = model.d_model * (4 * 4 + 12 * size) + model.n_head * tokens * size
    return texts * tokens * model.n_layer * a_token


def limit(config: TrainConfig) -> int:
    limits = (config.model.context, config.data.max_length, config.data.pad_to)
    return min(limit for limit in limits if limit is not None)


def block_numbers(config: TrainConfig) -> int:
    """Numbers in the matrices of all blocks."""
    return 12 * config.model.n_layer * config.model.d_model**2
