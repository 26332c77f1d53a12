"""loraexp eval: the metrics of a finished run again, on its own data or on other data."""

import json
from dataclasses import replace
from pathlib import Path

from loraexp.config.schema import TrainConfig
from loraexp.config.schemas import EvalConfig
from loraexp.errors import UserError


def run(config: EvalConfig, sweep: Path | None) -> None:
    if config.split == "all" and config.data is None:
        raise UserError("split=all needs data=...: most of its own texts the run has learnt from")
    from loraexp.training.measure import measure_again

    def choose(trained: TrainConfig) -> TrainConfig:
        return trained if config.data is None else replace(trained, data=config.data)

    metrics = measure_again(Path(config.run), config.split, choose)
    print(json.dumps({"run": config.run, "split": config.split, **metrics}, indent=2))
