"""Which keys of the config name an arm of a comparison, and which settings are tuned within it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from loraexp.errors import UserError, unknown_but_near
from loraexp.records.record import Record
from loraexp.results.settings import NO_RESULT, by_name, differs, flat, uses

NO_CHOICE = (*NO_RESULT, "seed")  # settings that are no choice between arms
# What decides which texts are tested on, the plainest first.
SPLIT_KEYS = (
    "data.name",
    "data.path",
    "data.split",
    "data.split_seed",
    "data.dedupe",
    "data.limit",
    "data.text_column",
    "data.label_column",
    "data.out_of_scope",
    "split",
)
FEWER_KEYS = ("data.per_class",)  # how many of the same train texts
# What a row is called that leaves out such a key.
WITHOUT = {"data.per_class": "all texts", "init_from": "a new adapter"}
START = "start"  # sha256 of the adapter that init_from was then


def tested(record: Record) -> str:
    """Names the texts that it was tested on, and those that it could have learnt from."""
    return record.hashes.get("tested", record.hashes["split"])


def started(record: Record) -> str | None:
    """Names the adapter that it started from; None of a new one."""
    return record.hashes.get("init_from", "")[:8] or None


def learnt_from(record: Record) -> int:
    """How many train texts it had."""
    return int(record.data["n"]["train"])


# What rows are named by as a rule, to be suggested.
USUAL = (
    *("method", "lora.rank", "lora.target_modules", "optim.lr", "model.name", "data.name", "seed"),
    *("lora.alpha", "data.limit", "trainer.max_epochs", "head.pooling"),
)
LISTED = 10


def settings_of(record: Record) -> dict[str, Any]:
    """The flat config, and `split`, which tells test texts apart where no key of the config does
    (a file that changed), and `start`, the same of what init_from names; keys that mean nothing to
    the method are None."""
    config = flat(record.config) | {"split": tested(record)[:8], START: started(record)}
    config |= {key: config[key] or words for key, words in WITHOUT.items()}
    for key in config:
        if not uses(record, key):
            config[key] = None
    return config


def settings_of_each(records: Sequence[Record]) -> list[dict[str, Any]]:
    """`settings_of` them; computed once of those that share all that their configs hold but the
    seed, as records do that were read together."""
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    found = []
    for record in records:
        held = [(k, id(v) if isinstance(v, dict) else v) for k, v in record.config.items()]
        sizes = [record.counts.get(key) for key in ("adapted_modules", "low_rank_modules")]
        own = (tested(record), started(record), *sizes)
        alike = (*(pair for pair in held if pair[0] != "seed"), *own)
        if alike not in known:
            known[alike] = settings_of(record)
        found.append({**known[alike], "seed": record.config["seed"]})
    return found


def varied(records: Sequence[Record]) -> list[str]:
    """The keys that name arms if nobody says which: those that differ, but for learning rates."""
    configs = [flat(record.config) for record in records]
    skipped = (*NO_CHOICE, "optim.lr", "lora.lr_ratio")

    def told_by(key: str) -> list[dict[str, Any]]:
        return [c for record, c in zip(records, configs, strict=True) if uses(record, key)]

    keys = [k for k in configs[0] if not k.startswith(skipped) and differs(k, told_by(k))]
    return by_name(keys) or ["method"]


def naming(
    records: Sequence[Record],
    by: Sequence[str],
    configs: Sequence[Mapping[str, Any]] | None = None,
) -> list[str]:
    """`by`, and what tells other texts apart: which data, how much of it and which split is never a
    setting to be tuned, so runs that differ in it are never one arm; nor are those that the same
    init_from gave another adapter.

    Args:
        configs: the settings of each, where they are known already.

    Raises:
        UserError: a key that not every record has.
    """
    splits, configs = [*splits_of(records)], configs or settings_of_each(records)
    check_keys(by, configs)
    names = [*by, *(key for key in FEWER_KEYS if key not in by and differs(key, configs))]
    if START not in by and moved((config["init_from"], config[START]) for config in configs):
        names.append(START)
    for key in SPLIT_KEYS:
        of_each = [tuple(config[name] for name in names) for config in configs]
        if len(splits) == 1 or len({*of_each}) == len(
            {(*name, config["split"]) for name, config in zip(of_each, configs, strict=True)}
        ):
            break
        if key not in names and differs(key, configs):
            names.append(key)
    return names


def moved(starts: Iterable[tuple[str | None, str | None]]) -> bool:
    """Of init_from and the adapter there, was any another adapter at another time?"""
    starts = {*starts}
    return len(starts) > len({path for path, _ in starts})


def splits_of(records: Iterable[Record]) -> set[str]:
    """The hashes of the splits that these were tested on, and trained on or on a part of."""
    return {tested(record) for record in records}


def check_keys(by: Sequence[str], configs: Sequence[Mapping[str, Any]]) -> None:
    for key in by:
        if any(key not in config for config in configs):
            near = unknown_but_near("by", key, configs[0])
            likely = [k for k in configs[0] if not k.startswith(NO_RESULT) and differs(k, configs)]
            likely = [*dict.fromkeys([*by_name(likely), *USUAL])][:LISTED]
            raise UserError(f"{near} likely keys: {', '.join(likely)}; any key of train will do")
