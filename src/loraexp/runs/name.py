"""The name of a run: readable parts first, then a hash of all that decides its result."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from loraexp.adapters.methods import find_method
from loraexp.config.schema import TrainConfig
from loraexp.config.stored import later


def run_name(config: TrainConfig) -> str:
    rank = f"-r{config.lora.rank}" if find_method(config.method).has_rank else ""
    parts = f"{config.data.name}-{config.model.name}-{config.method}{rank}-seed{config.seed}"
    prefix = f"{config.name}-" if config.name else ""
    return f"{prefix}{parts}-{config_hash(config)}"


def distinct_names(folders: Sequence[Path]) -> list[str]:
    """A name for each of several runs: the folder's own, led by as many of its parents as tell it
    from another run of that name. The same folder twice has the same name twice."""
    parts = [folder.resolve().parts for folder in folders]

    def name(own: tuple[str, ...]) -> str:
        lengths = range(1, len(own) + 1)
        others = [other for other in parts if other != own]
        length = next(n for n in lengths if all(other[-n:] != own[-n:] for other in others))
        return "/".join(own[-length:])

    return [name(own) for own in parts]


def config_hash(config: TrainConfig) -> str:
    """Eight hex digits over every key but those that only say where results go, and those of
    `lora` that mean nothing to the method: a sweep over ranks trains method=head once."""
    content, method = asdict(config), find_method(config.method)
    unused = () if method.has_rank else ("lora", "adalora")
    for key in ("output_dir", "rerun", "logger", "name", *unused):
        del content[key]
    if method.branch and not method.has_rank:
        content["lora"] = {"target_modules": config.lora.target_modules}
    # Keys that came later are silent at their default: earlier runs keep their names.
    for name, default in later().items():
        group, _, key = name.rpartition(".")
        inside = content.get(group, {}) if group else content
        if key in inside and inside[key] == default:
            del inside[key]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
