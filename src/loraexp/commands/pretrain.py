"""loraexp pretrain: a base of one's own, and how well it foretells text it has not seen."""

import sys
from pathlib import Path

from loraexp.config.quoting import pasted
from loraexp.config.schemas import PretrainConfig
from loraexp.runtime.escape import printable


def run(config: PretrainConfig, sweep: Path | None) -> None:
    from loraexp.pretraining.base import pretrain  # heavy: not at start

    report = pretrain(config, progress=sys.stdout.isatty())
    out = printable(config.out)
    print(
        f"{out}: {report['parameters']:,} parameters, {report['tokens_seen']:,} tokens in "
        f"{report['seconds']['fit']:.0f} s\n"
        f"held out: perplexity {report['perplexity']:.2f}, "
        f"{report['bits_per_byte']:.3f} bits a byte\n"
        f"use it: python -m loraexp train {printable(pasted('model.weights', config.out))}"
    )
