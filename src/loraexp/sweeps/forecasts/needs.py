"""What a run needs beside time: bytes of memory, of the disk and of the network, in closed form."""

from collections.abc import Sequence

from loraexp.adapters.counts import Counts
from loraexp.config.schema import TrainConfig
from loraexp.data.sources import SMS_BYTES, sms_spam_at_hand
from loraexp.model.huggingface import VOCABULARY, WEIGHTS
from loraexp.model.locate import at_hand, tokenizer_at_hand
from loraexp.runs.memory import base_numbers
from loraexp.runtime import hardware
from loraexp.sweeps.forecasts.costs import grown
from loraexp.sweeps.forecasts.waves import Part
from loraexp.sweeps.forecasts.work import Work
from loraexp.sweeps.pace import kept

# Measured, on a CPU: of a process of torch and Lightning whose second run draws its curves.
PROCESS = 620_000_000
# Of a run's folder: what a checkpoint has beside its tensors; record (but predictions), card and
# config; a text's prediction; curves as figures and table. Of a sweep's: tables and figures.
CHECKPOINT, RECORD, PREDICTION, CURVES, FIGURES = 38_000, 22_000, 6, 119_000, 155_000


def memory(
    config: TrainConfig,
    counts: Counts,
    work: Work,
    longest: int,
    width: int,
    ranks: int,
    on_gpu: bool,
) -> int:
    """Of a process at its peak: libraries, the base, and of each run in step what trains, with its
    gradient and two moments, and what a step keeps.

    Args:
        longest: tokens of the longest text.
        ranks: of the runs of a process, each once.
        on_gpu: on one that is not here.
    """
    own = 16 * counts.trainable + 4 * counts.held + kept(config, longest, on_gpu)
    needed = 4 * base_numbers(config.model) + width * own
    if on_gpu or hardware.uses_gpu(config.trainer.accelerator):
        return needed
    return needed + PROCESS + grown(config, work.shapes, ranks)


def checkpoint(counts: Counts) -> int:
    """The adapter, and two moments of what of it trains."""
    return 4 * (counts.trainable + counts.held) + 8 * counts.trainable + CHECKPOINT


def disk(config: TrainConfig, counts: Counts, tests: int, part: Part) -> int:
    """Of the folder that a run leaves.

    Args:
        tests: texts of the test split.
    """
    if part == "trial":  # it may be gone on with: the last epoch is kept as well
        return 2 * checkpoint(counts) + RECORD
    curves = 0 if config.logger.name == "none" else CURVES
    own = counts.adapter_bytes + RECORD + PREDICTION * tests + curves
    return own if part == "rest" else own + checkpoint(counts)


def downloads(configs: Sequence[TrainConfig]) -> dict[str, int | None]:
    """What would be fetched, and its bytes where they are known."""
    found: dict[str, int | None] = {}
    for config in configs:
        model, data = config.model, config.data
        if data.name == "sms_spam" and sms_spam_at_hand(data) is None:
            found["the SMS Spam Collection (UCI), at most"] = SMS_BYTES  # it comes packed
        if model.weights == "hub" and not at_hand(model):
            found[f"{WEIGHTS} of {model.repo}, at least"] = 4 * base_numbers(model)
        if model.repo and not tokenizer_at_hand(model):
            found[f"{' and '.join(VOCABULARY)} of {model.repo}"] = None
    return found
