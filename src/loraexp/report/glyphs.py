"""Words of strangers inside figures: no formulas, and letters that a font of the machine has.

Matplotlib takes what is between two $ for a formula, and warns of a letter that no font has.
"""

from collections.abc import Iterable, Sequence
from functools import cache

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from loraexp.runtime.escape import printable

# Fonts that have something else, or a box, where they say that they have a letter.
NOT_LETTERS = (
    *("Last Resort", ".LastResort", "Adobe Blank", "STIXSize", "STIXNonUnicode"),
    *("cmb10", "cmex10", "cmmi10", "cmr10", "cmss10", "cmsy10", "cmti10", "cmtt10"),
)


def drawable(text: str, most: int = 60) -> str:
    """The text as a figure can show it; what no font has is an escape, and of a long one the
    middle is left out: `most` letters stay."""
    shown = "".join(
        letter if family(letter) is not None else letter.encode("unicode_escape").decode()
        for letter in printable(text)
    )
    if len(shown) > most:
        shown = f"{shown[: most // 2]}…{shown[most // 2 + 1 - most :]}"
    hidden = " " if shown.startswith("_") else ""  # a legend leaves out names that begin with _
    return hidden + shown.replace("$", r"\$")


def families(texts: Iterable[str]) -> list[str]:
    """The fonts to draw these with: the usual ones first."""
    names = (family(letter) for text in texts for letter in text)
    return [*dict.fromkeys([*rcParams["font.family"], *filter(None, names)])]


@cache
def family(letter: str) -> str | None:
    """The first font that has this letter; "" for the usual one, None where none has it."""
    if letter in "\n…" or has(findfont(FontProperties()), letter):
        return ""
    for name, file in upright():
        try:
            chosen = findfont(FontProperties(family=[name]), fallback_to_default=False)
            if has(file, letter) and has(chosen, letter):
                return name
        except (OSError, RuntimeError, ValueError):  # a damaged font, or one of pictures
            continue
    return None


@cache
def upright() -> Sequence[tuple[str, str]]:
    """Name and file of each upright font for text, the same order on every start."""
    fonts = [e for e in fontManager.ttflist if e.style == "normal"]
    fonts.sort(key=lambda e: (e.weight not in (400, "normal", "regular"), e.name))
    files = {e.name: e.fname for e in reversed(fonts) if not e.name.startswith(NOT_LETTERS)}
    return [*reversed(files.items())]


def has(file: str, letter: str) -> bool:
    return get_font(file).get_char_index(ord(letter)) != 0
