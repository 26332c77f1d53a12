"""The keys of a choice: the texts, the base and a budget; what is adapted and how is the answer."""

from dataclasses import dataclass

from loraexp.config.keys import key, seed_key, workers_key
from loraexp.config.schema import Data, Head, Logger, Model, Trainer

ARM = 6  # runs of the cheapest arm: three learning rates, three seeds


@dataclass
class ChooseConfig:
    """loraexp choose"""

    runs: int | None = key(None, "runs it may make at most; or give minutes", least=2 * ARM)
    minutes: float | None = key(None, "minutes it may take here, as estimated", above=0)
    workers: str = workers_key("1")
    seed: int = seed_key(0, "first seed of the final runs")
    name: str | None = key(None, "put before the names of the runs")
    output_dir: str = key("outputs", "folder for everything that is written", path=True)
    model: Model = key(Model(), "")
    data: Data = key(Data(), "")
    head: Head = key(Head(), "")
    trainer: Trainer = key(Trainer(), "")
    logger: Logger = key(Logger(), "")
