"""What a sweep comes to, in one sentence that claims no more than its table."""

from collections.abc import Sequence

from loraexp.records.record import Record
from loraexp.results.arm_keys import SPLIT_KEYS, naming
from loraexp.results.arms import Arm, Comparison, arms, best, compare, label, rivals
from loraexp.results.beside import NOTHING, Beside
from loraexp.results.fairness import caveats
from loraexp.results.sequential import at_looks
from loraexp.results.settings import heading
from loraexp.stats.significance import LEVEL

MOST_NAMES, MOST_DATA = 6, 3  # more than these are counted


def in_one_sentence(
    records: Sequence[Record], by: Sequence[str], beside: Beside = NOTHING
) -> str | None:
    """Which of the arms that `by` names is better, if that is known, and which the smallest of
    those that are not told apart; None where no two were tested on the same texts."""
    if not records:
        return None
    by = naming(records, by)
    every = arms(records, by, beside.trials)
    compared = compare(every)
    if beside.looks:
        compared = at_looks(every, compared, beside.looks, None)
    against = {arm.name: one for arm, one in zip(every, compared, strict=True)}
    splits = {arm.split: rivals(arm, every) for arm in every}
    parts = [
        (f"on {data_of(group[0], by)}, " if len(splits) > 1 else "") + clause(group, by, against)
        for group in splits.values()
        if len(group) > 1
    ]
    if not parts:
        return None
    if len(parts) > MOST_DATA:
        parts[MOST_DATA:] = [f"{len(parts) - MOST_DATA} more such comparisons are in the table"]
    if failed := len(beside.failures):
        parts.append(f"{failed} {'job' if failed == 1 else 'jobs'} failed and cannot be compared")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def clause(
    group: Sequence[Arm],
    by: Sequence[str],
    against: dict[tuple[object, ...], Comparison | None],
) -> str:
    """Of arms that were tested on the same texts."""
    top, seeds = best(group), spread([len(arm.accuracies) for arm in group])
    others = [(arm, against[arm.name]) for arm in group if arm is not top]
    if not any(one and one.p is not None for _, one in others):
        scores = dict.fromkeys(f"{100 * arm.seeds.mean:.1f}" for arm in group)
        low_high = " to ".join(sorted({min(scores, key=float), max(scores, key=float)}, key=float))
        return (
            f"no verdict from {seeds}: {listed(group, by)} label {low_high} % of {top.n:,} test "
            f"texts rightly{smallest(group, by)}"
        )
    worse = [arm for arm, one in others if one and one.significant]
    tied = [arm for arm, one in others if one and one.p is not None and not one.significant]
    unknown = [arm for arm, one in others if not one or one.p is None]
    if not worse:
        known = [arm for arm in group if arm not in unknown]
        text = f"no difference found between {listed(known, by)}{smallest(known, by)}"
    else:
        are = "is" if len(worse) == 1 else "are"
        text = (
            f"{listed([top], by)} is best, and {listed(worse, by)} {are} worse (p below {LEVEL:g})"
        )
        if tied:
            text += f", {listed(tied, by)} not told apart from it{smallest([*tied, top], by)}"
    if unknown:
        text += f"; {listed(unknown, by)} could not be tested"
    caution = ", no evidence for the reasons above" if caveats(group, by) else ""
    return f"{text} ({seeds}{caution})"


def smallest(group: Sequence[Arm], by: Sequence[str]) -> str:
    """Nothing if they are all of one size, or two are the smallest."""
    least, second = sorted(group, key=size)[:2]
    return f"; the smallest is {listed([least], by)}" if size(least) < size(second) else ""


def size(arm: Arm) -> int:
    return arm.trainable


def listed(group: Sequence[Arm], by: Sequence[str]) -> str:
    """rank 4, 8 and 16; of several keys each arm by all of them; the smallest first."""
    if len(group) > MOST_NAMES:
        return f"{len(group)} rows"
    keys = [key for key in by if key not in SPLIT_KEYS]
    names = [label(arm, by, SPLIT_KEYS) or "all else" for arm in sorted(group, key=size)]
    if len(keys) == 1:
        shared = f"{heading(keys[0])} "
        if all(name.startswith(shared) for name in names):
            names = [names[0], *(name.removeprefix(shared) for name in names[1:])]
        return joined(names, ", ")
    return joined([f"({name})" if "," in name else name for name in names], ", ")


def joined(names: Sequence[str], comma: str) -> str:
    return " and ".join([comma.join(names[:-1]), names[-1]] if len(names) > 1 else names)


def data_of(arm: Arm, by: Sequence[str]) -> str:
    """What tells its test texts from others."""
    return label(arm, by, {*by} - {*SPLIT_KEYS}) or "some texts"


def spread(counts: Sequence[int]) -> str:
    """3 seeds each, or 2 to 5."""
    least, most = min(counts), max(counts)
    each = f"{least}" if least == most else f"{least} to {most}"
    return "one seed each" if most == 1 else f"{each} seeds each"
