"""predict runs=[...]: every text labelled by each of several runs on one base."""

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from small import trained

from loraexp.api import run_folder
from loraexp.commands.predict import PredictConfig, run
from loraexp.config.schema import Head, TrainConfig
from loraexp.errors import UserError
from loraexp.inference.predictor import Predictor, Predictors
from loraexp.runs.naming import distinct_names

TEXTS = ["free prize, call now", "see you at seven", "", "ok"]


@pytest.fixture
def runs(small: TrainConfig) -> list[Path]:
    """Three methods, ranks and poolings; the last is fixed padding too."""
    configs = [
        small,
        replace(small, method="dora", head=Head(pooling="mean", bias=True)),
        replace(small, method="head", data=replace(small.data, pad_to=40)),
    ]
    for config in configs:
        trained(config)
    return [run_folder(config) for config in configs]


def test_each_run_says_what_it_says_alone(runs: list[Path]) -> None:
    several = Predictors(runs)
    for run_of in runs:
        assert several.probabilities(run_of.name, TEXTS).equal(
            Predictor(run_of).probabilities(TEXTS)
        )


def test_csv_and_json_have_every_run_under_its_name(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [next(Predictor(one).stream([TEXTS[:1]])) for one in runs]
    given = {"runs": [str(one) for one in runs], "text": TEXTS[0]}
    run(PredictConfig(**given, format="csv"))
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    run(PredictConfig(**given, format="json"))
    found = json.loads(capsys.readouterr().out)
    run(PredictConfig(**given, format="table"))
    table = capsys.readouterr().out
    for one, (_, label, chance) in zip(runs, wanted, strict=True):
        assert row[f"label ({one.name})"] == label
        assert float(row[f"probability ({one.name})"]) == round(chance, 6)
        assert found["runs"][one.name] == {"label": label, "probability": round(chance, 6)}
        assert one.name in table
    assert row["text"] == found["text"] == TEXTS[0]


def test_runs_of_one_name_in_two_folders_are_told_apart_by_their_parents(
    small: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(small)
    first, name = run_folder(small), run_folder(small).name
    second = tmp_path / "kept" / "train" / name
    shutil.copytree(first, second)
    assert Predictors([first, second]).names == [f"outputs/train/{name}", f"kept/train/{name}"]
    monkeypatch.chdir(first)
    assert Predictors([Path()]).names == [name]
    with pytest.raises(UserError, match=r"there is an adapter called .* already"):
        Predictors([Path(), first])


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/a/x", "/b/y"], ["x", "y"]),
        (["/a/x", "/b/x", "/b/y"], ["a/x", "b/x", "y"]),
        (["/a/c/x", "/b/c/x", "/b/d/x"], ["a/c/x", "b/c/x", "d/x"]),
        (["/x", "/a/x"], ["//x", "a/x"]),
        (["/a/x", "/a/x"], ["x", "x"]),
    ],
)
def test_names_are_the_shortest_that_differ(folders: list[str], names: list[str]) -> None:
    assert distinct_names([Path(folder) for folder in folders]) == names


def test_a_run_that_trained_the_base_cannot_share_it(small: TrainConfig) -> None:
    config = replace(small, method="bitfit")
    trained(config)
    with pytest.raises(UserError, match="method=bitfit trains tensors of the base, which it cann"):
        Predictors([run_folder(config)])


def test_a_run_on_another_base_is_refused(small: TrainConfig) -> None:
    other = replace(small, model=replace(small.model, init_seed=5))
    for config in (small, other):
        trained(config)
    with pytest.raises(UserError, match="is on another base than run="):
        Predictors([run_folder(small), run_folder(other)])


def test_run_and_runs_are_not_both_taken(tmp_path: Path) -> None:
    for given in ({}, {"run": "a", "runs": ["b"]}):
        with pytest.raises(UserError, match="predict takes run=FOLDER, or runs="):
            run(PredictConfig(text="x", **given))
