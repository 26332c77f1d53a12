"""loraexp reproduce: the source tutorial's published rows, run again where they can be."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.config import TrainConfig
from loraexp.errors import UserError, unknown
from loraexp.overrides import plan
from loraexp.results.ledger import BRIEF, PUBLISHED, SIZES, SPLITS, impossible, ledger_table
from loraexp.results.record import Record, read_file
from loraexp.results.tables import FORMATS
from loraexp.schemas import ReproduceConfig

log = logging.getLogger("loraexp")


def run(config: ReproduceConfig, sweep: Path | None) -> None:
    for name in config.rows:
        if name not in PUBLISHED:
            raise unknown("rows", name, PUBLISHED)
    ledger, reasons = Path(config.ledger), dict[str, str]()
    for name in PUBLISHED:
        reason = obstacle(experiment(name, config)) or "run=true runs it"
        reasons[name] = reason if not config.rows or name in config.rows else "not asked for"
        if config.run and reasons[name] == "run=true runs it":
            keep(name, config, ledger)
    kept: dict[str, list[Record]] = {name: [*records(ledger, name)] for name in PUBLISHED}
    table = ledger_table(kept, reasons)
    if config.format != "table":
        print(FORMATS[config.format](table))
        return
    print(FORMATS["table"](table.only(BRIEF)))
    for note in ("", *notes(kept, reasons)):
        print(note)


def notes(kept: Mapping[str, Sequence[Record]], reasons: Mapping[str, str]) -> Iterator[str]:
    yield "Test accuracy in percent. A row agrees if one more run of ours might well give it."
    missing = {name: reason for name, reason in reasons.items() if not kept[name]}
    for reason in dict.fromkeys(missing.values()):
        names = ", ".join(name for name, own in missing.items() if own == reason)
        yield f"Not run, {reason}: {names}."
    for name, published in PUBLISHED.items():
        if split := impossible(published):
            score = published.scores[SPLITS.index(split)]
            yield f"{name}: no number of {SIZES[split]} {split} texts gives the published {score}."


def experiment(name: str, config: ReproduceConfig) -> TrainConfig:
    (made,) = plan("train", [f"experiment={name}", "logger=none"]).jobs
    return replace(made, output_dir=config.output_dir)


def obstacle(config: TrainConfig) -> str | None:
    """Why a row cannot be run here and now; None if it can. Nothing is downloaded."""
    from loraexp.model.hub import at_hand
    from loraexp.model.weights import load_tokenizer

    if not at_hand(config.model):
        return f"{config.model.name}'s weights are not here"
    from loraexp.data.splits import load_data

    try:
        load_tokenizer(config.model)
        load_data(config.data)
    except UserError as error:
        return str(error)
    return None


def keep(name: str, config: ReproduceConfig, ledger: Path) -> None:
    """Train a row's runs, and leave their records in the ledger."""
    from loraexp.training.run import train

    for seed in config.seeds:
        file = ledger / f"{name}-seed{seed}.json"
        if not file.is_file():
            log.info(f"{name}, seed {seed}")
            record = train(replace(experiment(name, config), seed=seed))
            # No text of the data set and no folder of this machine is for a ledger to keep.
            record = replace(record, mistakes=[], config={**record.config, "output_dir": "outputs"})
            write_whole(file, json.dumps(asdict(record)) + "\n")


def records(ledger: Path, name: str) -> Iterator[Record]:
    for file in sorted(ledger.glob(f"{name}-seed*.json")):
        yield read_file(file)
