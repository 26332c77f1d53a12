"""loraexp pretrain: train a small base of your own on plain text."""

import sys

from loraexp.config.pretraining import PretrainConfig
from loraexp.config.quoting import pasted
from loraexp.runtime.escape import printable


def run(config: PretrainConfig) -> None:
    from loraexp.pretraining.new_base import pretrain  # heavy: not at start

    report = pretrain(config, progress=sys.stdout.isatty())
    out = printable(config.out)
    print(
        f"{out}: {report['parameters']:,} parameters, {report['tokens_seen']:,} tokens in "
        f"{report['seconds']['fit']:.0f} s\n"
        f"held out: perplexity {report['perplexity']:.2f}, "
        f"{report['bits_per_byte']:.3f} bits a byte\n"
        f"use it: python -m loraexp train {printable(pasted('model.weights', config.out))}"
    )
