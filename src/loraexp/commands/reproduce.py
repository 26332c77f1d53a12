"""loraexp reproduce: the source tutorial's published rows, run again where they can be."""

from dataclasses import replace
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.config.schemas import ReproduceConfig
from loraexp.errors import unknown
from loraexp.results.ledger import BRIEF, PUBLISHED, ledger_table, notes
from loraexp.results.tables import FORMATS
from loraexp.runtime.escape import printable
from loraexp.sweeps.plan import conf_dir, plan


def run(config: ReproduceConfig, sweep: Path | None) -> None:
    for name in config.rows:
        if name not in PUBLISHED:
            raise unknown("rows", name, PUBLISHED)
    from loraexp.sweeps.published import records, reproduce  # heavy: not at start

    ledger = ledger_folder(config)
    reasons = reproduce({name: experiment(name, config) for name in PUBLISHED}, config, ledger)
    kept = {name: [*records(ledger, name)] for name in PUBLISHED}
    table = ledger_table(kept, reasons)
    if config.format != "table":
        print(FORMATS[config.format](table))
        return
    print(FORMATS["table"](table.only(BRIEF)))
    for note in ("", *notes(kept, reasons), f"Records: {ledger}."):
        print(printable(note))


def ledger_folder(config: ReproduceConfig) -> Path:
    """The folder asked for, else that of own runs, else the one that comes with a checkout."""
    own = Path(config.ledger or Path("outputs") / "ledger")
    with_checkout = conf_dir().parent / "tests" / "benchmarks" / "results" / "ledger"
    plain = config.ledger or config.run or own.is_dir() or not with_checkout.is_dir()
    return own if plain else with_checkout


def experiment(name: str, config: ReproduceConfig) -> TrainConfig:
    (made,) = plan("train", [f"experiment={name}", "logger=none"]).jobs
    return replace(made, output_dir=config.output_dir)
