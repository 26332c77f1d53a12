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
from loraexp.results.report.html import to_html
from loraexp.results.report.report import report

pytestmark = pytest.mark.skipif(
    find_spec("PyQt6") is None or find_spec("PyQt6.QtWebEngineWidgets") is None,
    reason="no browser: make test-browser fetches PyQt6-WebEngine and runs this",
)
EVIL = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>bold</b>'
SCREENS = [*product((1200, 360), ("light", "dark"))]


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
            [sys.executable, script, folder / "page.html", str(width), scheme, picture],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        found[width, scheme] = {**json.loads(done.stdout), "picture": imread(picture)}
    return found


@pytest.fixture(scope="module")
def page(make_records: Callable[..., Record]) -> str:
    runs = {}
    for rank in (2, 16, 4):
        made = make_records({"lora.rank": rank, "data.path": "x" * 300})
        mistakes = [{"text": EVIL, "true": 1, "predicted": 0, "chance": 0.98}]
        runs[Path(f"r{rank}")] = replace(
            made,
            name=f"a-run-with-quite-a-long-name-as-runs-have-them-r{rank}",
            counts={**made.counts, "trainable": 1000 * rank},
            mistakes=mistakes,
        )
    return to_html(report(runs, ["lora.rank"]))


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_it_fits_the_screen_and_shows_every_figure(seen: Any, screen: tuple[int, str]) -> None:
    found = seen[screen]
    assert found["overflow"] <= 0  # wide tables scroll in their own box
    assert len(found["images"]) == 3
    assert min(found["images"]) > 0
    assert found["picture"][..., :3].var() > 0.001
    assert found["messages"] == []


def test_dark_is_dark_and_light_is_light(seen: Any) -> None:
    def brightness(colour: str) -> float:
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) / 765

    for (_, scheme), found in seen.items():
        paper, ink = brightness(found["background"]), brightness(found["ink"])
        assert (paper < 0.2 and ink > 0.8) if scheme == "dark" else (paper > 0.8 and ink < 0.2)


def test_tables_sort_by_number_and_back(seen: Any) -> None:
    assert seen[1200, "light"]["up"] == ["2", "4", "16"]  # as text it would be 16, 2, 4
    assert seen[1200, "light"]["down"] == ["16", "4", "2"]


def test_a_link_opens_the_page_of_its_run(seen: Any) -> None:
    assert (seen[1200, "light"]["open"], seen[1200, "light"]["opened"]) == (0, 1)


def test_texts_stay_texts_and_nothing_is_fetched(seen: Any) -> None:
    for found in seen.values():
        assert EVIL in found["mistakes"]
        assert (found["foreign"], found["hacked"]) == (0, "undefined")
        assert {*found["requests"]} <= {"file", "data"}
