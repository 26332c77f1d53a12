"""What must be read beside the scores of runs: of which label they are, and whether validation
and test are of one kind."""

from collections.abc import Iterator, Sequence

from loraexp.records.record import Failure, Record
from loraexp.runtime.escape import printable
from loraexp.stats.significance import LEVEL, holm, p_of_two_shares, wilson_interval


def score_notes(records: Sequence[Record]) -> Iterator[str]:
    """A line each; none of no records."""
    if records:
        labels = list(dict.fromkeys(of_label(record.labels) for record in records))
        several = ", by the data" if len(labels) > 1 else ""
        yield f"F1, precision, recall are {' or '.join(labels)}{several}."
    yield from apart(records)


def train_notes(records: Sequence[Record]) -> Iterator[str]:
    """Of how many texts train accuracy is where they are not all, and how far off that may be."""
    found = [(record.metrics["train"], int(record.data["n"]["train"])) for record in records]
    sampled = [(int(own["n"]), n, own["accuracy"]) for own, n in found if own["n"] < n]
    if not sampled:
        return
    kinds = sorted({(of, n) for of, n, _ in sampled})
    (least, n), (most, _) = kinds[0], kinds[-1]
    texts = f"{least:,} of {n:,}" if len(kinds) == 1 else f"{least:,} to {most:,}, not of all"
    intervals = [wilson_interval(share, of).ends or (0.0, 1.0) for of, _, share in sampled]
    low, high = max(intervals, key=lambda ends: ends[1] - ends[0])
    off = f"{low:.1%} to {high:.1%}"
    if len(sampled) > 1:
        off = f"at most {50 * (high - low):.1f} points either way"
    yield f"Train accuracy is of {texts} train texts (95 % over the texts: {off})."


def share_notes(records: Sequence[Record]) -> Iterator[str]:
    """Whose seconds are not those of a run alone."""
    shared = sum((record.pack or 1) > 1 for record in records)
    if shared:
        who = "All runs" if shared == len(records) else f"{shared} of {len(records)} runs"
        yield f"{who} were trained in step with others: s is a run's share."


def of_label(labels: Sequence[str]) -> str:
    return f"those of {labels[1]!r}" if len(labels) == 2 else "means over the classes"


def apart(records: Sequence[Record]) -> Iterator[str]:
    """Where accuracy on validation and on test texts differ by more than chance: Fisher's exact
    test on how many are right of each, two-sided, Holm-corrected over the runs."""
    pairs = [[record.metrics[split] for split in ("validation", "test")] for record in records]
    ps = holm([p_of_two_shares(*((m["accuracy"], m["n"]) for m in pair)) for pair in pairs])
    off = [pair for pair, p in zip(pairs, ps, strict=True) if p < LEVEL]
    if not off:
        return
    most = max(off, key=lambda pair: abs(pair[0]["accuracy"] - pair[1]["accuracy"]))
    validation, test = (f"{scores['accuracy']:.1%} of {scores['n']:,}" for scores in most)
    runs = f" in {len(off)} of {len(records)} runs" if len(records) > 1 else ""
    yield (
        f"Warning: validation and test differ by more than chance{runs}: are they of one kind? "
        f"{'At most: ' if len(off) > 1 else ''}{validation} validation texts are labelled rightly, "
        f"{test} test texts (Fisher's exact test{', Holm-corrected' if runs else ''})."
    )


def failed_lines(failures: Sequence[Failure]) -> list[str]:
    """How many jobs failed and why, same reasons together."""
    if not failures:
        return []
    reasons: dict[str, list[str]] = {}
    for failure in failures:
        reasons.setdefault(printable(failure.reason), []).append(failure.name)
    jobs = "; ".join(
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason}"
        for reason, names in reasons.items()
    )
    return [f"{len(failures)} job{'s' if len(failures) > 1 else ''} failed: {jobs}"]
