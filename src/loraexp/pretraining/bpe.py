"""A byte-level BPE of one's own in GPT-2's two files, trained by the tokenizers library."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from loraexp.errors import UserError
from loraexp.model.huggingface import VOCABULARY
from loraexp.model.tokenizer import END_OF_TEXT
from loraexp.runtime.atomic import write_whole

BYTES = 256


def train_bpe(texts: Iterable[str], vocab_size: int, folder: Path) -> None:
    """Write vocab.json and merges.txt: 256 bytes, then the merges in their order, then
    <|endoftext|>, as GPT-2's own files are laid out (Radford et al. 2019, section 2.2).

    Raises:
        UserError: a vocabulary too small for the bytes, or too large for the texts.
    """
    if vocab_size <= BYTES:
        raise UserError(f"model.vocab_size must be at least {BYTES + 1}, got {vocab_size}")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # GPT-2's pattern
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    model = json.loads(bpe.to_str())["model"]
    vocab: dict[str, int] = {**model["vocab"], END_OF_TEXT: len(model["vocab"])}
    if len(vocab) != vocab_size:
        raise UserError(
            f"the texts give a vocabulary of {len(vocab)}; set model.vocab_size={len(vocab)} "
            f"instead of {vocab_size}"
        )
    merges = [" ".join(pair) for pair in model["merges"]]
    names = VOCABULARY
    write_whole(folder / names[0], json.dumps(vocab, ensure_ascii=False) + "\n")
    write_whole(folder / names[1], "\n".join(["#version: 0.2", *merges]) + "\n")
