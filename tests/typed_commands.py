"""Whether a command that a page shows could be run: its program, verb, keys and values."""

import re
import shlex

from hydra import initialize_config_dir
from pages import ROOT
from verbs import SUMMARIES, plan

from loraexp.commands import find_verb
from loraexp.config.compose import conf_dir, register
from loraexp.config.overrides import read, values

# Beside make and loraexp; a typo in the name of a program is none of these.
PROGRAMS = ("cat", "curl", "echo", "git", "pip", ".venv/bin/pip", "python3", "vllm")
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
# Of an experiment's many jobs one: tests/config/test_conf.py looks at all.
ONE = ("seed=0", "tune=null", "optim.lr_factor=1")
EXPERIMENTS = {
    "experiment=rank_sweep": "lora.rank=1",
    "experiment=method_comparison": "method=head",
    "experiment=data_curve": "data.per_class=4",
    "experiment=targets": "lora.target_modules=c_attn",
}


def words_of(command: str) -> list[list[str]]:
    """Of each program in it, without variables set before and the file its log goes to."""
    command = re.sub(r" 2?>>? \S+$", "", command)
    parts = [shlex.split(part) for part in command.split(" | ")]
    return [[w for i, w in enumerate(p) if i or not re.match(r"[A-Z_]+=", w)] for p in parts]


def check_typed(words: list[str]) -> None:
    """Of one program.

    Raises:
        UserError, AssertionError: a verb, key, option, value, target or program that is none.
    """
    if words[:3] == ["python", "-m", "loraexp"]:
        verb, *typed = words[3:]
        assert verb in SUMMARIES, f"no verb {verb}"
        if "--help" not in typed:
            for row in rows_of(verb, typed):
                plan(verb, row)
    elif words[0] == "make":
        assert {word for word in words[1:] if "=" not in word} <= TARGETS, "no such target"
    else:
        assert words[0] in PROGRAMS, f"what is {words[0]}?"


def rows_of(verb: str, typed: list[str]) -> list[list[str]]:
    """Single runs that use each value of a sweep once, not each combination."""
    # Launchers are not installed here, and a single run has no workers and no pack.
    typed = [one for one in typed if not one.startswith(("hydra/launcher=", "workers=", "pack."))]
    for experiment in {*typed} & EXPERIMENTS.keys():
        return [[*typed, *ONE, EXPERIMENTS[experiment]]]
    register(find_verb(verb))
    typed = find_verb(verb).spelled_out(typed)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        found = [read(find_verb(verb), one) for one in typed if not one.startswith("-")]
        drawn = {one.key_or_group for one in found if one.is_interval_sweep()}
        swept = {
            one.key_or_group: values(one)
            for one in found
            if one.is_sweep_override() and one.key_or_group not in drawn
        }
    fixed = [one for one in typed if one != "-m" and one.partition("=")[0] not in swept]
    if drawn:  # a search, of which plan looks at the ends of what it may draw
        return [[*fixed, *(f"{key}={own[0]}" for key, own in swept.items())]]
    rows = range(max(map(len, swept.values()), default=1))
    return [
        [*fixed, *(f"{key}={own[row % len(own)]}" for key, own in swept.items())] for row in rows
    ]
