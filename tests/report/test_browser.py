"""The report in a real browser, wide and narrow, dark and light: make test-browser has one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from loraexp.records.record import Record
from loraexp.report.curves import CURVES
from loraexp.report.html import to_html
from loraexp.report.report import report

pytestmark = pytest.mark.skipif(
    find_spec("PyQt6") is None or find_spec("PyQt6.QtWebEngineWidgets") is None,
    reason="no browser: make test-browser fetches PyQt6-WebEngine and runs this",
)
EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>bold</b>'
SCREENS = [*product((1280, 400), ("light", "dark"))]
RANKS, SEEDS = (2, 16, 4), range(5)
METRICS = "step,train_loss,train_accuracy,val_loss,val_accuracy\n" + "".join(
    f"{step},0.{9 - step % 9},0.5,,\n{step},,,0.4,0.9\n" for step in range(9)
)


def axe() -> list[Path]:
    """axe.min.js, as a package of Python brings it."""
    found = find_spec("axe_playwright_python")
    places = (found and found.submodule_search_locations) or []
    return [file for place in places for file in Path(place).rglob("axe.min.js")][:1]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, page: str) -> dict[tuple[int, str], Any]:
    """What the browser finds, by width and colour scheme."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(page, encoding="utf-8")
    found = {}
    for width, scheme in SCREENS:
        picture = folder / f"{width}-{scheme}.png"
        script = Path(__file__).with_name("browser.py")
        done = subprocess.run(
            [sys.executable, script, folder / "page.html", str(width), scheme, picture, *axe()],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        found[width, scheme] = {**json.loads(done.stdout), "picture": imread(picture)}
    return found


@pytest.fixture(scope="module")
def page(make_records: Callable[..., Record], tmp_path_factory: pytest.TempPathFactory) -> str:
    runs = {}
    for rank, seed in product(RANKS, SEEDS):
        made = make_records({"lora.rank": rank, "seed": seed, "data.path": "x" * 300})
        mistakes = [{"text": EVIL, "true": 1, "predicted": 0, "chance": 0.98}]
        folder = tmp_path_factory.mktemp("run")
        (folder / CURVES).write_text(METRICS)
        runs[folder] = replace(
            made,
            name=f"a-run-with-quite-a-long-name-as-runs-have-them-r{rank}-s{seed}",
            counts={**made.counts, "trainable": 1000 * rank},
            data=made.data | {"warnings": ["a remark"]},
            mistakes=mistakes,
        )
    return to_html(report(runs, ["lora.rank"]))


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_it_fits_the_screen_and_shows_every_figure(seen: Any, screen: tuple[int, str]) -> None:
    found = seen[screen]
    assert found["overflow"] <= 0  # wide tables scroll in their own box
    assert len(found["figures"]) == 2
    assert min(map(min, found["figures"])) > 100
    assert found["hover"] >= 2 * len(RANKS)
    assert found["picture"][..., :3].var() > 0.001
    assert found["messages"] == []


def test_a_table_that_is_wider_than_the_screen_says_so(seen: Any) -> None:
    assert all(all(found["cut"]) for found in seen.values())
    assert seen[400, "light"]["cut"]


@pytest.mark.skipif(not axe(), reason="no axe: make test-browser fetches axe-playwright-python")
@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_axe_finds_nothing_with_everything_opened(seen: Any, screen: tuple[int, str]) -> None:
    assert seen[screen]["axe"] == []


def brightness(colour: str) -> float:
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 765


def test_dark_is_dark_and_light_is_light_in_figures_too(seen: Any) -> None:
    for (_, scheme), found in seen.items():
        assert {*found["ground"]} == {"rgba(0, 0, 0, 0)"}  # a figure has the page's own ground
        for ink in {found["ink"], *found["letters"]}:
            paper, words = brightness(found["background"]), brightness(ink)
            assert (paper < 0.2 and words > 0.8) if scheme == "dark" else paper > 0.8 > 0.2 > words


def test_tables_sort_by_number_and_back(seen: Any) -> None:
    assert seen[1280, "light"]["up"] == ["2", "4", "16"]  # as text it would be 16, 2, 4
    assert seen[1280, "light"]["down"] == ["16", "4", "2"]


def test_runs_are_found_by_words_of_their_line(seen: Any) -> None:
    wanted = [f"a-run-with-quite-a-long-name-as-runs-have-them-r4-s{seed}" for seed in SEEDS]
    assert seen[1280, "light"]["searched"] == wanted


def test_the_page_of_a_run_is_loaded_when_a_link_opens_it(seen: Any) -> None:
    for found in seen.values():
        assert found["waiting"] == len(RANKS) * len(SEEDS)
        assert found["waits"] == found["waiting"] - 1
        assert found["opened"] == ["a-run-with-quite-a-long-name-as-runs-have-them-r16-s4"]
        assert found["drawn"] == 2


def test_texts_stay_texts_and_nothing_is_fetched(seen: Any) -> None:
    for found in seen.values():
        assert EVIL in found["mistakes"]
        assert (found["foreign"], found["hacked"]) == (0, "undefined")
        assert {*found["requests"]} <= {"file", "data"}
