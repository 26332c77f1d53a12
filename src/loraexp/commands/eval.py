"""loraexp eval: measure a finished run again, on its own data or on other data."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.config.own_data import is_own
from loraexp.config.schema import Data
from loraexp.errors import UserError


@dataclass
class EvalConfig:
    """loraexp eval"""

    run: str = key("???", "folder of a finished run", path=True, text=True)
    data: Data | None = key(None, "other data than the run's own, e.g. data=csv data.path=...")
    split: str | None = key(
        None,
        "train | validation | test | all (every text of data=, none split off); null: all of a "
        "file of your own, else test",
        choices=("train", "validation", "test", "all"),
    )
    whole: bool = key(False, "split=train: every text, not those alone that the record is of")
    format: str = one_of(
        "table", "table", "csv (a row a class)", "json (all that is measured)", "markdown"
    )


def run(config: EvalConfig) -> None:
    split = config.split or ("all" if is_one_file(config.data) else "test")
    if split == "all" and config.data is None:
        raise UserError("split=all needs data=...: most of its own texts the run has learnt from")
    if config.whole and split != "train":
        raise UserError(f"whole=true belongs to split=train, got split={split}")
    from loraexp.adapters.adapter_files import read_card
    from loraexp.report.measured import FORMATS, Measured
    from loraexp.runs.run_folder import RunFolder
    from loraexp.training.measure import measure_again

    metrics = measure_again(Path(config.run), split, config.data, config.whole)
    labels = read_card(RunFolder(Path(config.run)).adapter)["labels"]
    print(FORMATS[config.format](Measured(config.run, split, labels, metrics)))


def is_one_file(data: Data | None) -> bool:
    """A folder brings its test texts itself, and a published set its split."""
    return data is not None and is_own(data) and not Path(data.path or "").is_dir()
