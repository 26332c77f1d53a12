"""loraexp reproduce: the source tutorial's published rows, run again where they can be."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.config import Model, TrainConfig
from loraexp.errors import UserError, unknown
from loraexp.overrides import conf_dir, plan
from loraexp.results.ledger import BRIEF, PUBLISHED, SIZES, SPLITS, impossible, ledger_table
from loraexp.results.record import Record, read_file
from loraexp.results.tables import FORMATS
from loraexp.schemas import ReproduceConfig

log = logging.getLogger("loraexp")


def run(config: ReproduceConfig, sweep: Path | None) -> None:
    for name in config.rows:
        if name not in PUBLISHED:
            raise unknown("rows", name, PUBLISHED)
    ledger, reasons = ledger_folder(config), dict[str, str]()
    for name in PUBLISHED:
        made = experiment(name, config)
        # Only who asks for a run asks for what it must download.
        missing = None if config.run else not_here(made)
        reason = missing or obstacle(made) or "run=true runs it"
        reasons[name] = reason if not config.rows or name in config.rows else "not asked for"
        if config.run and reasons[name] == "run=true runs it":
            keep(name, config, ledger)
    kept: dict[str, list[Record]] = {name: [*records(ledger, name)] for name in PUBLISHED}
    table = ledger_table(kept, reasons)
    if config.format != "table":
        print(FORMATS[config.format](table))
        return
    print(FORMATS["table"](table.only(BRIEF)))
    for note in ("", *notes(kept, reasons), f"Records: {ledger}."):
        print(note)


def ledger_folder(config: ReproduceConfig) -> Path:
    """The folder asked for, else that of own runs, else the one that comes with a checkout."""
    own = Path(config.ledger or Path("outputs") / "ledger")
    with_checkout = conf_dir().parent / "tests" / "benchmarks" / "results" / "ledger"
    plain = config.ledger or config.run or own.is_dir() or not with_checkout.is_dir()
    return own if plain else with_checkout


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


def not_here(config: TrainConfig) -> str | None:
    """What a row's run would have to download first; looks on this disk only."""
    from loraexp.data.sources import sms_spam_at_hand
    from loraexp.model.hub import at_hand

    model = config.model
    if not at_hand(model):
        return f"{model.name}'s weights are not here"
    if model.tokenizer == "auto" and model.weights in ("hub", "random") and not bpe_here(model):
        return f"{model.name}'s tokenizer is not here"
    if config.data.name == "sms_spam" and sms_spam_at_hand(config.data) is None:
        return "the SMS Spam Collection is not here"
    return None


def bpe_here(model: Model) -> bool:
    """GPT-2's two files, in LORAEXP_DATA_DIR or in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache

    from loraexp.model.tokenizer import FILES

    data_dir = os.environ.get("LORAEXP_DATA_DIR")
    folders = [Path(data_dir), Path(data_dir) / "gpt2_bpe"] if data_dir else []
    if any((folder / vocab).is_file() for folder in folders for vocab, _ in FILES):
        return True
    revision, names = model.revision or None, ("vocab.json", "merges.txt")
    found = (try_to_load_from_cache(model.repo, name, revision=revision) for name in names)
    return bool(model.repo) and all(isinstance(file, str) for file in found)


def obstacle(config: TrainConfig) -> str | None:
    """Why a row cannot be run here and now; None if it can."""
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
