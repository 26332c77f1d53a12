"""Words of strangers in figures: as they are, in letters that the machine has, and no formulas."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager, rcParams
from matplotlib.figure import Figure
from matplotlib.image import imread

from loraexp.records.record import Record
from loraexp.report import glyphs
from loraexp.report.figures import figures
from loraexp.report.glyphs import drawable, families, family
from loraexp.report.plots import canvas, save

MakeRecord = Callable[..., Record]
ODD = {
    "two dollars": "$x^2$",
    "a broken formula": "$\\frac{$ and $",
    "commands": r"\input{x}",
    "Chinese": "中文",
    "Arabic": "العربية",
    "emoji": "😀🏳️‍🌈",
    "combining": "e\u0301\u0335\u0336" * 4,
    "controls": "a\n\x1b[2J\0",
    "turned": "\u202eabc",
    "half a pair": "\ud800",
    "private": "\ue000",
    "hidden": "_hidden",
    "empty": "",
    "long": "x" * 5000,
    "long and wide": "漢" * 5000,
    "a tag": "<b>&amp;--></b>",
}
HAN = "\u4e2d"


@pytest.fixture
def sweep(make_record: MakeRecord) -> Callable[[str], list[Record]]:
    """Two arms with a text in their names, of labels that are this text."""

    def make(text: str) -> list[Record]:
        return [
            make_record(
                {"method": f"{text}{n}", "optim.lr": lr, "lora.rank": rank},
                labels=[text, f"{text}2"],
                counts={**make_record().counts, "trainable": 100 * rank * (n + 1)},
            )
            for n in (0, 1)
            for lr in (1e-3, 1e-2)
            for rank in (4, 8)
        ]

    return make


def drawn(figure: Figure, folder: Path) -> str:
    save(figure, folder / "figure", [".svg"])
    return (folder / "figure.svg").read_text(encoding="utf-8")


def words(figure: Figure) -> list[str]:
    """The texts of a drawn figure as matplotlib takes them: formulas are refused."""
    from matplotlib.text import Text

    figure.draw_without_rendering()
    found = []
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        line, formula = text._preprocess_math(text.get_text())
        assert not formula or "mathdefault" in line
        found.append(line)
    return found


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
def test_odd_names_and_labels_are_drawn_without_a_warning(
    sweep: Callable[[str], list[Record]], text: str, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = figures(sweep(text), ["method", "lora.rank"])
        assert {*made} == {"rank", "parameters", "lr", "confusion"}
        for name in ("confusion", "lr"):
            words(made[name])
            ElementTree.fromstring(drawn(made[name], tmp_path))


def test_dollars_stand_in_a_figure_as_typed(sweep: Callable[[str], list[Record]]) -> None:
    made = figures(sweep(r"$x$ \$y"), ["method"])
    assert {r"$x$ \$y", r"$x$ \$y2"} <= {*words(made["confusion"])}
    assert {r"$x$ \$y0", r"$x$ \$y1"} <= {*words(made["lr"])}


def test_a_name_with_a_line_in_front_stands_at_its_line(
    sweep: Callable[[str], list[Record]],
) -> None:
    (axes,) = figures(sweep("_a"), ["method"])["lr"].axes
    assert [text.get_text().strip() for text in axes.texts] == ["_a0", "_a1"]


def test_of_a_long_name_both_ends_are_shown() -> None:
    assert drawable("a" * 40 + "b" * 40, 9) == "aaaa…bbbb"
    assert drawable("123456789", 9) == "123456789"


def test_usual_letters_are_left_to_the_usual_font() -> None:
    for text in ("ham", "naïve Ünïcödé", "العربية", "e\u0301"):
        assert drawable(text) == text
        assert families([text]) == rcParams["font.family"]


def test_a_letter_that_no_font_has_is_an_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(glyphs, "upright", lambda: [])
    family.cache_clear()
    assert drawable(f"a{HAN}b") == "a\\u4e2db"
    assert families([drawable(HAN)]) == rcParams["font.family"]
    family.cache_clear()


def test_boxes_in_place_of_letters_are_no_font() -> None:
    """matplotlib's own last resort has a box for every letter."""
    names = {name for name, _ in glyphs.upright()}
    assert any(font.name.startswith("Last Resort") for font in font_manager.fontManager.ttflist)
    assert not any(name.startswith(("Last Resort", "cm")) for name in names)


@pytest.fixture
def han(tmp_path: Path) -> Iterator[str]:
    """A font with one letter, a black square for 中, as if it were installed."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 900), (900, 900), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    made = FontBuilder(1000, isTTF=True)
    made.setupGlyphOrder([".notdef", "han"])
    made.setupCharacterMap({ord(HAN): "han"})
    made.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "han": pen.glyph()})
    made.setupHorizontalMetrics({".notdef": (1000, 0), "han": (1000, 0)})
    made.setupHorizontalHeader(ascent=900, descent=-100)
    made.setupNameTable({"familyName": "One Han", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    file = tmp_path / "han.ttf"
    made.save(file)
    manager = font_manager.fontManager
    before = [*manager.ttflist]
    manager.addfont(file)
    caches: list[Any] = [family, glyphs.upright]
    for cache in caches:
        cache.cache_clear()
    yield "One Han"
    manager.ttflist[:] = before
    manager._findfont_cached.cache_clear()
    for cache in caches:
        cache.cache_clear()


def test_a_letter_that_some_font_has_is_drawn_with_it(
    han: str, make_record: MakeRecord, tmp_path: Path
) -> None:
    assert drawable(HAN) == HAN
    assert families([HAN, "a"]) == [*rcParams["font.family"], han]
    inks = []
    for label in (HAN, "."):
        made = make_record(labels=[label, "ham"])
        save(figures([made], ["method"])["confusion"], tmp_path / "c", [".png"])
        image = imread(tmp_path / "c.png")[..., :3].mean(axis=-1)  # (height, width)
        inks.append((image[:, : image.shape[1] // 6] < 0.1).sum())
    assert inks[0] > inks[1] + 100  # the square beside the axis


def test_what_a_matplotlibrc_asks_of_latex_is_not_done(
    sweep: Callable[[str], list[Record]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(rcParams, "text.usetex", True)
    made = figures(sweep(r"\input{x}"), ["method"])
    ElementTree.fromstring(drawn(made["lr"], tmp_path))
    assert not any(text.get_usetex() for text in made["lr"].axes[0].texts)
    assert canvas(1, 1)[0].text(0, 0, "").get_usetex()  # negative control: one of its own
