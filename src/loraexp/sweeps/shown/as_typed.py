"""A config as the command that makes it."""

import shlex
from dataclasses import replace

from loraexp.config.help import show
from loraexp.config.keys import walk
from loraexp.config.overrides import groups_of
from loraexp.config.own_data import READER, is_own
from loraexp.config.own_data import named as called
from loraexp.config.quoting import escaped_keys, pasted
from loraexp.config.schema import TrainConfig
from loraexp.sweeps.plan import TRAIN, plan

GROUPS = ("model", "data", "method")
SILENT = ("model.name", "data.name", "method")  # said by the groups


def as_typed(config: TrainConfig) -> str:
    """python -m loraexp train ..., to be pasted into a shell: the groups' options, then each key
    that has another value than with these."""
    data = READER if is_own(config.data) else config.data.name
    named = {"model": config.model.name, "data": data, "method": config.method}
    known = groups_of(TRAIN)
    options = [f"{group}={named[group]}" for group in GROUPS if named[group] in known[group]]
    plain = {key: value for key, value, _ in walk(plan(TRAIN, options).jobs[0])}
    words = [*options]
    for key, value, rule in walk(config):
        if value != plain[key] and key not in SILENT:
            text = isinstance(value, str)
            word = pasted(key, spelt(value), rule["text"]) if text else f"{key}={spelt(value)}"
            words.append(word if text else shlex.quote(word))
    if is_own(config.data) and config.data != called(replace(config.data, name=READER)):
        words.append(pasted("data.name", config.data.name, text=False))
    return " ".join(["python -m loraexp train", *words])


def spelt(value: object) -> str:
    if isinstance(value, dict):
        return escaped_keys(f"{{{','.join(f'{name}:{one}' for name, one in value.items())}}}")
    return show(value)
