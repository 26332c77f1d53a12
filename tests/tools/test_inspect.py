"""What `inspect` leaves beside a record: measured once, told apart, damaged or not, and shown."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_records import MakeRecord
from small import trained

from loraexp.adapters.inject import merge
from loraexp.adapters.methods import as_method
from loraexp.api import run_folder
from loraexp.commands import inspect
from loraexp.commands.inspect import InspectConfig, draw, in_words
from loraexp.commands.inspect import run as command
from loraexp.commands.table import TableConfig
from loraexp.commands.table import run as table
from loraexp.config.schema import Head, TrainConfig
from loraexp.errors import UserError
from loraexp.model.causal_lm import GPT2Language
from loraexp.model.weights import load_classifier, load_tokenizer
from loraexp.records.inspection import FILE, Forgetting, Inspection, read_inspection
from loraexp.report.figures import figures
from loraexp.results.beside import NOTHING
from loraexp.runs.load import load_run
from loraexp.runs.removal import strangers
from loraexp.sweeps.shown.collect import Collected
from loraexp.sweeps.shown.summary import Summary
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.tools.forgetting import GeneralText, language_losses
from loraexp.tools.inspecting import Inspector


@pytest.fixture
def run(small: TrainConfig) -> Path:
    trained(small)
    return run_folder(small)


@pytest.fixture
def text(tmp_path: Path) -> str:
    file = tmp_path / "general.txt"
    file.write_text("It rained all day long.\nNobody went out.\n\nThe cat slept by the fire.\n" * 3)
    return str(file)


def test_forgetting_is_of_the_merged_network_as_a_language_model(run: Path, text: str) -> None:
    found = Inspector(text).inspect(run)
    model = load_run(run, "fp32")
    state = {k: v for k, v in merge(model.network).state_dict().items() if "score" not in k}
    language = GPT2Language(model.config.model)
    language.load_state_dict(state)
    windows = GeneralText(text).windows(model.tokenizer, model.config.model.context)
    losses = [
        torch.nn.functional.cross_entropy(language(w[:, :-1]), w[0, 1:]).item() for w in windows
    ]
    forgot = found.forgetting
    assert forgot is not None
    assert forgot.after == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    assert forgot.change != 0.0
    assert forgot.tokens == sum(w.shape[1] - 1 for w in windows)
    assert read_inspection(run) == found


def test_a_head_forgets_nothing(small: TrainConfig, text: str) -> None:
    trained(config := as_method(small, "head"))
    found = Inspector(text).inspect(run_folder(config))
    assert found.forgetting is not None
    assert (found.forgetting.change, found.targets, found.rank90) == (0.0, [], None)


def test_a_network_that_sees_what_follows_is_no_language_model(
    small: TrainConfig, text: str
) -> None:
    trained(config := replace(small, model=replace(small.model, causal=False)))
    found = Inspector(text).inspect(run_folder(config))
    assert found.forgetting is None
    assert len(found.targets) == 8


def test_it_is_measured_once_until_the_text_or_the_adapter_is_another(
    run: Path, text: str, tmp_path: Path
) -> None:
    inspector = Inspector(text)
    assert inspector.known(run) is None
    found = inspector.inspect(run)
    assert Inspector(text).known(run) == found
    (other := tmp_path / "other.txt").write_text("Another text altogether.")
    assert Inspector(str(other)).known(run) is None
    replace(found, adapter="0" * 64).write(run)
    assert inspector.known(run) is None
    (run / FILE).write_text("{")
    assert inspector.known(run) is None  # damaged: measured anew


def test_a_table_shows_it_only_of_the_very_adapter(
    run: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, config = Inspector(text).inspect(run), TableConfig(runs=[str(run)], format="csv")
    config.columns = ["forgetting", "rank90", "update", "intruders"]

    def shown() -> tuple[dict[str, str], str]:
        table(config)
        out, err = capsys.readouterr()
        (row,) = csv.DictReader(out.splitlines())
        return {name: row[name] for name in config.columns}, err

    assert found.forgetting is not None
    cells, notes = shown()
    assert float(cells["forgetting"]) == found.forgetting.change
    assert (float(cells["rank90"]), float(cells["update"])) == (found.rank90, found.update)
    assert "inspect" not in notes
    replace(found, adapter="0" * 64).write(run)  # of an adapter that is no more
    cells, notes = shown()
    assert {*cells.values()} == {""}
    assert "1 of 1 runs were not inspected" in notes


def test_of_a_sweep_it_leaves_a_figure_beside_the_others(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    """Of what was forgotten; none where rows forgot alike, and none beside runs of no sweep."""
    sweep = Sweep(tmp_path / "sweeps" / "s")
    for number, rank in enumerate((4, 8)):
        made = make_record({"lora.rank": rank, "optim.lr": 1e-3 * (1 + number)}, name=f"r{rank}")
        folder, digest = tmp_path / "train" / made.name, str(number) * 64
        replace(made, hashes={**made.hashes, "adapter": digest}).write(folder)
        Inspection(digest, [], Forgetting("t", 9, 3.0, 3.1 + number, None)).write(folder)
        sweep.begin(number, folder)

    def pictures(folder: Path) -> list[str]:
        draw(folder)
        return sorted(file.name for file in folder.glob("*.*"))

    assert pictures(sweep.folder) == ["forgetting.pdf", "forgetting.png", "forgetting.svg"]
    assert pictures(tmp_path / "train") == []
    found = Summary.of_sweep(sweep)
    assert {"rank", "forgetting"} <= {*figures(found.records, ["lora.rank"], found.beside)}
    for file in sweep.folder.glob("*.*"):
        file.unlink()
    Inspection("1" * 64, [], Forgetting("t", 9, 3.0, 3.1, None)).write(tmp_path / "train" / "r8")
    assert pictures(sweep.folder) == []


@pytest.mark.parametrize("drawn", [True, False])
def test_the_command_says_where_the_figure_is(
    drawn: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [Path("s/forgetting.png")] if drawn else []
    monkeypatch.setattr(inspect, "collect", lambda runs, where: Collected({}, NOTHING))
    monkeypatch.setattr(inspect, "draw", lambda folder: pictures)
    command(InspectConfig(runs=["s"]))
    line = "\nFigure: s/forgetting.png, also as SVG and PDF\n" if drawn else ""
    assert capsys.readouterr().out == line


def test_runs_are_told_apart_by_their_rates_only_where_nothing_else_does(
    make_record: MakeRecord,
) -> None:
    rates = [make_record({"optim.lr": rate}) for rate in (1e-3, 3e-3)]
    assert in_words(rates) == ["lora, lr 0.001, seed 0", "lora, lr 0.003, seed 0"]
    ranks = [make_record({"optim.lr": r / 1000, "lora.rank": r}) for r in (1, 3)]
    assert in_words(ranks) == ["rank 1, seed 0", "rank 3, seed 0"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"adapter": 5}, "adapter is no str"),
        ({"format": 2}, "not of format 1"),
        ({"more": 1}, "more is too much"),
        ({"targets": [{"path": "x"}]}, "targets.0.rank is missing"),
        ({"forgetting": {"text": "x", "tokens": 0}}, "forgetting is no"),
    ],
)
def test_a_damaged_file_is_one_line(run: Path, text: str, wrong: dict[str, Any], said: str) -> None:
    Inspector(text).inspect(run)
    content = json.loads((run / FILE).read_text())
    (run / FILE).write_text(json.dumps(content | wrong))
    with pytest.raises(UserError, match=f"{FILE} is damaged: .*{said}") as error:
        read_inspection(run)
    assert "\n" not in str(error.value)


def test_the_verb_shows_a_row_a_matrix_of_one_run_and_a_row_a_run_of_several(
    run: Path, small: TrainConfig, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command(InspectConfig(runs=[str(run)], text=text))
    assert "h.1.attn.out_proj" in capsys.readouterr().out
    trained(as_method(small, "head"))
    command(InspectConfig(runs=[str(run.parent)], text=text))
    several = capsys.readouterr().out
    assert "h.1.attn.out_proj" not in several
    assert all(f"\n{method}" in several for method in ("lora", "head"))
    assert max(map(len, several.splitlines())) <= 80
    assert strangers(run) == []  # what it leaves goes with the run


def test_a_run_that_cannot_be_read_does_not_stop_the_others(
    run: Path, small: TrainConfig, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(head := as_method(small, "head"))
    (run / "adapter" / "adapter.json").write_text("{")
    with pytest.raises(UserError, match=rf"{run.name}: .*adapter\.json"):
        command(InspectConfig(runs=[str(run.parent)], text=text))
    assert read_inspection(run_folder(head)) is not None
    assert read_inspection(run) is None


def test_what_comes_along_is_foretold_by_nano_better_than_by_chance() -> None:
    from loraexp.api import configure

    model = configure("model=nano").model
    windows = GeneralText(None).windows(load_tokenizer(model), model.context)
    loss = float(language_losses(load_classifier(model, Head(), 2, 0), windows[:4]).mean())
    mixed = [window.flip(1) for window in windows[:4]]
    backwards = float(language_losses(load_classifier(model, Head(), 2, 0), mixed).mean())
    assert loss < 4.5 < 6 < backwards  # ln 4096 = 8.3


def test_a_text_that_says_nothing_is_refused(tmp_path: Path) -> None:
    (empty := tmp_path / "empty.txt").write_text("\n\n")
    model = TrainConfig().model
    model.tokenizer, model.vocab_size = "bytes", 257
    with pytest.raises(UserError, match="less than two tokens"):
        GeneralText(str(empty)).windows(load_tokenizer(model), 64)
    with pytest.raises(UserError, match=r"text=.*none\.txt cannot be read"):
        GeneralText(str(tmp_path / "none.txt"))
