"""loraexp train: one run, or one job of a sweep, and the table at the end."""

import sys
from collections.abc import Sequence
from pathlib import Path

from loraexp.atomic import write_whole
from loraexp.config import TrainConfig
from loraexp.results.record import Record, read_records
from loraexp.results.tables import FORMATS, runs_table


def run(config: TrainConfig, sweep: Path | None) -> None:
    from loraexp.training.naming import run_folder
    from loraexp.training.progress import Progress
    from loraexp.training.run import train  # heavy: not at start
    from loraexp.training.surroundings import is_main_process

    group = sweep.name if sweep else None
    record = train(config, group, progress=Progress() if sys.stdout.isatty() else None)
    folder = run_folder(config)
    if not is_main_process():
        return
    if sweep is None:
        show([record], folder)
    else:
        # Jobs may run in other processes: the sweep finds its runs through these files.
        write_whole(sweep / "jobs" / f"{record.name}.txt", f"{folder.resolve()}\n")


def check_jobs(configs: Sequence[TrainConfig]) -> None:
    """Find what only the data and the model can tell (no such file, no such target) before any
    job of a sweep trains.

    Raises:
        UserError: of the first job that could not run.
    """
    from loraexp.adapters.inject import inject
    from loraexp.data.splits import load_data
    from loraexp.model.gpt2 import empty_classifier
    from loraexp.model.weights import load_tokenizer

    for data in {repr(config.data): config.data for config in configs}.values():
        load_data(data)
    for model in {repr(config.model): config.model for config in configs}.values():
        load_tokenizer(model)
    for config in configs:  # on the meta device: names and shapes only
        inject(empty_classifier(config.model, config.head, 2), config, config.seed)


def show_sweep(sweep: Path) -> None:
    """The table over all runs of a sweep, in the order they ended."""
    files = sorted((sweep / "jobs").glob("*.txt"), key=lambda file: file.stat().st_mtime_ns)
    show(read_records(Path(file.read_text().strip()) for file in files), sweep)


def show(records: list[Record], folder: Path) -> None:
    """Print the table of runs and leave it as table.csv and table.md."""
    table = runs_table(records)
    write_whole(folder / "table.csv", FORMATS["csv"](table) + "\n")
    write_whole(folder / "table.md", FORMATS["markdown"](table) + "\n")
    print()
    print(FORMATS["table"](table))
    print()
    for note in sorted({record.data["note"] for record in records if record.data["synthetic"]}):
        print(f"Data: {note}.")
    if any(record.config["model"]["weights"] == "random" for record in records):
        print("The base has random weights: it has learnt nothing before.")
    print(f"Wrote {folder}/table.csv and table.md; every run has its own folder beside.")
