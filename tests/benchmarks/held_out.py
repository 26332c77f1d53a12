"""`make base`, beside its last step: the text by which `inspect` tells what a base forgets.

Cut from blocks that the embedded base was not trained on, of files that are free of conditions
(public domain or CC0): the first whole lines of each stretch that pretraining held out.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
from embed import ASSET, RESULTS

from loraexp.api import configure
from loraexp.config.pretraining import Corpus
from loraexp.model.locate import HELD_OUT
from loraexp.model.weights import load_tokenizer
from loraexp.pretraining.corpus import STRETCH, Blocks, documents, stream

FREE = ("18f_blog.txt", "books_1.txt", "books_2.txt", "common_voice_en.txt", "us_presidents.txt")
EACH = 1200  # letters of a stretch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", type=Path, help="folder of the pretraining's texts")
    text = held_out(parser.parse_args().texts)
    (ASSET / HELD_OUT).write_text(text, encoding="utf-8")
    print(f"{ASSET / HELD_OUT}: {len(text.encode()):,} bytes")


def held_out(texts: Path) -> str:
    """The text, a blank line between the pieces."""
    report = json.loads((RESULTS / "pretraining.json").read_text())
    tokenizer = load_tokenizer(configure("model=nano").model)
    parts = [
        stream(documents([texts / name]), lambda t: tokenizer.encode(t, 1 << 62), tokenizer.pad)
        for name in report["files"]
    ]
    tokens = np.concatenate(parts)
    if len(tokens) != report["tokens"]:
        raise SystemExit(f"{texts} holds {len(tokens):,} tokens, not {report['tokens']:,}")
    config = Corpus(**report["config"]["data"])
    blocks = Blocks.of(tokens, config, report["config"]["seed"])
    ends = np.cumsum([0, *map(len, parts)])
    free = [
        range(start, end)
        for name, (start, end) in zip(report["files"], pairwise(ends), strict=True)
        if name in FREE
    ]
    pieces = []
    for first in blocks.held_out[::STRETCH] * config.block:
        last = first + STRETCH * config.block - 1
        if any(first in file and last in file for file in free):
            stretch = tokenizer.encoding.decode(tokens[first : last + 1].tolist())
            pieces.append("\n".join(first_lines(stretch)))
    return "\n\n".join(pieces) + "\n"


def first_lines(stretch: str) -> Iterator[str]:
    """Whole ones, to about EACH letters: the first is cut by the block, the last may be."""
    told = 0
    for line in stretch.replace("<|endoftext|>", "\n").split("\n")[1:-1]:
        if line.strip() and told + len(line) <= 1.5 * EACH:
            told += len(line)
            yield line
        if told >= EACH:
            return


if __name__ == "__main__":
    main()
