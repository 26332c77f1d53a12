"""Is a comparison of arms evidence? The reasons why not."""

from collections.abc import Callable, Hashable, Iterator, Sequence

from loraexp.records.record import Record
from loraexp.records.typed_json import value_at
from loraexp.results.arm_keys import START, moved, splits_of, started
from loraexp.results.arms import Arm, Setting
from loraexp.results.sequential import reached
from loraexp.results.settings import spelled
from loraexp.results.tuned import AT_THE_EDGE, Fault, protocol_faults, too_few
from loraexp.stats.looks import Looks

SHOWN = 3  # rows that a reason names
TUNED = {"optim.lr", "optim.lr_factor"}

Trait = Callable[[Record], Hashable]


def of_config(key: str) -> Trait:
    return lambda record: str(value_at(record.config, key))


def texts_seen(record: Record) -> int:
    """Texts that were trained on, repeats counted: steps are no measure between batch sizes."""
    data, trainer = record.config["data"], record.config["trainer"]
    a_step = data["batch_size"] * trainer["accumulate"] * trainer["devices"]
    # The last step of an epoch is a smaller one, unless limit_batches ends it before.
    return min(record.steps * a_step, record.epochs * record.data["n"]["train"])


# What every arm must have spent alike: all that it tried counts, not only what was chosen of it.
BUDGETS: dict[str, Trait] = {
    "the arms were not given the same number of epochs": of_config("trainer.max_epochs"),
    "the arms were not trained on the same number of texts": texts_seen,
}
# What must be alike in all runs, by the keys that may make it differ where they are compared.
SURROUNDINGS: dict[str, tuple[str, Trait]] = {
    "model.": ("the runs do not share one base", lambda record: record.hashes["base"]),
    "trainer.precision": ("the runs differ in precision", lambda record: record.precision),
    "trainer.keep": ("the runs differ in trainer.keep", of_config("trainer.keep")),
}


def caveats(arms: Sequence[Arm], by: Sequence[str], looks: Looks | None = None) -> list[str]:
    """Why a comparison is not evidence, a line each; none if it is.

    Args:
        looks: when seeds were added, if that was declared: arms may then have those of any look.

    Every arm must have its best learning rate inside its grid, and all the same budget, the same
    texts in the same split, the same seeds in every setting and as much tuning as the others.
    Settings are always chosen on validation texts: see Arm.chosen.
    """
    if len(arms) == 1:
        return [*splits(arms), *origins(arms, by)]
    lines = [*reasons(arms, by, looks), *of_rows([*tuning(arms, by, looks)], len(arms))]
    return [*dict.fromkeys(lines)]


def of_rows(faults: Sequence[Fault], rows: int) -> Iterator[str]:
    """A line a reason, with the rows that it is of."""
    for reason in dict.fromkeys(reason for reason, _ in faults):
        names = [name for other, name in faults if other == reason and name is not None]
        if not names:
            yield reason
        elif len(names) == rows > SHOWN:
            yield f"{reason}: all {rows} rows"
        else:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            yield f"{reason}: {'; '.join(names[:SHOWN])}{more}"


def reasons(arms: Sequence[Arm], by: Sequence[str], looks: Looks | None) -> Iterator[str]:
    yield from splits(arms)
    yield from () if looks and reached(arms, looks) else seeds(arms)
    if any(record.config["data"]["split"] == "all" for arm in arms for record in arm.records):
        yield "data.split=all: the test texts were trained on"
    for reason, trait in BUDGETS.items():
        if trait is texts_seen and "data.per_class" in by:  # it is what is compared
            continue
        if len({frozenset(map(trait, arm.records)) for arm in arms}) > 1:
            yield reason
    every = [record for arm in arms for record in arm.records]
    for key, (reason, trait) in SURROUNDINGS.items():
        if len({*map(trait, every)}) > 1 and not any(name.startswith(key) for name in by):
            yield reason
    yield from origins(arms, by)
    for library in every[0].versions:
        used = {record.versions.get(library, "none") for record in every}
        if library != "python" and len(used) > 1:
            yield f"the runs were made with {library} {' and '.join(sorted(used))}"


def splits(arms: Sequence[Arm]) -> Iterator[str]:
    if len(splits_of(record for arm in arms for record in arm.records)) > 1:
        yield "the runs were not tested on the same texts: the splits differ"


def origins(arms: Sequence[Arm], by: Sequence[str]) -> Iterator[str]:
    starts = starts_of(arms)
    if moved(starts):
        yield "what init_from names was another adapter for some runs"
    elif len({digest for _, digest in starts}) > 1 and not {"init_from", START} & {*by}:
        yield "the runs did not start from one adapter: init_from differs"


def starts_of(arms: Sequence[Arm]) -> set[tuple[str | None, str | None]]:
    """init_from, and which adapter was there."""
    return {(record.config["init_from"], started(record)) for arm in arms for record in arm.records}


def seeds(arms: Sequence[Arm]) -> Iterator[str]:
    of_settings = {frozenset(setting.seeds) for arm in arms for setting in arm.settings}
    if len({frozenset(arm.accuracies) for arm in arms}) > 1:
        yield "the arms do not have the same seeds"
    elif len(of_settings) > 1:
        yield "not every setting has the same seeds"
    if (fewest := min(len(arm.accuracies) for arm in arms)) < 3:
        yield f"{fewest} seed{'s' if fewest > 1 else ''} only; three are the least"
    if any(
        len(setting.records) > len(setting.seeds) and len(results(setting)) > len(setting.seeds)
        for arm in arms
        for setting in arm.settings
    ):
        yield "runs of one setting and seed are there twice, with other results"


def results(setting: Setting) -> set[tuple[int, str]]:
    """A seed's run that is there twice, as of a method without a rank, counts once."""
    return {(record.config["seed"], str(record.metrics["test"])) for record in setting.records}


def tuning(arms: Sequence[Arm], by: Sequence[str], looks: Looks | None) -> Iterator[Fault]:
    """Was as much tried of each, and the best learning rate found?"""
    if len({len(arm.settings) for arm in arms}) > 1:
        yield "the arms were not tuned with the same number of settings", None
    if not looks and len({sum(len(setting.seeds) for setting in arm.settings) for arm in arms}) > 1:
        yield "the arms do not have the same number of runs", None
    if TUNED & {*by}:
        yield "rows are single learning rates; the best of them is chosen on test texts", None
        return
    names = [spelled(by, arm.name) for arm in arms]
    tuned = [arm.tried for arm in arms if arm.tried]
    if len(tuned) == len(arms):
        used = [arm.chosen.config["optim.lr_factor"] for arm in arms]
        yield from protocol_faults(names, tuned, used)
        return
    if tuned:
        ways = "some arms were tuned by runs of their own, others by those that are compared"
        yield ways, None
    for name, arm in zip(names, arms, strict=True):
        rates = sorted({setting.rate for setting in arm.settings})
        if len(rates) < 3:
            yield too_few(len(rates)), name
        elif (rate := arm.chosen.rate) in (rates[0], rates[-1]):
            yield AT_THE_EDGE, f"{name} ({rate:g})"


def unlike_starts(arms: Sequence[Arm], by: Sequence[str]) -> str | None:
    """That rows were trained before, and not alike, in words; None where that is a reason."""
    if len({digest for _, digest in starts_of(arms)}) < 2 or [*origins(arms, by)]:
        return None
    return "rows differ in what they start from; what was trained before is not in their epochs"


def repeats(arms: Sequence[Arm]) -> str | None:
    """What test texts the training has seen, in words; the most of any run. All test texts count,
    those too that limited batches leave unmeasured."""
    known = [
        (data["repeats"]["test"], data["n"]["test"])
        for data in (record.data for arm in arms for record in arm.records)
        if "test" in data.get("repeats", {}) and "test" in data["n"]
    ]
    if not known:
        return None
    count, n = max(known)
    more = " in the runs that have most of them" if len({*known}) > 1 else ""
    return f"{count:,} of {n:,} test texts stand verbatim in train{more}"
