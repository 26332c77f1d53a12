"""Every colour of the page stands out from its ground by 4.5 to 1, in light and dark (WCAG AA)."""

import re
from pathlib import Path

import pytest

import loraexp.report.html as page

FOLDER = Path(page.__file__).parent
HEX = re.compile(r"--(\w+): ?(#[0-9a-f]{3,6})")


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("file", "ground", "lines"),
    [("report.css", "paper", ("line", "panel")), ("chart.css", "under", ("grid",))],
)
def test_words_and_lines_stand_out(file: str, ground: str, lines: tuple[str, ...]) -> None:
    blocks = (FOLDER / file).read_text(encoding="utf-8").split("@media")
    schemes = [dict(HEX.findall(block)) for block in blocks]
    schemes = [colours for colours in schemes if ground in colours]
    assert len(schemes) == 3  # light, dark, print
    for colours in schemes:
        for name, colour in colours.items():
            if name not in (ground, *lines):
                assert contrast(colour, colours[ground]) >= 4.5, (name, colour)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777", "#fff") == pytest.approx(4.48, abs=0.01)
