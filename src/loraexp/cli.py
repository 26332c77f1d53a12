"""The command line: a verb and Hydra overrides in, one command run, one clear line on a mistake."""

import importlib
import keyword
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loraexp.endings import Ended, begin_log, outcome
from loraexp.errors import UserError, unknown
from loraexp.runtime.process import open_streams, settle

# verb -> what `--help` says of it; code in loraexp/commands/<verb>.py, config in conf/<verb>.yaml
VERBS = {
    "train": "train an adapter, or with -m one for every combination of values",
    "eval": "measure a finished run again, on its own data or on other data",
    "predict": "label texts with a finished run",
    "verify": "compute again all that a finished run says of itself",
    "merge": "fold a run's adapter into its base: a checkpoint for transformers",
    "export": "write a run's adapter in PEFT's format",
    "import": "take an adapter that PEFT trained as a run's",
    "combine": "add, subtract, average adapters; cut the sum to a rank",
    "rank_curve": "cut a run's adapter to every lower rank: which is enough",
    "params": "count trainable parameters of models x methods x ranks, without weights",
    "table": "compare finished runs: intervals, tests, and reasons for doubt",
    "report": "one page of tables, plots and every run with its mistakes",
    "reproduce": "the source tutorial's published rows beside ours, with a verdict",
    "prepare": "write a data set's train.csv, validation.csv and test.csv",
    "pretrain": "train a small base of your own on plain text",
}
EXAMPLE = "python -m loraexp train lora.rank=4,8,16 -m"


def main() -> None:
    """Entry point of `python -m loraexp` and `loraexp`.

    Exits with 2 on a user's mistake, 1 on one of ours or if a job of a sweep failed, 128 + n after
    signal n (130 after Ctrl-C).
    """
    status = outcome(command_line)
    if status > 128:  # after a signal torch's process group may wait at Python's end for the others
        os._exit(status)
    sys.exit(status)


def command_line() -> None:
    open_streams()
    settle()
    begin_log()
    dispatch(sys.argv[1:])


def dispatch(arguments: list[str]) -> None:
    # Processes that Lightning starts for DDP come with the verb already turned into Hydra's flag.
    arguments = [a.removeprefix("--config-name=") for a in arguments]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    verb, *rest = arguments
    if verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    if "-h" in rest or "--help" in rest:
        from loraexp.commands.help import verb_help

        print(verb_help(verb, VERBS[verb]))
        return
    run_hydra(verb, rest)


def run_hydra(verb: str, arguments: list[str]) -> None:
    """Check all that was typed, then let Hydra compose each job and run the command on it."""
    from loraexp.sweeps.plan import plan

    planned = plan(verb, arguments)
    command: Callable[[Any, Path | None], Any]
    # commands/import_.py: a keyword is no name of a module
    module = f"{verb}_" if keyword.iskeyword(verb) else verb
    command = importlib.import_module(f"loraexp.commands.{module}").run

    if verb != "train" and not planned.shows:  # one job, composed and checked already
        command(planned.jobs[0], None)
        return
    import hydra
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import DictConfig

    from loraexp.config.compose import readable

    os.environ["HYDRA_FULL_ERROR"] = "1"  # what stops Hydra itself comes to `main` as well
    if planned.search:
        command = importlib.import_module("loraexp.commands.train").search
        # Its line a trial is ours in other words, and coloured.
        importlib.import_module("optuna.logging").set_verbosity(logging.WARNING)

    def task(config: DictConfig) -> Any:
        from loraexp.sweeps.plan import job_arguments, typed

        # A process that Lightning starts reads sys.argv: it must find this one job there.
        sys.argv[1:] = job_arguments(verb)
        given = HydraConfig.get().overrides.task
        return past_hydra(lambda: command(typed(config, given), planned.sweep))

    if planned.sweep is not None:
        from loraexp.commands.train import begin_sweep

        begin_sweep(planned.sweep, planned.jobs)
    sys.argv[1:] = planned.arguments
    try:
        hydra.main(version_base="1.3", config_path=str(planned.conf), config_name=verb)(task)()
    except Exception as error:
        if not any(argument.startswith("hydra") for argument in arguments):
            raise
        raise UserError(f"Hydra: {readable(error)}") from error  # of what was typed for it
    finally:
        if planned.sweep is not None:  # Hydra's own settings, with this machine's folders in them
            (planned.sweep / "multirun.yaml").unlink(missing_ok=True)
    if planned.sweep is not None:
        from loraexp.commands.train import show_search, show_sweep

        whole = show_search(planned.sweep) if planned.search else show_sweep(planned.sweep)
        if not whole:
            sys.exit(1)


def past_hydra(job: Callable[[], Any]) -> Any:
    """Do it, and let what goes wrong reach `main`, not Hydra's own words."""
    try:
        return job()
    except Exception as error:
        raise Ended(error) from error


def overview() -> str:
    verbs = "\n".join(f"  {verb:<12}{summary}" for verb, summary in VERBS.items())
    return (
        "LoRA experiments on GPT-2 text classifiers\n\n"
        "usage: python -m loraexp VERB [key=value ...] [-m]\n\n"
        f"{verbs}\n\n"
        "python -m loraexp VERB --help lists the keys of a verb.\n"
        f"A first sweep: {EXAMPLE}"
    )
