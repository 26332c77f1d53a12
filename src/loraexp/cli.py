"""The command line: a verb and Hydra overrides in, one command run, one clear line on a mistake."""

import os
import sys
from shutil import get_terminal_size
from textwrap import fill

from loraexp.commands import find_verb, module_of, summaries
from loraexp.errors import unknown
from loraexp.runtime.endings import begin_log, outcome
from loraexp.runtime.process import open_streams

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
    begin_log()
    dispatch(sys.argv[1:])


def dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return
    if arguments[0] == "--version":
        print(versions())
        return
    name, *rest = arguments
    if name not in summaries():
        raise unknown("verb", name, summaries())
    verb = find_verb(name)
    if "-h" in rest or "--help" in rest:
        from loraexp.config.help import verb_help

        print(verb_help(verb, summaries()[name]))
        return
    from loraexp.sweeps.plan import plan

    planned, command = plan(verb, rest), module_of(name)
    if planned.shows or (planned.by_hydra and planned.sweep is None):
        from loraexp.sweeps.executor import hydras

        hydras(planned, single=command.run)
    elif planned.sweep is None:
        command.run(planned.jobs[0])
    elif not command.run_sweep(planned):
        sys.exit(1)


def versions() -> str:
    """Without an import of torch."""
    import platform
    from importlib import metadata  # tempfile, which --help would wait for

    return ", ".join(
        [
            *(f"{name} {metadata.version(name)}" for name in ("loraexp", "torch")),
            f"Python {platform.python_version()}",
        ]
    )


def overview() -> str:
    """The verbs and what each does, as wide as the terminal: 80 to 100 columns."""
    columns = min(100, max(80, get_terminal_size((100, 0)).columns))
    verbs = [
        fill(summary, columns, initial_indent=f"  {verb:<15}", subsequent_indent=" " * 17)
        for verb, summary in summaries().items()
    ]
    return "\n".join(
        [
            "LoRA experiments on GPT-2 text classifiers",
            "",
            "usage: python -m loraexp VERB [key=value ...] [-m]",
            "",
            *verbs,
            "",
            "python -m loraexp VERB --help lists the keys of a verb.",
            f"A first sweep: {EXAMPLE}",
        ]
    )
