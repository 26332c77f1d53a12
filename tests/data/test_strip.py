"""White space at the ends of texts is left out before anything else, and predict does the same."""

from pathlib import Path
from typing import Any

from split_texts import texts_of

from loraexp.config.schema import Data
from loraexp.data.splits import load_data

ROWS = [(f"{word} {at}", word) for at in range(20) for word in ("hi", "yo")]


def own(folder: Path, texts: list[str], **keys: Any) -> Data:
    lines = [f'"{text}",{label}' for text, (_, label) in zip(texts, ROWS, strict=True)]
    (folder / "own.csv").write_text("\n".join(["text,label", *lines]) + "\n", encoding="utf-8")
    return Data(name="csv", path=str(folder / "own.csv"), **keys)


def test_blanks_at_the_ends_change_no_text_no_hash_and_no_split(tmp_path: Path) -> None:
    bare = [text for text, _ in ROWS]
    wanted = load_data(own(tmp_path, bare))
    assert load_data(own(tmp_path, bare, strip=False)) == wanted  # nor does the key, without any
    padded = [f"{text}\t " if at % 4 else f"\u00a0{text}" for at, text in enumerate(bare)]
    data = load_data(own(tmp_path, padded))
    assert (data.sha256, data.source_sha256) == (wanted.sha256, wanted.source_sha256)
    assert data.note == f"{wanted.note}; white space left out at the ends of 40 texts"
    as_it_is = load_data(own(tmp_path, padded, strip=False))
    assert as_it_is.note == wanted.note
    assert sorted(texts_of(as_it_is)) == sorted(padded)
    assert as_it_is.source_sha256 != wanted.source_sha256


def test_texts_that_differ_in_blanks_only_are_repeats(tmp_path: Path) -> None:
    texts = [text for text, _ in ROWS]
    texts[2] = f"{texts[0]}  "
    assert len({*texts_of(load_data(own(tmp_path, texts, dedupe=True)))}) == 39
    assert len({*texts_of(load_data(own(tmp_path, texts, dedupe=True, strip=False)))}) == 40


def test_predict_reads_texts_as_the_run_did_and_shows_them_as_given(finished: Path) -> None:
    from loraexp.inference.predictor import Predictor, Predictors

    texts, padded = ["call me", "", "win"], ["  call me\n", " ", "win\u3000"]
    one, several = Predictor(finished), Predictors([finished])
    wanted = one.probabilities(texts)
    assert one.probabilities(padded).equal(wanted)
    assert several.probabilities(finished.name, padded).equal(wanted)
    assert [text for text, _, _ in one.stream([padded])] == padded
    for config in (one.model.config, several.configs[0]):
        config.data.strip = False  # as of a run of before
    assert not one.probabilities(padded).equal(wanted)
    assert several.probabilities(finished.name, padded).equal(one.probabilities(padded))
    assert one.probabilities(texts).equal(wanted)
