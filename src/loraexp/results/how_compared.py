"""How arms were compared, in words for below a table."""

from collections.abc import Sequence

from loraexp.results.arms import Arm
from loraexp.results.paired import Comparison
from loraexp.results.tuned import in_words
from loraexp.stats.looks import Looks


def how(
    arms: Sequence[Arm],
    baseline: str | None,
    against: Sequence[Comparison | None],
    beyond_p: Sequence[str],
    looks: Looks | None,
) -> list[str]:
    sizes = sorted({arm.n for arm in arms})
    tests = [comparison for comparison in against if comparison is not None]
    lines = [f"n = {' or '.join(f'{n:,}' for n in sizes)} test texts; sd over seeds, in points."]
    if any(test.p is not None for test in tests):
        lines.append(
            "p: of the difference from the "
            f"{'baseline' if baseline else 'best'}, over seeds, over test texts and over both, "
            "paired; the largest; Holm-corrected. Tied: p of 0.05 or more."
        )
    if (most := max(len(arm.settings) for arm in arms)) > 1:
        lines.append(f"Each row: of its settings (up to {most}) the best by validation texts.")
    if looks:
        lines.append(looks.in_words())
    if tuned := [arm.tried for arm in arms if arm.tried]:
        lines.append(in_words(tuned))
    lines += beyond_p
    if any(test.untested == "one seed" for test in tests):
        lines.append(
            "One seed: not tested, for the best of single runs is often a lucky one; train more "
            "seeds."
        )
    return lines
