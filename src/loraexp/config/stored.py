"""A config as records, cards and files hold it, and back: what a later version adds breaks none."""

import os
from collections.abc import Mapping
from dataclasses import Field, asdict, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

import yaml

from loraexp.config.keys import default_of, group_in, keys, walk
from loraexp.config.schema import TrainConfig

C = TypeVar("C")

# The keys of the first records. Whatever came later is silent at its default: in a run's name, and
# in what is read of a record that does not have it.
FIRST = {
    f"{group}{name}"
    for group, names in {
        "": "seed name output_dir method",
        "model.": (
            "name weights tokenizer repo revision sha256 n_layer n_head d_model context "
            "vocab_size dropout causal init_seed"
        ),
        "data.": (
            "name path text_column label_column split split_seed dedupe limit batch_size "
            "max_length pad_to"
        ),
        "lora.": (
            "rank alpha dropout target_modules scaling init lr_ratio rank_pattern alpha_pattern"
        ),
        "last_block.": "n",
        "adalora.": "budget warmup final interval beta1 beta2 orthogonality",
        "head.": "pooling bias",
        "optim.": "lr lr_factor weight_decay schedule warmup grad_clip",
        "trainer.": (
            "max_epochs precision accelerator devices gradient_checkpointing accumulate "
            "patience keep limit_batches"
        ),
        "logger.": "name project entity group",
    }.items()
    for name in names.split()
}
# What runs of before meant by the lack of a key, where that is not its default of today.
BEFORE: dict[str, Any] = {
    "data.quoting": "double",
    "data.strip": False,
    "data.limit_by": "first",
    "trainer.train_metrics": "capped",
}


# What decides whether a run is made and what is shown beside it, not which run it is.
NO_RUNS = ("rerun", "baselines")


@cache  # a table asks of each record
def late_fields() -> list[tuple[str, str, Field[Any]]]:
    """The keys that came later: each one's group, its name there, and its field."""
    late = [(name.rpartition("."), field) for name, field in keys(TrainConfig) if name not in FIRST]
    return [(group, last, field) for (group, _, last), field in late]


def plain(config: Any) -> dict[str, Any]:
    """A config as records, cards and files hold it, for `from_dict`: paths lead from ~, so that
    nobody's home folder is in what is passed on."""
    content = asdict(config)
    for name in NO_RUNS:
        content.pop(name, None)
    for name, value, rule in walk(config):
        if rule["path"]:
            group, _, last = name.rpartition(".")
            (content[group] if group else content)[last] = from_home(value)
    return content


def completed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a TrainConfig with the keys that it is too old to have."""
    result = {**content}
    for group, last, field in late_fields():
        inside = result.get(group, {}) if group else result
        if isinstance(inside, dict) and last not in inside:
            name = f"{group}.{last}" if group else last
            value = {last: BEFORE[name] if name in BEFORE else default_of(field)}
            result |= {group: value | inside} if group else value
    return result


def from_home(path: Any) -> Any:
    """~/x of an absolute path in the user's home folder, or of each in a list; else as it is."""
    if isinstance(path, list):
        return [*map(from_home, path)]
    home = os.path.expanduser("~").rstrip("/")
    if not isinstance(path, str):
        return path
    below = path.removeprefix(f"{home}/")
    return path if not home or home == "~" or below == path else f"~/{below}"


def expanded(config: Any) -> None:
    """Put the home folder in place of the ~ that begins a path."""
    for f in fields(config):
        value = getattr(config, f.name)
        if is_dataclass(value):
            expanded(value)
        elif f.metadata["path"]:
            setattr(config, f.name, to_home(value))


def to_home(path: Any) -> Any:
    """The inverse of `from_home`."""
    if isinstance(path, list):
        return [*map(to_home, path)]
    return os.path.expanduser(path) if isinstance(path, str) else path


def from_dict(kind: type[C], content: Mapping[str, Any]) -> C:
    """The inverse of `plain`, and of dataclasses.asdict.

    Raises:
        TypeError: a missing or unknown key.
    """
    known = {f.name: f for f in fields(cast(Any, kind))}
    if kind is TrainConfig:
        content = completed(content)
    if content.keys() != known.keys():
        raise TypeError(f"{kind.__name__}: keys differ: {sorted(content.keys() ^ known.keys())}")
    values = {}
    for name, value in content.items():
        group = group_in(known[name].type)
        values[name] = value if group is None or value is None else from_dict(group, value)
    result = kind(**values)
    expanded(result)
    return result


def to_yaml(config: Any) -> str:
    """Every key and its value as YAML; a text with ${ in it is a text."""
    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True)
