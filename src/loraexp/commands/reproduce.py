"""loraexp reproduce: published rows of GPT-2 classifiers beside ours, with a verdict."""

from dataclasses import dataclass, replace
from pathlib import Path

from loraexp.config.compose import conf_dir
from loraexp.config.keys import key, one_of
from loraexp.config.schema import TrainConfig
from loraexp.errors import unknown
from loraexp.results.ledger import BRIEF, PUBLISHED, ledger_table, notes
from loraexp.results.tables import FORMATS
from loraexp.runtime.escape import printable
from loraexp.sweeps.plan import TRAIN, plan


@dataclass
class ReproduceConfig:
    """loraexp reproduce"""

    rows: list[str] = key([], "published rows, e.g. [row10,appendix_e]; all if empty")
    run: bool = key(False, "run those that can be; else only show the ledger")
    seeds: list[int] = key([123, 124, 125], "seeds of each row's runs", least=0, most=2**32 - 1)
    ledger: str | None = key(
        None,
        "folder of the records; if null outputs/ledger, or the checkout's where that is not",
        path=True,
    )
    output_dir: str = key("outputs", "folder for the runs themselves", path=True)
    format: str = one_of("table", *FORMATS)


def run(config: ReproduceConfig) -> None:
    for name in config.rows:
        if name not in PUBLISHED:
            raise unknown("rows", name, PUBLISHED)
    from loraexp.sweeps.shown.published import records, reproduce  # heavy: not at start

    ledger = ledger_folder(config)
    reasons = reproduce(
        {name: experiment(name, config) for name in PUBLISHED},
        ledger,
        rows=config.rows,
        run=config.run,
        seeds=config.seeds,
    )
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
    (job,) = plan(TRAIN, [f"experiment={PUBLISHED[name].recipes}/{name}", "logger=none"]).jobs
    return replace(job, output_dir=config.output_dir)
