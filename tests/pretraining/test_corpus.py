"""Text files as blocks: each block is read once a pass, a held-out one never; steps repeat."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loraexp.config.pretraining import Corpus
from loraexp.errors import UserError
from loraexp.pretraining.corpus import Blocks, corpus_files, documents, stream


def counted(tokens: int, block: int, held_out: float = 0.1, seed: int = 0) -> Blocks:
    """Blocks of the stream 0, 1, 2, ...: a token says where it stood."""
    config = Corpus(text=["a"], block=block, held_out=held_out)
    return Blocks.of(np.arange(tokens, dtype=np.int32), config, seed)


@given(st.integers(100, 3000), st.integers(2, 6), st.floats(0.01, 0.5), st.integers(0, 5))
def test_no_token_is_both_learnt_and_held_out(
    tokens: int, block: int, held_out: float, seed: int
) -> None:
    blocks = counted(tokens, block, held_out, seed)
    foretold = [
        set(blocks.batch(part)[:, 1:].flatten().tolist())
        for part in (blocks.learnt, blocks.held_out)
    ]
    assert foretold[0].isdisjoint(foretold[1])
    assert foretold[0]
    assert foretold[1]


def test_a_pass_reads_each_learnt_block_once() -> None:
    blocks = counted(2001, 4)
    steps = len(blocks.learnt) // 8
    firsts = [blocks.step(number, 8, seed=3)[:, 0] for number in range(steps)]
    seen = [int(start) // 4 for batch in firsts for start in batch]
    assert len(set(seen)) == len(seen) == steps * 8
    assert set(seen) <= set(blocks.learnt.tolist())


def test_the_next_pass_has_another_order() -> None:
    blocks = counted(2001, 4)
    batches = len(blocks.learnt) // 8
    whole = [blocks.step(number, 8, seed=3) for number in range(2 * batches)]
    assert not all((a == b).all() for a, b in zip(whole, whole[batches:], strict=False))


def test_a_step_is_a_function_of_its_number_and_the_seed() -> None:
    blocks = counted(2001, 4)
    batch = blocks.step(17, 8, seed=3)
    blocks.step(40, 8, seed=9)
    assert (blocks.step(17, 8, seed=3) == batch).all()
    assert (blocks.step(17, 8, seed=4) != batch).any()
    assert (blocks.step(18, 8, seed=3) != batch).any()


def test_too_few_tokens_are_refused_with_what_is_needed() -> None:
    with pytest.raises(UserError, match=r"data.text has 64 tokens; at least 65 are needed"):
        counted(64, 4)
    counted(65, 4)


def test_documents_end_at_blank_lines_and_follow_the_order_of_the_files(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("three\n\n\n\n")
    (tmp_path / "a.txt").write_text("one\nand more\n\ntwo\n")
    (tmp_path / "c.md").write_text("no text file")
    files = corpus_files([str(tmp_path), str(tmp_path / "a.txt")])
    assert [part.strip() for part in documents(files)] == [
        "one\nand more", "two", "three", "one\nand more", "two",
    ]  # fmt: skip


def test_the_stream_ends_each_document() -> None:
    tokens = stream(iter(["ab", "c"] * 700), lambda texts: [[*map(ord, t)] for t in texts], 0)
    assert tokens.tolist() == [97, 98, 0, 99, 0] * 700


@pytest.mark.parametrize("name", ["nowhere.txt", "empty"])
def test_a_name_without_text_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"data.text: .*{name} is no text file and no folder"):
        corpus_files([str(tmp_path / name)])


def test_a_file_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"latin.txt is not UTF-8"):
        list(documents([tmp_path / "latin.txt"]))
