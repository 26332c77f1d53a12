"""A search: Optuna says what to try next and is told the validation loss (ask and tell); what is
tried is an ordinary job. Several workers have a setting each, and the next ones are drawn when all
of these are told: what is drawn depends on how many there are, not on who is first.

The study is a journal in the sweep's folder, which is named by what is searched: the same command
finds it again after a kill, goes on in it with more trials, and shares it with others that run at
the same time.
"""

import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import initialize_config_dir

from loraexp.config.compose import composed, conf_dir
from loraexp.config.overrides import line
from loraexp.config.schema import TrainConfig
from loraexp.config.sweep import Search
from loraexp.errors import UserError
from loraexp.records.record import Trial, by_loss
from loraexp.runs.naming import config_hash
from loraexp.sweeps.adaptive.space import distributions, typed_as
from loraexp.sweeps.jobs import Job, launch, outcome_of
from loraexp.sweeps.launchers.crew import Doing
from loraexp.sweeps.live.board import Known
from loraexp.sweeps.live.watch import Watch
from loraexp.sweeps.plan import TRAIN, Plan, typed
from loraexp.sweeps.sweep_folder import Sweep
from loraexp.training.callbacks.pruning import Pruned, Pruning

if TYPE_CHECKING:
    import optuna

log = logging.getLogger("loraexp")
JOURNAL = "study.journal"


def search(planned: Plan, watch: Watch, doing: Doing) -> Sweep:
    """Try as many settings as are asked for, those of before counted; returns the sweep.

    Raises:
        UserError: Optuna is not installed, or cannot draw from the space.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("search.trials needs: pip install 'optuna>=4.9'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sweep = Sweep(folder_of(planned))
    sweep.plan([])
    rule = rule_of(planned)
    watch.tell(Known(trial=True, costs=[""] * ((rule.trials or 0) * rule.seeds)))
    searching = Searching(planned, sweep, study_in(sweep.folder, rule), watch, doing)
    searching.go_on()
    searching.draw()
    return sweep


def rule_of(planned: Plan) -> Search:
    assert planned.protocol.search is not None
    return planned.protocol.search


def folder_of(planned: Plan) -> Path:
    """By what is searched; how many trials are asked for makes no other search of it."""
    assert planned.sweep is not None
    rule = {key: value for key, value in asdict(rule_of(planned)).items() if key != "trials"}
    space = sorted(map(line, planned.protocol.space))
    content = json.dumps([config_hash(planned.jobs[0]), rule, space])
    return planned.sweep.parents[1] / "searches" / sha256(content.encode()).hexdigest()[:8]


def study_in(folder: Path, rule: Search) -> "optuna.Study":
    """The study of a search, begun or gone on with.

    Wilcoxon's pruner compares a setting with the best seed by seed; it asks for two at least.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = {
            "none": optuna.pruners.NopPruner,
            "median": optuna.pruners.MedianPruner,
            "wilcoxon": optuna.pruners.WilcoxonPruner,
        }[rule.pruner]()
    file = str(folder / JOURNAL)
    storage = JournalStorage(JournalFileBackend(file, JournalFileOpenLock(file)))
    return optuna.create_study(
        storage=storage, study_name="search", load_if_exists=True, pruner=pruner
    )


@dataclass(frozen=True)
class Searching:
    planned: Plan
    sweep: Sweep
    study: "optuna.Study"
    watch: Watch
    doing: Doing

    @property
    def rule(self) -> Search:
        return rule_of(self.planned)

    @property
    def workers(self) -> int:
        return self.planned.protocol.workers or 1

    def go_on(self) -> None:
        """Do again what a killed process was doing, and show what is finished already."""
        from optuna.trial import TrialState

        known = self.study.get_trials(deepcopy=False)
        cut_short = any(one.state == TrialState.RUNNING for one in known)
        beside = self.asked() if cut_short and len(known) % self.workers else []
        self.measure([*(one for one in known if one.state != TrialState.PRUNED), *beside])

    def draw(self) -> None:
        """Ask for settings until there are enough of them."""
        from optuna.trial import TrialState

        while wave := self.asked():
            self.measure(wave)
        pruned = len(self.study.get_trials(deepcopy=False, states=(TrialState.PRUNED,)))
        if pruned:
            log.info(f"{pruned} of {self.rule.trials} trials were ended early by search.pruner")

    def asked(self) -> "list[optuna.Trial]":
        """The next settings, one for each worker; fewer at the end, and where a kill has left some
        of those that are tried together."""
        space, wanted = distributions(self.planned.protocol.space), self.rule.trials or 0
        wave: list[optuna.Trial] = []
        while (begun := len(self.study.get_trials(deepcopy=False))) < wanted:
            self.study.sampler = self.sampler(begun)
            trial = self.study.ask(fixed_distributions=space)
            if trial.number >= wanted:  # others have asked at the same time
                self.tell(trial.number, None)
                continue
            wave.append(trial)
            if len(wave) == self.workers or (trial.number + 1) % self.workers == 0:
                break
        return wave

    def measure(self, trials: "Sequence[optuna.Trial | optuna.trial.FrozenTrial]") -> None:
        """Try settings, side by side if there are workers, and tell the study what came of them."""
        import optuna

        each = [(one, [*self.jobs(one.number, one.params)]) for one in trials]
        if self.workers > 1:
            self.doing([job for _, jobs in each for job in jobs])
        for one, jobs in each:
            live = one if isinstance(one, optuna.Trial) else None
            try:
                self.tell(one.number, self.loss(jobs, live))
            except Pruned:
                self.tell(one.number, None, optuna.trial.TrialState.PRUNED)

    def sampler(self, begun: int) -> "optuna.samplers.BaseSampler":
        """Seeded by how far the search is: one that was cut short draws as if it was not."""
        from optuna.samplers import TPESampler

        return TPESampler(seed=self.rule.seed + begun, constant_liar=True)

    def loss(self, jobs: Sequence[Job], live: "optuna.Trial | None") -> float | None:
        """The mean validation loss over the seeds; None where a run failed.

        Args:
            live: a trial that may be ended early; one that was resumed may not.

        Raises:
            Pruned: it was.
        """
        losses: list[float] = []
        for at, job in enumerate(jobs):
            outcome = (
                outcome_of(job)
                if self.workers > 1
                else launch(job, self.watch, self.pruning(live, at, job.config))
            )
            if not isinstance(outcome, Trial):
                return None
            losses.append(by_loss(outcome))
            last = at == self.rule.seeds - 1
            if (
                live
                and self.rule.pruner == "wilcoxon"
                and not last
                and behind(live, at, losses[-1])
            ):
                raise Pruned
        return math.fsum(losses) / len(losses)

    def pruning(self, live: "optuna.Trial | None", at: int, config: TrainConfig) -> Pruning | None:
        """What ends the run of seed `at` early, if anything does."""
        if live is None or self.rule.pruner != "median":
            return None
        return Pruning(
            lambda epoch, loss: behind(live, at * config.trainer.max_epochs + epoch, loss)
        )

    def jobs(self, number: int, drawn: dict[str, Any]) -> Iterator[Job]:
        overrides = [*self.planned.protocol.fixed, *typed_as(drawn)]
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            config = typed(TRAIN, composed(TRAIN.name, overrides), overrides)
        for at in range(self.rule.seeds):
            run = replace(config, seed=config.seed + at)
            yield Job(self.sweep, number * self.rule.seeds + at, run, trial=True)

    def tell(
        self, number: int, loss: float | None, ended: "optuna.trial.TrialState | None" = None
    ) -> None:
        from optuna.trial import TrialState

        failed = loss is None or not math.isfinite(loss)
        state = ended or (TrialState.FAIL if failed else TrialState.COMPLETE)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # another process has told it before
            self.study.tell(number, None if failed else loss, state, skip_if_finished=True)


def behind(trial: "optuna.Trial", step: int, loss: float) -> bool:
    """Is a trial to be ended, after what it reports here?"""
    trial.report(loss, step)
    return trial.should_prune()
