"""The verbs as functions of Python, and what a notebook shows of what they return."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from made_records import MakeRecord
from small import small_run

import loraexp
from loraexp.config.quoting import as_typed
from loraexp.errors import UserError
from loraexp.results.tables import Column, Table
from loraexp.runtime import notebook
from loraexp.runtime.notebook import Panel, html_notes
from loraexp.sweeps.live import watch
from loraexp.sweeps.shown.summary import Summary

QUICK = ("model=tiny", "data.limit=24", "trainer.max_epochs=1", "trainer.precision=fp32")
QUIET = ("logger=none", "lora.rank=2", "trainer.accelerator=cpu")
HOSTILE = '<img src=x onerror="alert(1)">&\x1b[2J'


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    outputs = tmp_path_factory.mktemp("outputs")
    given = {"output_dir": str(outputs), "seed": [0, 1], "workers": 1}
    return loraexp.sweep(*QUICK, *QUIET, **given), outputs


def test_a_sweep_returns_its_runs_and_leaves_its_tables(swept: tuple[Summary, Path]) -> None:
    summary, outputs = swept
    assert [record.config["seed"] for record in summary.records] == [0, 1]
    frame = summary.to_frame()
    assert list(frame["test_accuracy"]) == [
        record.metrics["test"]["accuracy"] for record in summary.records
    ]
    (folder,) = (outputs / "sweeps").iterdir()
    assert {"table.csv", "comparison.csv"} <= {file.name for file in folder.iterdir()}


def test_a_table_of_python_is_the_tables_of_the_verb(swept: tuple[Summary, Path]) -> None:
    found = loraexp.table(swept[1], by=["seed"])
    frame = found.to_frame()
    assert list(frame["seed"]) == [0, 1]
    assert list(frame.columns) == found.table.parted().header
    assert "Not evidence of which is better" in repr(found)
    assert "Not evidence of which is better" in found._repr_html_()
    with pytest.raises(UserError, match="no such folder"):
        loraexp.table(swept[1] / "not there")


@pytest.mark.parametrize(
    "words", ["search.trials=2", "launcher=slurm launcher.wait=false", "hydra/launcher=basic"]
)
def test_what_only_the_command_line_does_is_refused(words: str) -> None:
    with pytest.raises(UserError, match="is for the command line"):
        loraexp.sweep(*QUICK, *words.split(), lora__rank=[2, 4])


@pytest.mark.parametrize(
    ("keys", "typed"),
    [
        ({"lora__rank": 8}, "lora.rank=8"),
        ({"optim__lr": 1e-05}, "optim.lr=1e-05"),
        ({"data__limit": None}, "data.limit=null"),
        ({"data__dedupe": True}, "data.dedupe=true"),
        ({"lora__target_modules": ["q_proj", "fc1"]}, 'lora.target_modules=["q_proj","fc1"]'),
        ({"data__path": "a, b.csv"}, 'data.path="a, b.csv"'),
    ],
)
def test_values_of_python_are_typed_as_the_command_line_has_them(
    keys: dict[str, Any], typed: str
) -> None:
    assert as_typed(keys) == [typed]


def test_values_of_python_arrive_as_they_are() -> None:
    given = {"data__path": 'it\'s, ${x} "of" [mine].csv', "lora__rank_pattern": {"v_proj": 4}}
    config = loraexp.configure(
        "data=csv", **given, lora__target_modules=["v_proj"], data__limit=None
    )
    assert config.data.path == given["data__path"]
    assert config.lora.rank_pattern == {"v_proj": 4}
    assert list(config.lora.target_modules) == ["v_proj"]
    assert as_typed({"seed": [0, 1]}, several=True) == ["seed=0,1"]


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)


def test_what_a_notebook_shows_takes_no_text_for_markup(make_record: MakeRecord) -> None:
    column = Column(HOSTILE, HOSTILE, words=True)
    record = make_record()
    record.data.update(note=HOSTILE, warnings=[HOSTILE])
    record = replace(record, labels=["ham", HOSTILE])
    shown = [
        Table([column], [[HOSTILE]])._repr_html_(),
        record._repr_html_(),
        html_notes([HOSTILE, f"- {HOSTILE}"]),
    ]
    for html in shown:
        assert Tags(html).seen <= {"table", "thead", "tbody", "tr", "th", "td", "div", "ul", "li"}
        assert "\x1b" not in html
        assert "&lt;img" in html
    assert "img" in Tags(HOSTILE).seen  # what it would have been


def test_notes_that_begin_with_a_dash_are_a_list_of_their_own() -> None:
    assert html_notes(["a", "- b", "- c", "", "d"]) == (
        "<div>a</div><ul><li>b</li><li>c</li></ul><div>d</div>"
    )


@pytest.mark.parametrize(("labels", "said"), [(["ham", "a<b"], True), (["a", "b", "c"], False)])
def test_a_record_in_a_notebook_says_of_which_label_f1_is(
    labels: list[str], said: bool, make_record: MakeRecord
) -> None:
    html = make_record(labels=labels)._repr_html_()
    assert ("F1 is that of &#x27;a&lt;b&#x27;." in html) == said
    assert "lora on gpt2, lr 0.001" in html


def test_a_frame_has_cells_in_full_and_ends_of_intervals() -> None:
    columns = [Column("a", "A", lambda value: "rounded"), Column("b", "B", ends=True)]
    frame = Table(columns, [[0.123456, (0.1, 0.9)], [None, None]]).to_frame()
    assert list(frame.columns) == ["a", "b_low", "b_high"]
    assert frame["a"][0] == 0.123456
    assert frame.isna().iloc[1].all()


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """As if this were a kernel; what its cell shows, one after the other."""
    shown: list[str] = []
    monkeypatch.setattr(Panel, "show", lambda self, html, text: shown.append(html))
    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1))
    monkeypatch.setitem(notebook.sys.modules, "IPython", kernel)
    return shown


def test_training_shows_a_bar_in_a_notebook(cell: list[str], tmp_path: Path) -> None:
    config = small_run(tmp_path, epochs=2, logger="none")
    loraexp.train(config)
    assert 'value="3" max="3"></progress> epoch 2/2, step 3/3' in "".join(cell)


def test_a_sweep_shows_its_screen_in_a_notebook(cell: list[str]) -> None:
    from rich.text import Text

    with watch.in_cell(lambda width, ascii: Text("2 of <3> jobs")):
        assert cell == ["<pre>2 of &lt;3&gt; jobs</pre>"]


def test_a_frame_becomes_a_run_like_any_other(tmp_path: Path) -> None:
    from loraexp.runs.content import present
    from loraexp.runs.run_folder import RunFolder

    words = ["see you, at", 'win "a"\nprize']
    frame = pd.DataFrame({"m": [f"{word} {n}" for n in range(15) for word in words]})
    frame["k"], frame["other"] = [0, 1] * 15, "private"
    given = {"text": "m", "label": "k", "output_dir": str(tmp_path)}
    first = loraexp.fit(frame, *QUICK, *QUIET, **given)
    (file,) = (tmp_path / "frames").iterdir()
    assert "private" not in file.read_text()
    assert first.record.labels == ["0", "1"]
    config = loraexp.configure(
        *("data=csv", f"data.path={file}", "data.text_column=m", "data.label_column=k"),
        *(*QUICK, *QUIET, f"output_dir={tmp_path}"),
    )
    assert loraexp.run_folder(config) == first.folder
    assert present(config, RunFolder.of(config), True)
    again = loraexp.fit(frame.assign(other="changed"), *QUICK, *QUIET, **given)
    assert again.record == first.record
    chances = first.predict_proba(["win"])
    assert list(chances.columns) == ["0", "1"]
    assert first.predict(["win"]) == [chances.idxmax(axis=1)[0]]
    changed = frame.assign(m=frame["m"] + "!")
    from loraexp.data.frames import kept

    assert kept(changed, "m", "k", tmp_path) != file


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ([1], "must be a pandas DataFrame, got list"),
        (pd.DataFrame({"m": ["a"]}), "has no column 'k'; it has m"),
        (pd.DataFrame({"m": ["a"], "k": [pd.Timestamp(0)]}), "labels text or numbers"),
        (pd.DataFrame({"m": ["a", "b"], "k": [1, None]}), "row 2: k is null"),
        (pd.DataFrame({"m": [1, 2], "k": [1, 2]}), "row 1: m is 1, must be text"),
    ],
)
def test_a_frame_that_has_no_texts_is_refused(frame: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says):
        loraexp.fit(frame, *QUICK, text="m", label="k", output_dir=str(tmp_path))
