"""A choice: plan within a budget which arms to try, run them as a tuned sweep, and decide."""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from hydra import initialize_config_dir

from loraexp.config.choice import ARM, ChooseConfig
from loraexp.config.compose import composed, conf_dir, register
from loraexp.config.schema import Logger, TrainConfig
from loraexp.config.stored import from_dict, plain
from loraexp.config.sweep import Tune
from loraexp.data.splits import load_data
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.results.arm_keys import varied
from loraexp.results.arms import arms
from loraexp.results.decision import decide
from loraexp.runtime.atomic import read_text, write_whole
from loraexp.sweeps.adaptive.probing import seconds_a_run
from loraexp.sweeps.executor import run_sweep
from loraexp.sweeps.grid import Protocol
from loraexp.sweeps.plan import TRAIN, Plan, sweep_folder, typed
from loraexp.sweeps.shown.as_typed import as_typed
from loraexp.sweeps.shown.counting_words import in_a_sentence
from loraexp.sweeps.sweep_folder import Sweep, duration

log = logging.getLogger("loraexp")

QV, ALL = "lora.target_modules=[q_proj,v_proj]", "lora.target_modules=[all-linear]"
# What is tried, the first ones first: far apart, so that a small budget sees the whole range from
# the head alone to every weight; then what lies between.
PORTFOLIO: Sequence[tuple[str, ...]] = (
    ("method=lora", "lora.rank=8"),
    ("method=head",),
    ("method=lora", "lora.rank=1", QV),
    ("method=full",),
    ("method=lora", "lora.rank=16", ALL),
    ("method=bitfit",),
    ("method=ia3",),
    ("method=dora", "lora.rank=8"),
    ("method=lora", "lora.rank=4", QV),
    ("method=rslora", "lora.rank=32", ALL),
    ("method=last_block",),
    ("method=pissa", "lora.rank=8"),
)
LEAST_SEEDS, MOST_SEEDS, MOST_RATES = 3, 8, 7


@dataclass(frozen=True)
class Budget:
    """How a number of runs is spent: each arm tries up to `rates` learning rates with one seed,
    and its best trains with `seeds` seeds.

    Raises:
        UserError: fewer runs than two arms need.
    """

    arms: int
    rates: int
    seeds: int

    @classmethod
    def of(cls, runs: int) -> "Budget":
        if runs < 2 * ARM:
            raise UserError(f"two arms need {2 * ARM} runs, got a budget of {runs}")
        count = min(len(PORTFOLIO), max(2, runs // (ARM + 2)))
        each = runs // count
        rates = min(MOST_RATES, each - LEAST_SEEDS)
        return cls(count, rates, min(MOST_SEEDS, each - rates))

    def rounds(self, workers: int, rates: int) -> int:
        """How often a run's time passes where so many run at once and each arm tries so many rates:
        an arm's first rates are known beforehand, each further one when those before are there."""
        edges = [1] * (rates - LEAST_SEEDS)
        waves = (LEAST_SEEDS, *edges, self.seeds)
        return sum(math.ceil(self.arms * wave / workers) for wave in waves)

    @property
    def widest(self) -> int:
        return self.arms * max(LEAST_SEEDS, self.seeds)

    @property
    def least(self) -> int:
        return self.arms * (LEAST_SEEDS + self.seeds)

    @property
    def most(self) -> int:
        return self.arms * (self.rates + self.seeds)


@dataclass(frozen=True)
class Chosen:
    """The answer.

    Args:
        lines: for a terminal.
        all_ran: no run failed.
    """

    lines: Sequence[str]
    all_ran: bool


def choose(config: ChooseConfig, workers: int) -> Chosen:
    """Try arms within the budget, and say which is the cheapest that is not told from the best.

    Args:
        workers: processes that do the runs.

    Raises:
        UserError: a budget of less than two arms, data or a base that does not work.
    """
    runs, seconds = afforded(config, workers)
    budget = Budget.of(runs)
    tried, left = PORTFOLIO[: budget.arms], PORTFOLIO[budget.arms :]
    for line in told(budget, tried, seconds, workers):
        log.info(line)
    jobs = [
        replace(arm, seed=config.seed + at)
        for arm in (arm_config(config, words) for words in tried)
        for at in range(budget.seeds)
    ]
    rule = Tune(most=budget.rates)
    planned = Plan(
        jobs,
        sweep_folder(config.output_dir),
        [],
        protocol=Protocol(tune=rule, factors=rule.factors, workers=workers, width=None),
    )
    all_ran = run_sweep(planned)
    sweep = Sweep(planned.sweep)  # type: ignore[arg-type]
    records = [outcome for outcome in sweep.outcomes() if isinstance(outcome, Record)]
    if not records:
        raise UserError("choose: every run failed; the same command tries them again")
    by = varied(records)
    decision = decide(arms(records, by, sweep.trials()), by)
    best = from_dict(TrainConfig, decision.arm.chosen.records[0].config)
    lines = [
        *decision.lines,
        in_a_sentence(load_data(config.data)),
        f"Not tried: {in_words(left)}; another length of training, batch size or base.",
        "Train it on all your texts (its scores then measure nothing, for it has seen them):",
        f"  {as_typed(on_everything(best))}",
    ]
    return Chosen(lines, all_ran)


def afforded(config: ChooseConfig, workers: int) -> tuple[int, float]:
    """How many runs, and the seconds that each takes here. It is asked once: what was planned for a
    number of minutes stays planned, however fast the machine is when the command is typed again."""
    content = plain(config)
    del content["output_dir"]
    if config.workers == ChooseConfig.workers:  # choices of before know of no other
        del content["workers"]
    name = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    file = Path(config.output_dir) / "choices" / f"{name}.json"
    if not file.is_file():
        if config.runs:  # more are never at work
            workers = min(workers, Budget.of(config.runs).widest)
        seconds = seconds_a_run(arm_config(config, PORTFOLIO[0]), workers)
        runs = config.runs or within(math.floor(60 * (config.minutes or 0) / seconds), workers)
        Budget.of(runs)  # raises
        write_whole(file, json.dumps({"runs": runs, "seconds": seconds}) + "\n")
    try:
        planned = json.loads(read_text(file.parent, file.name))
        return int(planned["runs"]), float(planned["seconds"])
    except (ValueError, TypeError, KeyError, OSError, RecursionError) as error:
        raise UserError(
            f"{file} is damaged: {error}; without it the choice is planned anew"
        ) from None


def within(rounds: int, workers: int) -> int:
    """The most runs that so many workers do while one does `rounds` of them."""
    for runs in range(rounds * workers, 2 * ARM - 1, -1):
        budget = Budget.of(runs)
        if budget.rounds(workers, budget.rates) <= rounds:
            return runs
    return rounds


def told(budget: Budget, tried: Sequence[Sequence[str]], seconds: float, workers: int) -> list[str]:
    """What it will do and cost, said before it begins."""
    runs = between(str(budget.least), str(budget.most))
    rounds = (budget.rounds(workers, rates) for rates in (LEAST_SEEDS, budget.rates))
    cost = between(*(duration(n * seconds) for n in rounds))
    at_once = f", {workers} at a time" if workers > 1 else ""
    return [
        f"plan: {budget.arms} arms ({in_words(tried)})",
        f"plan: each tries {between('3', str(budget.rates))} learning rates on validation texts, "
        f"then its best trains with {budget.seeds} seeds: {runs} runs",
        f"plan: about {seconds:.0f} s a run here{at_once}, {cost}; "
        "runs that are there cost nothing",
    ]


def between(least: str, most: str) -> str:
    return least if least == most else f"{least} to {most}"


def in_words(portfolio: Sequence[Sequence[str]]) -> str:
    short = (" ".join(words).replace("lora.", "").replace("method=", "") for words in portfolio)
    return "; ".join(short) or "nothing that it knows"


def arm_config(config: ChooseConfig, words: Sequence[str]) -> TrainConfig:
    """An arm's config on the texts and the base that were asked for."""
    register(TRAIN)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        arm: TrainConfig = typed(TRAIN, composed(TRAIN.name, [*words]), words)
    same = ("name", "output_dir", "model", "data", "head", "trainer", "logger")
    return replace(arm, **{key: getattr(config, key) for key in same})


def on_everything(config: TrainConfig) -> TrainConfig:
    data = replace(config.data, split="all", limit=None)
    return replace(config, data=data, logger=Logger())
