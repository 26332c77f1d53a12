"""A long text is cut where data.truncation says, in training and ever after."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small import trained

from loraexp.api import run_folder
from loraexp.config.schema import TrainConfig
from loraexp.data.splits import load_data
from loraexp.data.truncation import cut
from loraexp.inference.predictor import Predictor, Predictors
from loraexp.runs.load import build_model
from loraexp.tools.verification import verify
from loraexp.training.fit import datamodule

SIDES = ("end", "start", "middle")


@pytest.mark.parametrize(
    ("side", "wanted"), [("end", [0, 1, 2]), ("start", [4, 5, 6]), ("middle", [0, 1, 6])]
)
def test_what_is_left_out_is_on_the_side_that_is_named(side: str, wanted: list[int]) -> None:
    assert cut(range(7), 3, side) == wanted


@given(st.lists(st.integers(), max_size=9), st.integers(1, 9), st.sampled_from(SIDES))
def test_a_text_that_fits_is_whole_and_one_that_does_not_fills_the_length(
    row: list[int], most: int, side: str
) -> None:
    found = cut(row, most, side)
    assert len(found) == min(len(row), most)
    assert found == row or len(row) > most
    if side != "start":
        assert found[:1] == row[:1]
    if side != "end":
        assert found[-1:] == row[-1:] or most == 1


def long(config: TrainConfig, side: str) -> TrainConfig:
    return replace(config, data=replace(config.data, truncation=side, max_length=9))


@pytest.mark.parametrize("side", SIDES)
def test_texts_are_trained_on_as_they_are_cut(side: str, small: TrainConfig) -> None:
    config = long(small, side)
    data = load_data(config.data)
    texts = datamodule(config, data, build_model(config, data.labels))
    rows = texts.split("train").rows
    wanted = [text.encode() for text in data.train.texts]  # a token a byte
    ends = {"end": lambda t: t[:9], "start": lambda t: t[-9:], "middle": lambda t: t[:5] + t[-4:]}
    assert [bytes(row) for row in rows] == [
        ends[side](text) if len(text) > 9 else text for text in wanted
    ]
    assert texts.cut("train") == sum(len(text) > 9 for text in wanted) > 0


def test_a_run_reads_new_texts_as_its_own_and_says_so_of_itself(small: TrainConfig) -> None:
    config = long(small, "start")
    trained(config)
    run = run_folder(config)
    one, several = Predictor(run), Predictors([run])
    alike, other = ["something at first, then the end"] * 2, "something at first, then no end"
    alike[1] = f"{'x' * 40}, then the end"
    chances = one.probabilities([*alike, other])
    assert chances[0].equal(chances[1])
    assert not chances[0].equal(chances[2])
    assert several.probabilities(run.name, [*alike, other]).equal(chances)
    verify(run)
    card = json.loads((run / "adapter" / "adapter.json").read_text(encoding="utf-8"))
    assert card["config"]["data"]["truncation"] == "start"
    one.model.config.data.truncation = "end"  # the control: what a run without the key reads
    chances = one.probabilities(alike)
    assert not chances[0].equal(chances[1])


def test_a_run_that_cuts_the_end_keeps_its_name(small: TrainConfig, tmp_path: Path) -> None:
    names = {side: run_folder(long(small, side)).name for side in SIDES}
    assert len({*names.values()}) == 3
    plain = replace(small, data=replace(small.data, max_length=9))
    assert names["end"] == run_folder(plain).name
