"""A BPE of one's own: GPT-2's files, read alike by transformers, by tokenizers and by us."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GPT2TokenizerFast

from loraexp.errors import UserError
from loraexp.model.tokenizer import from_folder
from loraexp.pretraining.bpe import train_bpe

TEXTS = [
    "free entry in a weekly draw, text WIN to 80086",
    "are you free tonight? I'm free, you're free",
] * 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bpe")
    train_bpe(TEXTS, 290, folder)
    return folder


@given(text=st.text(max_size=40) | st.sampled_from(TEXTS))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tokens_equal_those_of_transformers(folder: Path, text: str) -> None:
    theirs = reference(folder)(text, add_special_tokens=False)["input_ids"] if text else []
    ours = from_folder(folder)
    assert ours.encode([text], 1 << 20) == [theirs]


def reference(folder: Path) -> GPT2TokenizerFast:
    return GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))


def test_merges_make_the_texts_shorter_than_their_bytes(folder: Path) -> None:
    ours = from_folder(folder)
    assert len(ours.encode([TEXTS[0]], 1 << 20)[0]) < 0.8 * len(TEXTS[0])
    assert len(ours.encode(["ÿþ"], 1 << 20)[0]) == len("ÿþ".encode())  # nothing learnt of these


def test_vocabulary_has_the_bytes_first_and_end_of_text_last(folder: Path) -> None:
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    assert sorted(vocab.values()) == list(range(290))
    assert vocab["<|endoftext|>"] == 289
    assert all(len(token) == 1 for token, number in vocab.items() if number < 256)
    assert len((folder / "merges.txt").read_text(encoding="utf-8").splitlines()) == 1 + 290 - 257


def test_same_texts_give_the_same_files(folder: Path, tmp_path: Path) -> None:
    train_bpe(iter(TEXTS), 290, tmp_path)
    for name in ("vocab.json", "merges.txt"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    train_bpe(["quite another text, quite"], 262, tmp_path)
    assert (tmp_path / "merges.txt").read_bytes() != (folder / "merges.txt").read_bytes()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (256, "model.vocab_size must be at least 257"),
        (4096, r"set model.vocab_size=\d+ instead of"),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(tmp_path: Path, size: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        train_bpe(TEXTS, size, tmp_path)
    assert list(tmp_path.iterdir()) == []
