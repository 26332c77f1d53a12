"""A stranger's record that says what none of ours does: one line from every verb that reads it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from crafted import GONE, NO_FILES, changed

from loraexp.commands import report, table
from loraexp.commands.report import ReportConfig
from loraexp.commands.table import TableConfig
from loraexp.errors import UserError
from loraexp.records.record import FAILED, FILE, SCORED, read_failure, read_trial
from loraexp.sweeps.shown.listing import listing
from loraexp.tools.verification import verify

LONG = 10**400  # no float holds it
NO_NAMES = ["../../x", "/x", "", ".", "..", "a/b", "a\\b", "a\x1b[31m", "a\nb", "x" * 256, "\ud800"]
# By path: what nothing of ours ever says there.
VALUES: dict[str, list[Any]] = {
    "name": [*NO_NAMES, 5, None, GONE],
    "extra": [1],
    "format": [1, 4, 3.0, True, "3", None, [], GONE],
    "seal": [5, None, GONE],
    "config": [{}, [], None, 5, GONE],
    "config.extra": [1],
    "config.optim": [{}, None, "adam", GONE],
    "config.optim.lr": ["x", 0, -1, True, LONG, None, GONE],
    "config.optim.lr_factor": [0, -1, "x"],
    "config.lora.rank": [0, -1, "8", True, 1.5, LONG, None],
    "config.lora.target_modules": [5, None, [5], [["q_proj"]], {"a": 1}],
    "config.lora.rank_pattern": [{"q": "x"}, {"q": {"r": 1}}, []],
    "config.seed": ["0", 1.5, LONG, True],
    "config.model.name": [5, None],
    "labels": [[], ["a"], ["a", "a"], ["a", 1], ["a", None], ["a", "b", "c"], "ab", {}, GONE],
    "data": [{}, [], None, GONE],
    "data.n": [{}, [], {"train": -1}, {"train": "24"}, {"train": 1.5}],
    "data.note": [5, None, GONE],
    "data.synthetic": [0, "no"],
    "data.repeats": [{"test": "x"}, {"test": -1}, [], 5],
    "data.warnings": ["one", [5]],
    "counts.trainable": [0, -1, 1.5, "40", True, LONG, GONE],
    "counts.total": [-1, None, LONG, GONE],
    "counts.low_rank_modules": [-1, 1.5, "40", None, LONG],
    "counts.percent": ["1", None, LONG],
    "metrics": [{}, [], None],
    "metrics.train": [{}, None, GONE],
    "metrics.more": [{}],
    "metrics.test.accuracy": [5, -1, "1", None, True, LONG, GONE],
    "metrics.test.f1": [2, "x", GONE],
    "metrics.test.recall": [-0.5, GONE],
    "metrics.test.loss": ["x", LONG, GONE],
    "metrics.test.n": [0, -1, 23, "24", LONG],
    "metrics.test.confusion": [
        *([], [[]], [[12]], [[12, 0]], [[12, 0], [12]], [[12, 0], [0, 12], [0, 0]], 24, None),
        *([[25, 0], [0, -1]], [[12, 0], [0, 12.0]], [["12", 0], [0, 12]], [[LONG, 0], [0, 12]]),
        [[12, 0], [0, 13]],
    ],
    "predictions": [{}, [], {"test": []}, {"validation": {}}],
    "predictions.test.true": [[], [0], [0] * 25, [2] * 24, [-1] * 24, [0.0] * 24, [LONG] * 24],
    "predictions.test.predicted": [[], [True] * 24, ["0"] * 24, [[0]] * 24, {}, GONE],
    "mistakes": [
        *({}, [5], [{}], [None]),
        *([{"text": 5, "true": 0, "predicted": 1, "chance": 0.5}],),
        *([{"text": "a", "true": 2, "predicted": 1, "chance": 0.5}],),
        *([{"text": "a", "true": 0, "predicted": -1, "chance": 0.5}],),
        *([{"text": "a", "true": 0, "predicted": "1", "chance": 0.5}],),
        *([{"text": "a", "true": 0, "predicted": 1, "chance": 5}],),
        *([{"text": "a", "true": 0, "predicted": 1}],),
    ],
    "epochs": ["1", -1, 1.5, LONG, True],
    "steps": [-1, None],
    "seconds": [{}, [], {"total": "1"}, {"total": LONG}, {"total": -1}],
    "texts_per_second": ["fast", -1, LONG],
    "peak_memory_bytes": [LONG, -1, 1.5],
    "versions": [{"torch": 2}, []],
    "hashes": [{}, {"split": "x"}, {"base": "x", "split": 5}],
    "git_commit": [5],
    "device": [None, 5],
    "threads": [0, 10_000, 1.5, "2", True, LONG],
}
TEXTS = {
    "nested": "[" * 100_000,
    "nested inside": '{"format": 3, "name": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "digits": '{"format": 3, "name": "a", "steps": ' + "9" * 5000 + "}",
    "nan": '{"format": 3, "steps": NaN}',
    "infinity": '{"format": 3, "steps": -Infinity}',
    "twice": '{"format": 3, "name": "a", "name": "b"}',
    "empty": "",
    "list": "[]",
    "null": "null",
    "nul": "\0",
    "byte order mark": "\ufeff{}",
}
IDS = [f"{path}={i}" for path, values in VALUES.items() for i, _ in enumerate(values)]


@pytest.fixture(scope="module")
def run(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run, alone in its folder."""
    folder = tmp_path_factory.mktemp("crafted") / "runs" / "a-run"
    shutil.copytree(finished, folder)
    return folder


@pytest.fixture(scope="module")
def content(run: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((run / FILE).read_text())
    return written


@pytest.fixture(autouse=True)
def whole(run: Path, content: dict[str, Any]) -> Iterator[None]:
    yield
    file = run / FILE
    shutil.rmtree(file) if file.is_dir() and not file.is_symlink() else file.unlink(missing_ok=True)
    file.write_text(json.dumps(content))


def reports(run: Path, form: str) -> Path:
    out = run.parents[1] / "page" / form / "report"
    report.run(ReportConfig(runs=[str(run)], format=form, out=str(out)))
    return out


VERBS: dict[str, Callable[[Path], Any]] = {
    "table": lambda run: table.run(TableConfig(runs=[str(run)])),
    "html": lambda run: reports(run, "html"),
    "markdown": lambda run: reports(run, "markdown"),
    "verify": lambda run: [*verify(run)],
}


def refused(run: Path) -> list[str]:
    """What each verb says in place of reading it."""
    lines = []
    for call in VERBS.values():
        with pytest.raises(UserError) as error:
            call(run)
        lines.append(str(error.value))
    (listed,) = listing([str(run)], ["state=damaged"])
    return [*lines, listed.told]


@pytest.mark.parametrize(
    ("path", "value"), [(path, v) for path, values in VALUES.items() for v in values], ids=IDS
)
def test_a_value_that_none_of_ours_has_is_one_line_that_names_it(
    run: Path, content: dict[str, Any], path: str, value: Any
) -> None:
    (run / FILE).write_text(json.dumps(changed(content, path, value)))
    for line in refused(run):
        assert str(run / FILE) in line
        assert path.split(".")[0] in line
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_that_is_no_record_is_one_line(run: Path, text: str) -> None:
    (run / FILE).write_text(text)
    for line in refused(run):
        assert f"{run / FILE} is damaged" in line
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize(("reason", "make"), NO_FILES.items(), ids=NO_FILES)
def test_what_is_no_file_of_the_run_is_refused_at_once(
    run: Path, reason: str, make: Callable[[Path], None]
) -> None:
    (run / FILE).unlink()
    make(run / FILE)
    assert all(reason in line for line in refused(run))


def test_the_untouched_record_is_read_by_all(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {*run.parents[1].rglob("*")}
    checks = VERBS["verify"](run)
    assert [check.field for check in checks if check.off or check.skipped] == []
    assert [listed.state for listed in listing([str(run)], [])] == ["finished"]
    VERBS["table"](run)
    assert "lora" in capsys.readouterr().out
    assert "<html" in reports(run, "html").read_text()
    assert "# How good is lora" in reports(run, "markdown").read_text()
    made = {*run.parents[1].rglob("*")} - before
    assert {path.relative_to(run.parents[1]).parts[0] for path in made} == {"page"}


def test_a_link_inside_the_folder_is_read(run: Path) -> None:
    (run / FILE).rename(run / "kept.json")
    (run / FILE).symlink_to("kept.json")
    VERBS["table"](run)


def test_what_ours_may_say_is_read(run: Path, content: dict[str, Any]) -> None:
    """A half of a surrogate pair, a score that is not defined, keys of tomorrow."""
    mistake = {"text": "\ud800 \x1b[31m", "true": 0, "predicted": 1, "chance": 0.9, "place": 3}
    for path, value in (
        ("mistakes", [mistake]),
        ("metrics.test.f1", None),
        ("data.more", {"a": [1]}),
        ("name", "läuft 你好 (1)"),
    ):
        (run / FILE).write_text(json.dumps(changed(content, path, value)))
        for verb in ("table", "html", "markdown"):
            VERBS[verb](run)
        assert "record: seal" in [check.field for check in verify(run) if check.off]


@pytest.mark.parametrize(("name", "read"), [(FAILED, read_failure), (SCORED, read_trial)])
@pytest.mark.parametrize("reason", NO_FILES)
def test_neither_are_a_sweeps_other_files(
    tmp_path: Path, name: str, read: Callable[[Path], Any], reason: str
) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    NO_FILES[reason](folder / name)
    with pytest.raises(UserError, match=reason):
        read(folder)


CURVES = ("1,one", "1,2,3,4", "one,1", ",1", "1,1e300", "1,\0", f"{LONG},1", "1,\ud800")


@pytest.mark.parametrize("row", CURVES, ids=range(len(CURVES)))
def test_curves_that_are_none_are_one_line(run: Path, row: str) -> None:
    text = f"step,val_loss\n{row}\n"
    (run / "metrics.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"metrics\.csv is damaged") as error:
        reports(run, "html")
    assert str(error.value).isprintable()
    (run / "metrics.csv").unlink()


def test_curves_of_ours_are_drawn(run: Path) -> None:
    (run / "metrics.csv").write_text("epoch,step,val_loss\n0,2,nan\n0,3,1e38\n")
    reports(run, "html")
    (run / "metrics.csv").unlink()
