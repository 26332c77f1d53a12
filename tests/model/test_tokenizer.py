"""Our tokenizer against transformers' GPT-2 tokenizer, on any text, and against damaged files."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import GPT2Tokenizer

from loraexp.errors import UserError
from loraexp.model.huggingface import TOKENIZER_FILES
from loraexp.model.tokenizer import (
    END_OF_TEXT,
    Tokenizer,
    build,
    byte_letters,
    from_bytes,
    from_folder,
)

NASTY = [
    "",
    " ",
    "family 👨‍👩‍👧‍👦🏽 and 🇺🇳",
    "日本語テキスト 中文，한국어",
    "e\u0301 vs é, a\u0323\u0307b, \u0301 alone",
    "one\r\ntwo\n\r\n\n three\r",
    "\t\ttabs\t and  many      spaces   ",
    "I'll don't we've 'S 'LL it's' ''' o'clock",
    "next\u0085line\u2028and\u2029paragraph\u00a0hard\u3000wide\u200bzero",
    "\x00\x01\x1c\x1d\x1e\x1f\x7f\x0b\x0c \ufeff\ufffd\uffff\U0010ffff",
    "٣٤ ½ Ⅷ ² 10³ x1y2 éa1",
    f"before{END_OF_TEXT}after {END_OF_TEXT}",
    "مرحبا שלום नमस्ते ไทย",
]
LONG = [letter * 100_000 for letter in "a ^日"]
# Letters, digits, marks, blanks and apostrophes side by side: where the splitting rules meet.
crowded = st.text(st.sampled_from("aZs1²'lvert \t\n\r\u00a0\u3000\u0301é日👩\u200d<|>_-.!"))
any_text = st.text() | crowded


@pytest.fixture(scope="module")
def folder(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real files under the hub's names."""
    copy = tmp_path_factory.mktemp("gpt2")
    shutil.copy(real_data / "gpt2_bpe" / "encoder.json", copy / "vocab.json")
    shutil.copy(real_data / "gpt2_bpe" / "vocab.bpe", copy / "merges.txt")
    return copy


@pytest.fixture(scope="module")
def ours(folder: Path) -> Tokenizer:
    return from_folder(folder)


@pytest.fixture(scope="module")
def theirs(folder: Path) -> GPT2Tokenizer:
    return GPT2Tokenizer.from_pretrained(folder, local_files_only=True, split_special_tokens=True)


def test_a_million_blanks_are_cut_like_fewer_of_them(ours: Tokenizer) -> None:
    for blank in (" ", "\n", "\u3000", " \t"):  # of these, tiktoken itself panics
        text = f"a  b{blank * 1_000_000}c"
        assert ours.encode([text], 1024) == ours.encode([text[:100_000]], 1024)


def test_what_follows_a_million_blanks_is_still_there(ours: Tokenizer) -> None:
    assert ids(ours, " " * 1_000_000 + "end.")[-2:] == ids(ours, " end.")


def ids(tokenizer: Tokenizer, text: str) -> list[int]:
    return tokenizer.encode([text], max_length=10**9)[0]


@settings(deadline=None, max_examples=300)
@given(text=any_text)
def test_ids_equal_those_of_transformers(ours: Tokenizer, theirs: GPT2Tokenizer, text: str) -> None:
    assert ids(ours, text) == theirs.encode(text)


@pytest.mark.parametrize("text", NASTY + LONG, ids=lambda text: ascii(text[:12]))
def test_ids_of_nasty_texts_equal_those_of_transformers(
    ours: Tokenizer, theirs: GPT2Tokenizer, text: str
) -> None:
    assert ids(ours, text) == theirs.encode(text)


@pytest.mark.parametrize(
    "plane", [0, 1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 17))]
)
def test_every_character_splits_as_in_transformers(
    ours: Tokenizer, theirs: GPT2Tokenizer, plane: int
) -> None:
    codes = range(plane << 16, (plane + 1) << 16)
    letters = [chr(code) for code in codes if not 0xD800 <= code < 0xE000]
    texts = ["".join(f"a{c} {c}1" for c in letters[n : n + 500]) for n in range(0, 65536, 500)]
    assert ours.encode(texts, max_length=10**9) == theirs(texts)["input_ids"]


def test_every_token_as_a_text_gives_the_ids_of_transformers(
    ours: Tokenizer, theirs: GPT2Tokenizer
) -> None:
    tokens = [ours.encoding.decode([id]) for id in range(0, ours.pad, 5)]
    assert ours.encode(tokens, max_length=99) == theirs(tokens)["input_ids"]


def test_another_order_of_merges_splits_a_word_elsewhere(
    ours: Tokenizer, theirs: GPT2Tokenizer
) -> None:
    token = ours.encoding.decode_single_token_bytes
    ranks = {token(id): id if id < 256 else 256 + ours.pad - 1 - id for id in range(ours.pad)}
    backwards, word = build(ranks, ours.pad), "unadaptable"
    expected = [theirs.decode([id]) for id in theirs.encode(word)]
    assert [ours.encoding.decode([id]) for id in ids(ours, word)] == expected
    assert [backwards.encoding.decode([id]) for id in ids(backwards, word)] != expected


def test_the_name_of_the_special_token_is_ordinary_text(ours: Tokenizer) -> None:
    assert ours.pad == len(ours) - 1 == 50256
    assert ours.pad not in ids(ours, END_OF_TEXT)
    assert ours.encoding.encode(END_OF_TEXT, allowed_special="all") == [ours.pad]


@settings(deadline=None, max_examples=200)
@given(text=any_text)
@example(text="".join(NASTY))
def test_decoding_gives_the_text_back(ours: Tokenizer, text: str) -> None:
    assert ours.encoding.decode(ids(ours, text)) == text


@settings(deadline=None, max_examples=200)
@given(text=any_text)
@example(text="".join(NASTY))
def test_the_byte_tokenizer_gives_the_bytes_of_utf8(text: str) -> None:
    assert ids(from_bytes(), text) == list(text.encode())


def test_the_byte_tokenizer_has_257_tokens() -> None:
    assert (len(from_bytes()), from_bytes().pad) == (257, 256)


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(any_text, max_size=5), most=st.integers(1, 9))
def test_texts_are_cut_to_max_length(texts: list[str], most: int) -> None:
    assert from_bytes().encode(texts, most) == [list(text.encode())[:most] for text in texts]


def test_both_pairs_of_file_names_give_one_tokenizer(ours: Tokenizer, real_data: Path) -> None:
    assert from_folder(real_data / "gpt2_bpe").sha256 == ours.sha256 != from_bytes().sha256


MERGES = ["a b", "ab ab", "c d"]
VOCAB = {token: id for id, token in enumerate([*byte_letters(), "ab", "abab", "cd", END_OF_TEXT])}


def write(folder: Path, vocab: object, merges: list[str], newline: str = "\n") -> Path:
    text = vocab if isinstance(vocab, str) else json.dumps(vocab)
    (folder / "vocab.json").write_text(text, encoding="utf-8")
    lines = newline.join(["#version: 0.2", *merges, ""])
    (folder / "merges.txt").write_bytes(lines.encode())
    return folder


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_small_files_are_read_whatever_ends_their_lines(tmp_path: Path, newline: str) -> None:
    tokenizer = from_folder(write(tmp_path, VOCAB, MERGES, newline))
    letters = [VOCAB[letter] for letter in "bca"]
    assert ids(tokenizer, "ababbca") == [VOCAB["abab"], *letters]


def without(token: str) -> dict[str, int]:
    kept = [key for key in VOCAB if key != token]
    return {key: id for id, key in enumerate(kept)}


@pytest.mark.parametrize(
    ("vocab", "merges", "says"),
    [
        (json.dumps(VOCAB)[:300], MERGES, "damaged"),
        ("", MERGES, "damaged"),
        ([], MERGES, "id of its own"),
        ({**VOCAB, "a": VOCAB["b"]}, MERGES, "id of its own"),
        ({**VOCAB, "a": "5"}, MERGES, "id of its own"),
        ({**VOCAB, END_OF_TEXT: 1000}, MERGES, "id of its own"),
        (without("cd"), MERGES, "lacks 1 tokens of merges.txt: 'cd'"),
        (without("a"), MERGES, "lacks 1 tokens of merges.txt: 'a'"),
        (without(END_OF_TEXT), MERGES, f"lacks 1 tokens of merges.txt: '{END_OF_TEXT}'"),
        (VOCAB, MERGES[:2], "does not fit merges.txt"),
        (VOCAB, MERGES[::-1], "does not fit merges.txt"),
        (VOCAB, [*MERGES[:2], MERGES[1]], "does not fit merges.txt"),
    ],
)
def test_damaged_files_are_refused_by_name(
    tmp_path: Path, vocab: object, merges: list[str], says: str
) -> None:
    with pytest.raises(UserError) as error:
        from_folder(write(tmp_path, vocab, merges))
    assert str(tmp_path / "vocab.json") in str(error.value)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_real_files_with_two_merges_swapped_are_refused(folder: Path, tmp_path: Path) -> None:
    vocab = (folder / "vocab.json").read_text(encoding="utf-8")
    merges = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")[1:-1]
    from_folder(write(tmp_path, vocab, merges))
    merges[700], merges[701] = merges[701], merges[700]
    with pytest.raises(UserError, match=r"vocab\.json does not fit merges\.txt"):
        from_folder(write(tmp_path, vocab, merges))


@pytest.mark.parametrize("absent", [0, 1])
@pytest.mark.parametrize("names", TOKENIZER_FILES, ids=lambda names: names[0])
def test_a_missing_file_is_named(tmp_path: Path, names: tuple[str, str], absent: int) -> None:
    (tmp_path / names[1 - absent]).touch()
    with pytest.raises(UserError) as error:
        from_folder(tmp_path)
    assert f"no tokenizer in {tmp_path}" in str(error.value)
    assert names[absent] in str(error.value)
