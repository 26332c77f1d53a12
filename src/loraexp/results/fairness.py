"""Is a comparison of arms evidence? The reasons why not."""

from collections.abc import Iterator, Sequence

from loraexp.results.arms import Arm

TUNED = {"optim.lr", "optim.lr_factor"}


def doubts(arms: Sequence[Arm], by: Sequence[str]) -> list[str]:
    """Why a comparison is not evidence, a line each; none if it is.

    Every arm must have its best learning rate inside its grid, and all the same budget, the same
    texts in the same split and no fewer seeds than the others. Settings are always chosen on
    validation texts: see Arm.chosen.
    """
    return [*dict.fromkeys(found(arms, by))]


def found(arms: Sequence[Arm], by: Sequence[str]) -> Iterator[str]:
    if (
        len({record.hashes["split"] for arm in arms for s in arm.settings for record in s.records})
        > 1
    ):
        yield "the arms were not tested on the same split"
    if len({frozenset(arm.accuracies) for arm in arms}) > 1:
        yield "the arms do not have the same seeds"
    elif any(len(arm.accuracies) < 3 for arm in arms):
        fewest = min(len(arm.accuracies) for arm in arms)
        yield f"{fewest} seed{'s' if fewest > 1 else ''} only; three are the least"
    if len({record.steps for arm in arms for record in arm.chosen.records}) > 1:
        yield "the arms did not train for the same number of steps"
    if len({len(arm.settings) for arm in arms}) > 1:
        yield "the arms were not tuned with the same number of settings"
    if TUNED & {*by}:
        return
    for arm in arms:
        name = ", ".join(f"{k}={v}" for k, v in zip(by, arm.name, strict=True))
        rates = sorted({setting.rate for setting in arm.settings})
        if len(rates) < 3:
            yield f"{name}: only {len(rates)} of at least 3 learning rates tried"
        elif (rate := arm.chosen.rate) in (rates[0], rates[-1]):
            yield f"{name}: the best learning rate, {rate:g}, is at the edge of its grid"


def repeats(arms: Sequence[Arm]) -> str | None:
    """What test texts the training has seen, in words."""
    record = arms[0].chosen.records[0]
    count, n = record.data.get("repeats", {}).get("test", 0), record.metrics["test"]["n"]
    return f"{count} of {n} test texts stand verbatim in train" if count else None
