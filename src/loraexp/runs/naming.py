"""What a run's folder is called: readable parts, and a hash of all that decides the result."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from loraexp.adapters.methods import find_method
from loraexp.config.keys import default_of
from loraexp.config.own_data import READER, is_own
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import NO_RUNS, late_fields

HASHES: dict[bytes, str] = {}  # of configs as they are: a sweep asks for each many times


def run_name(config: TrainConfig) -> str:
    """Readable parts first, then a hash of all that decides the result."""
    rank = f"-r{config.lora.rank}" if find_method(config.method).has_rank else ""
    parts = f"{config.data.name}-{config.model.name}-{config.method}{rank}-seed{config.seed}"
    prefix = f"{config.name}-" if config.name else ""
    return f"{prefix}{parts}-{config_hash(config)}"


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """A name for each of several runs: the folder's own, led by as many of its parents as tell it
    from another run of that name. The same folder twice has the same name twice."""
    parts = [folder.resolve().parts for folder in folders]
    ends = [[own[at:] for at in range(len(own) - 1, -1, -1)] for own in {*parts}]
    having = Counter(end for own in ends for end in own)
    short = {own[-1]: next(end for end in own if having[end] == 1) for own in ends}
    return ["/".join(short[own]) for own in parts]


def config_hash(config: TrainConfig) -> str:
    """Eight hex digits over every key but those that only say where results go or how much of what
    was trained is measured, and those of `lora` that mean nothing to the method: a sweep over
    ranks trains method=head once."""
    whole = sha256(repr(config).encode("utf-8", "surrogatepass")).digest()
    if whole not in HASHES:
        HASHES[whole] = hash_of_content(config)
    return HASHES[whole]


def hash_of_content(config: TrainConfig) -> str:
    content, method = asdict(config), find_method(config.method)
    unused = () if method.has_rank else ("lora", "adalora")
    for key in ("output_dir", "logger", "name", *NO_RUNS, *unused):
        del content[key]
    del content["trainer"]["train_metrics"]
    if is_own(config.data):  # what a file is called changes nothing in it
        content["data"]["name"] = READER
    if method.branch and not method.has_rank:
        content["lora"] = {"target_modules": config.lora.target_modules}
    # Keys that came later are silent at their default: earlier runs keep their names.
    for group, key, field in late_fields():
        inside = content.get(group, {}) if group else content
        if key in inside and inside[key] == default_of(field):
            del inside[key]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
