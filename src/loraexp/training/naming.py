"""The folder of a run: readable parts first, then a hash of all that decides its result."""

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from loraexp.adapters.methods import find_method
from loraexp.config import TrainConfig


def run_folder(config: TrainConfig) -> Path:
    """outputs/train/<name>: two configs share one only if they must give the same result."""
    return Path(config.output_dir) / "train" / run_name(config)


def run_name(config: TrainConfig) -> str:
    rank = f"-r{config.lora.rank}" if find_method(config.method).branch else ""
    parts = f"{config.data.name}-{config.model.name}-{config.method}{rank}-seed{config.seed}"
    prefix = f"{config.name}-" if config.name else ""
    return f"{prefix}{parts}-{config_hash(config)}"


def config_hash(config: TrainConfig) -> str:
    """Eight hex digits over every key but those that only say where results go."""
    content = asdict(config)
    for key in ("output_dir", "logger", "name"):
        del content[key]
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
