"""loraexp params: count trainable parameters of models x methods x ranks, without weights."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import yaml

from loraexp.adapters.counts import count_shapes
from loraexp.adapters.methods import as_method, find_method
from loraexp.config.keys import key, one_of
from loraexp.config.schema import Model
from loraexp.config.sweep import SweepConfig
from loraexp.errors import unknown
from loraexp.model.huggingface import CONFIG, check_geometry
from loraexp.model.locate import in_folder
from loraexp.model.shapes import linear_shapes, shapes
from loraexp.results.tables import FORMATS, Column, Table, size

CLASSES = {"sms_demo": 2, "sms_spam": 2}  # known without reading them
COLUMNS = (
    Column("model", "model", words=True),
    Column("method", "method", words=True),
    Column("rank", "rank"),
    Column("trainable", "trainable"),
    Column("total", "total"),
    Column("percent", "%", lambda value: f"{value:.4f}"),
    Column("adapter_bytes", "adapter", size),
)


@dataclass
class ParamsConfig(SweepConfig):
    """loraexp params: the keys of train, of which those that change counts matter"""

    many: ClassVar[bool] = False

    models: list[str] = key([], "names of conf/model to count; `model` if empty")
    ranks: list[int] = key([], "ranks to count; lora.rank if empty", least=1)
    methods: list[str] = key([], "methods to count; `method` if empty")
    classes: int | None = key(None, "number of classes; that of the data if null", least=1)
    format: str = one_of("table", *FORMATS)


def run(config: ParamsConfig) -> None:
    print(FORMATS[config.format](params_table(config)))


def params_table(config: ParamsConfig) -> Table:
    """One row for each model, method and rank; methods without a rank have one row."""
    rows: list[list[str | int | float | None]] = []
    if not config.models and in_folder(config.model):
        check_geometry(Path(config.model.weights) / CONFIG, config.model)
    classes = classes_of(config)
    for model in [read_model(name) for name in config.models] or [config.model]:
        sizes, linears = shapes(model, config.head, classes), list(linear_shapes(model))
        for method in config.methods or [config.method]:
            chosen = replace(as_method(config, method) if config.methods else config, model=model)
            ranked = find_method(method).has_rank
            for rank in config.ranks or [config.lora.rank] if ranked else [None]:
                lora = chosen.lora if rank is None else replace(chosen.lora, rank=rank)
                n = count_shapes(sizes, linears, replace(chosen, lora=lora))
                cells = [n.trainable, n.total, n.percent, n.adapter_bytes]
                rows.append([model.name, method, rank, *cells])
    return Table(COLUMNS, rows)


def classes_of(config: ParamsConfig) -> int:
    """As many as are typed, else as the data has; what is not in CLASSES is read for that.

    Raises:
        UserError: a file that cannot be read.
    """
    if config.classes is not None:
        return config.classes
    if config.data.name in CLASSES:
        return CLASSES[config.data.name]
    from loraexp.data.sources import find_source  # pandas: only where a file is read

    return len(find_source(config.data).labels)


def read_model(name: str) -> Model:
    """The geometry in conf/model/<name>.yaml."""
    from loraexp.config.compose import conf_dir

    files = {file.stem: file for file in (conf_dir() / "model").glob("*.yaml")}
    if name not in files:
        raise unknown("model", name, files)
    return Model(**yaml.safe_load(files[name].read_text(encoding="utf-8")))
