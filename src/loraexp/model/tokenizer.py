"""GPT-2's byte-level BPE as a tiktoken Encoding, built from the checkpoint's own two files.

Texts are data: a text that contains `<|endoftext|>` has those letters, not the special token.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import tiktoken

from loraexp.errors import UserError
from loraexp.model.huggingface import TOKENIZER_FILES
from loraexp.runtime.atomic import write_whole

# The published pattern of GPT-2 (encoder.py of openai/gpt-2, `pat`).
PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
END_OF_TEXT = "<|endoftext|>"
# tiktoken's regex engine gives up (it panics) where it would go back over a million characters, as
# the last but one alternative does over white space. (?<!\s): without it a run is scanned anew from
# each of its characters.
LONG_RUN = 500_000
BEYOND = re.compile(rf"(?<!\s)(\s{{{LONG_RUN}}})\s+")


@dataclass(frozen=True)
class Tokenizer:
    """Turns texts into token ids; `sha256` names its content, `pad` is <|endoftext|>.

    Args:
        merges: the lines of merges.txt, in order.
    """

    encoding: tiktoken.Encoding
    sha256: str
    merges: tuple[str, ...] = ()

    @property
    def pad(self) -> int:
        return self.encoding.eot_token

    def __len__(self) -> int:
        return self.encoding.n_vocab

    def encode(self, texts: Sequence[str], max_length: int) -> list[list[int]]:
        """Token ids of each text, cut to `max_length`.

        White space beyond 500,000 characters in a row is left out. A token of GPT-2 holds at most
        16 of them: a run that is cut still makes 31,250 tokens, thirty times its context.
        """
        whole = [BEYOND.sub(r"\1", text) if len(text) > LONG_RUN else text for text in texts]
        rows = self.encoding.encode_ordinary_batch(whole, num_threads=os.cpu_count() or 1)
        return [row[:max_length] for row in rows]

    def save(self, folder: Path) -> None:
        """Write vocab.json and merges.txt, as GPT-2's own are laid out."""
        letters = {byte: letter for letter, byte in byte_letters().items()}
        vocab = {END_OF_TEXT: self.pad}
        for token in self.encoding.token_byte_values():
            name = "".join(letters[byte] for byte in token)
            vocab[name] = self.encoding.encode_single_token(token)
        ordered = dict(sorted(vocab.items(), key=lambda item: item[1]))
        write_whole(folder / "vocab.json", json.dumps(ordered, ensure_ascii=False) + "\n")
        write_whole(folder / "merges.txt", "\n".join(["#version: 0.2", *self.merges]) + "\n")


def byte_letters() -> dict[str, int]:
    """GPT-2's printable stand-in for each of the 256 bytes: letter -> byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in printable}
    unprintable = (byte for byte in range(256) if byte not in printable)
    return letters | {chr(256 + n): byte for n, byte in enumerate(unprintable)}


def from_bytes() -> Tokenizer:
    """One token a byte and <|endoftext|>: 257 tokens, no file needed."""
    return build({bytes([byte]): byte for byte in range(256)}, 256)


def from_folder(folder: Path) -> Tokenizer:
    """The tokenizer whose files lie in `folder`.

    Raises:
        UserError: no such files there, or files that do not fit each other.
    """
    for vocab_name, merges_name in TOKENIZER_FILES:
        if (folder / vocab_name).is_file() and (folder / merges_name).is_file():
            return from_files(folder / vocab_name, folder / merges_name)
    wanted = " or ".join(" + ".join(names) for names in TOKENIZER_FILES)
    raise UserError(f"no tokenizer in {folder}: it needs {wanted}")


def from_files(vocab_file: Path, merges_file: Path) -> Tokenizer:
    """The tokenizer of a vocab.json and a merges.txt in GPT-2's format.

    tiktoken merges by token id where GPT-2 merges by line, so each line's product must have a
    higher id than the one before; every file in the format that we know of has.
    """
    try:
        vocab: dict[str, int] = json.loads(vocab_file.read_text(encoding="utf-8"))
        lines = merges_file.read_text(encoding="utf-8").split("\n")
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise UserError(f"{vocab_file} or {merges_file.name} is damaged: {error}") from None
    if not isinstance(vocab, dict) or {*map(repr, vocab.values())} != {
        *map(repr, range(len(vocab)))
    }:
        raise UserError(f"{vocab_file} must give each token an id of its own, from 0 without gaps")
    letters = byte_letters()
    merges = tuple(line for line in lines if line and not line.startswith("#version"))
    merged = ["".join(line.split(" ")) for line in merges]
    known = [*letters, *merged]
    missing = [token for token in [*known, END_OF_TEXT] if token not in vocab]
    if missing:
        raise UserError(
            f"{vocab_file} lacks {len(missing)} tokens of {merges_file.name}: {missing[0]!r}"
        )
    ids = [vocab[token] for token in merged]
    if ids != sorted(set(ids)) or len(vocab) != len(known) + 1:
        raise UserError(
            f"{vocab_file} does not fit {merges_file.name}: ids and merges differ in order"
        )
    ranks = {bytes(letters[letter] for letter in token): vocab[token] for token in known}
    return build(ranks, vocab[END_OF_TEXT], merges)


def build(ranks: dict[bytes, int], end_of_text: int, merges: tuple[str, ...] = ()) -> Tokenizer:
    digest = sha256(repr(sorted((id, token) for token, id in ranks.items())).encode())
    encoding = tiktoken.Encoding(
        name=f"gpt2-{digest.hexdigest()[:8]}",
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: end_of_text},
    )
    return Tokenizer(encoding, digest.hexdigest(), merges)
