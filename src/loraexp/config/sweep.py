"""Keys of a sweep as a whole: how its arms are tuned, what it searches, when it has seeds enough.
None of them is a key of a run: no name, record or card has it."""

from dataclasses import dataclass, fields
from typing import ClassVar

from loraexp.config.keys import FLOAT32, key, one_of, seed_key, workers_key
from loraexp.config.schema import TrainConfig


@dataclass
class Tune:
    """Stage one: each arm looks for its learning rate on validation texts alone."""

    factors: list[float] = key(
        [0.3, 1.0, 3.0],
        "of optim.lr, tried first by every arm (a typed optim.lr_factor=... names others)",
        above=0,
        most=FLOAT32,
    )
    seeds: int = key(1, "runs a rate; their seeds are no final run's", least=1, most=1000)
    most: int = key(7, "learning rates that an arm may try, at its edges one by one", least=3)


@dataclass
class Search:
    """Optuna's search over the keys that are typed with several values or a range."""

    trials: int | None = key(None, "settings to try, by validation loss; null: no search", least=1)
    seed: int = seed_key(0, "seed of what is drawn")
    seeds: int = key(1, "runs a setting, of seeds seed, seed + 1, ...", least=1, most=1000)
    pruner: str = key(
        "none",
        "none | median (a run that is behind the median at the same epoch ends) | wilcoxon (a "
        "setting that is worse than the best seed by seed has no more)",
        choices=("none", "median", "wilcoxon"),
    )


@dataclass
class Seeds:
    """The last stage in looks that are declared before it begins: more seeds where two arms are not
    told apart, at bounds that keep false winners at 5 % of all sweeps."""

    looks: list[int] = key(
        [3, 5, 8, 12], "numbers of seeds, rising, at which arms are compared", least=2
    )
    bound: str = key(
        "wang_tsiatis",
        "obrien_fleming (early looks need most) | pocock (all alike) | wang_tsiatis (between)",
        choices=("obrien_fleming", "pocock", "wang_tsiatis"),
    )


@dataclass
class Pack:
    """Runs on one base that a process trains in step, each as if it were alone."""

    width: str = key(
        "auto",
        "runs that share a base and are trained in step: a number, or auto (as many as pay and "
        "fit into half of the memory)",
    )


@dataclass
class Launcher:
    """Who does the jobs of a sweep; all share the folder `output_dir`, which must be one that every
    machine reaches."""

    name: str = one_of(
        "local",
        "local (processes of this machine: `workers`)",
        "slurm (an array of jobs, by submitit)",
        "ray (tasks of a cluster)",
    )
    wait: bool = key(
        True, "false: give the prompt back; `sweep status`, resume and cancel see to it"
    )
    at_once: int | None = key(
        None,
        "packs that are queued or at work; null: 256, as many as cores where they are here",
        least=1,
    )
    cpus: int = key(1, "cores of a pack", least=1, most=1024)
    gpus: int = key(
        0, "GPUs of a pack; trainer.devices of a run that takes several", most=64, least=0
    )
    memory_gb: float | None = key(None, "memory of a pack; null: the cluster's default", above=0)
    minutes: int = key(
        240, "slurm: time of a pack; one that takes longer goes on in another", least=1
    )
    requeues: int = key(20, "slurm: how often a pack may run into that limit", least=0)
    partition: str | None = key(None, "slurm: partition")
    account: str | None = key(None, "slurm: account")
    constraint: str | None = key(None, "slurm: features that a node must have")
    setup: str | None = key(
        None, "slurm: shell that runs before a pack, as 'module load x'", text=True
    )
    cluster: str = one_of(
        "slurm", "slurm", "local (the same engine, with processes of this machine)", lead="slurm: "
    )
    address: str = key("auto", "ray: of its head, auto (the cluster this machine is of) or local")


@dataclass
class SweepConfig(TrainConfig):
    """loraexp train"""

    many: ClassVar[bool] = True  # a verb with these keys takes several values and -m

    tune: Tune | None = key(
        None, "each arm first finds its learning rate on validation texts; only that one trains"
    )
    seeds: Seeds | None = key(
        None, "auto: more seeds, seed, seed + 1, ..., until every two arms are told apart"
    )
    search: Search = key(Search(), "")
    pack: Pack = key(Pack(), "")
    workers: str = workers_key("auto")
    launcher: Launcher = key(Launcher(), "")

    def run(self) -> TrainConfig:
        """What is a run's of it."""
        return TrainConfig(**{f.name: getattr(self, f.name) for f in fields(TrainConfig)})
