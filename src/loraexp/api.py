"""For notebooks and programs: the command line's keys as a config object, its verbs as functions,
and a base to apply a method to."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import filterwarnings

from loraexp.config.quoting import as_typed
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.records.record import Record
from loraexp.results.comparison import Findings, findings
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.notebook import in_notebook
from loraexp.sweeps.plan import TRAIN, plan
from loraexp.sweeps.shown.collect import collect
from loraexp.sweeps.shown.summary import Summary
from loraexp.sweeps.sweep_folder import Sweep

if TYPE_CHECKING:
    import pandas as pd

    from loraexp.inference.predictor import Predictor


def configure(*overrides: str, **keys: Any) -> TrainConfig:
    """The config of one run from what would be typed after `train`: configure("lora.rank=8").

    Args:
        keys: the same as values of Python, with __ for the dot: configure(lora__rank=8).

    Raises:
        UserError: an unknown key, option or value.
    """
    jobs: list[TrainConfig] = plan(TRAIN, [*overrides, *as_typed(keys)]).jobs
    if len(jobs) > 1:
        raise UserError(f"a config is of one run, and these overrides make {len(jobs)}")
    return jobs[0]


def load_base(config: TrainConfig, labels: Sequence[str]) -> GPT2Classifier:
    """The base that `config.model` names, in float32, with a fresh head for `labels`."""
    return load_classifier(config.model, config.head, len(labels), config.seed)


def run_folder(config: TrainConfig) -> Path:
    """Where `train` leaves the run of this config."""
    return RunFolder.of(config).path


def train(config: TrainConfig, patient: bool = False) -> Record:
    """Train one run and leave its folder, with a bar where somebody looks; a finished run is read.

    Args:
        patient: wait for another process that trains the same run, and take its result.

    Raises:
        UserError: data, weights or settings that do not work.
    """
    if in_notebook():  # Lightning's tqdm wants ipywidgets, our bar does not
        filterwarnings("ignore", "IProgress not found")
    from loraexp.training import run  # lightning takes two seconds
    from loraexp.training.callbacks.progress import bar

    with bar() as progress:
        return run.train(config, progress=progress, patient=patient)


def sweep(*overrides: str, **keys: Any) -> Summary:
    """Train one run for every combination of values, as `train ... -m` does; its tables and figures
    are in the sweep's folder too: sweep("lora.rank=4,8", seed=[0, 1, 2]).

    Args:
        keys: as of configure; a list has the values to try.

    Raises:
        UserError: as configure, or what only the command line does: a search, a sweep in the
            background, Hydra's launchers.
    """
    from loraexp.sweeps.driving import driven
    from loraexp.sweeps.executor import drive, ready

    planned = plan(TRAIN, [*overrides, *as_typed(keys, several=True), "-m"])
    protocol = planned.protocol
    for what, asked in (
        ("search.trials", protocol.search is not None),
        ("launcher.wait=false", not protocol.launcher.wait),
        ("hydra/launcher", planned.by_hydra),
    ):
        if asked:
            raise UserError(f"{what} is for the command line: python -m loraexp train ... -m")
    assert planned.sweep is not None
    done = Sweep(planned.sweep)
    with driven(done.folder):
        drive(ready(planned), done)
        summary = Summary.of_sweep(done, planned.baselines)
        summary.write(done.folder)
        summary.draw(done.folder)
    return summary


def table(
    *runs: str | Path,
    by: Sequence[str] = ("method", "lora.rank"),
    where: Sequence[str] = (),
    baseline: str | None = None,
    sort: str = "name",
) -> Findings:
    """Compare finished runs, as the verb `table` does.

    Args:
        runs: folders to look for runs in; none: outputs/train. The rest: the keys of that verb.

    Raises:
        UserError: no such folder, no finished run, a key that no run has.
    """
    found = collect([*map(str, runs)] or ["outputs/train"], where)
    return findings(found.records, by, baseline, sort, found.beside)


def fit(
    frame: "pd.DataFrame", *overrides: str, text: str = "text", label: str = "label", **keys: Any
) -> "Fit":
    """Train on a DataFrame. Its two columns are kept as a file below the output folder, so what is
    left is a run like any other: fit(frame, text="message", label="kind", lora__rank=8).

    Args:
        text, label: its columns.
        overrides, keys: as of configure.

    Raises:
        UserError: as configure and train, or a frame that lacks a column or has no texts.
    """
    from loraexp.data.frames import kept

    outputs = configure(*overrides, **keys).output_dir
    file = kept(frame, text, label, Path(outputs))
    own = {"data__path": str(file), "data__text_column": text, "data__label_column": label}
    config = configure("data=csv", *overrides, **{**keys, **own})
    return Fit(train(config, patient=True), run_folder(config))


class Fit:
    """A finished run and what it can do.

    Args:
        record: its metrics, counts and all else that it says of itself.
        folder: where it lies.
    """

    def __init__(self, record: Record, folder: Path) -> None:
        self.record, self.folder = record, folder

    @cached_property
    def predictor(self) -> "Predictor":
        from loraexp.inference.predictor import Predictor

        return Predictor(self.folder)

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The likeliest label of each text."""
        return [label for _, label, _ in self.predictor.stream([[*texts]])]

    def predict_proba(self, texts: Sequence[str]) -> "pd.DataFrame":
        """(N, C): a row a text, a column a label."""
        import pandas as pd

        found = self.predictor.probabilities([*texts])
        return pd.DataFrame(found.numpy(), columns=[*self.predictor.labels])

    def __repr__(self) -> str:
        return f"Fit({str(self.folder)!r})"

    def _repr_html_(self) -> str:
        return self.record._repr_html_()
