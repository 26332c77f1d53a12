"""The published rows run here: each where it can be, and why where it cannot."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.data.sources import sms_spam_at_hand
from loraexp.errors import UserError
from loraexp.model.locate import at_hand, tokenizer_at_hand
from loraexp.records.record import Record, read_file, write

log = logging.getLogger("loraexp")


def reproduce(
    experiments: Mapping[str, TrainConfig],
    ledger: Path,
    *,
    rows: Sequence[str],
    run: bool,
    seeds: Sequence[int],
) -> dict[str, str]:
    """Run, if asked to, the rows that can be; for each, the reason if it has no record.

    Args:
        experiments: the recipe of each row, by its name.
    """
    reasons = {}
    for name, made in experiments.items():
        # Only who asks for a run asks for what it must download.
        missing = None if run else not_here(made)
        reason = missing or obstacle(made) or "run=true runs it"
        reasons[name] = reason if not rows or name in rows else "not asked for"
        if run and reasons[name] == "run=true runs it":
            keep(name, made, seeds, ledger)
    return reasons


def not_here(config: TrainConfig) -> str | None:
    """What a row's run would have to download first; looks on this disk only."""
    model = config.model
    if not at_hand(model):
        return f"{model.name}'s weights are not here"
    if not tokenizer_at_hand(model):
        return f"{model.name}'s tokenizer is not here"
    if config.data.name == "sms_spam" and sms_spam_at_hand(config.data) is None:
        return "the SMS Spam Collection is not here"
    if config.data.path is not None and not Path(config.data.path).exists():
        return "its texts are not here"
    return None


def obstacle(config: TrainConfig) -> str | None:
    """Why a row cannot be run here and now; None if it can."""
    if not at_hand(config.model):
        return f"{config.model.name}'s weights are not here"
    from loraexp.data.splits import load_data
    from loraexp.model.weights import load_tokenizer

    try:
        load_tokenizer(config.model)
        load_data(config.data)
    except UserError as error:
        return str(error)
    return None


def keep(name: str, config: TrainConfig, seeds: Sequence[int], ledger: Path) -> None:
    """Train a row's runs, and leave their records in the ledger."""
    from loraexp.training.run import train

    for seed in seeds:
        file = ledger / f"{name}-seed{seed}.json"
        if not file.is_file():
            log.info(f"{name}, seed {seed}")
            record = train(replace(config, seed=seed))
            # No text of the data set and no folder of this machine is for a ledger to keep.
            config_kept = {**record.config, "output_dir": "outputs"}
            if path := config.data.path:
                config_kept["data"] = {**record.config["data"], "path": Path(path).name}
            record = replace(record, mistakes=[], config=config_kept)
            write(record, file, indent=None)


def records(ledger: Path, name: str) -> Iterator[Record]:
    for file in sorted(ledger.glob(f"{name}-seed*.json")):
        yield read_file(file)
