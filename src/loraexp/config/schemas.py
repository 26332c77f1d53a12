"""The keys of each verb but train, as config.py has them for train."""

from dataclasses import dataclass
from typing import Any

from loraexp.config.schema import FLOAT32, Data, Logger, Model, Optim, TrainConfig, key, seed_key


@dataclass
class EvalConfig:
    """loraexp eval"""

    run: str = key("???", "folder of a finished run", path=True)
    data: Data | None = key(None, "other data than the run's own, e.g. data=csv data.path=...")
    split: str = key(
        "test",
        "train | validation | test | all (every text of data=, none split off)",
        choices=("train", "validation", "test", "all"),
    )


@dataclass
class PredictConfig:
    """loraexp predict"""

    run: str | None = key(None, "folder of a finished run", path=True)
    runs: list[str] = key(
        [], "folders of several runs on one base: each labels every text", path=True
    )
    text: str | None = key(None, "one text")
    file: str | None = key(
        None, "CSV, TSV, JSONL, Parquet, or plain text with a text a line", path=True
    )
    out: str | None = key(None, "write here instead of to the terminal", path=True)
    text_column: str = key("text", "column of the text in `file`")
    quoting: str = key(
        "auto",
        'auto (" quotes a cell in CSV, is a character in TSV) | double | none',
        choices=("auto", "double", "none"),
    )
    delimiter: str = key("auto", "auto (, in CSV, tab in TSV) | tab | any one character")
    encoding: str = key("utf-8", "of `file` and stdin, e.g. utf-8, latin-1, cp1252, utf-16")
    header: bool = key(True, "the first row names the columns; false: columns are 1, 2, ...")
    guard: bool = key(
        True, "in CSV, an apostrophe before what a spreadsheet would run, or before an apostrophe"
    )
    format: str = key("auto", "auto | table | csv | json", choices=("auto", "table", "csv", "json"))
    batch_size: int = key(32, "texts a batch", least=1)


@dataclass
class VerifyConfig:
    """loraexp verify"""

    run: str = key("???", "folder of a finished run", path=True)


@dataclass
class MergeConfig:
    """loraexp merge"""

    run: str = key("???", "folder of a finished run", path=True)
    out: str = key("???", "new folder for the merged checkpoint, in Hugging Face format", path=True)
    dtype: str = key(
        "fp32", "fp32 | bf16: what the weights are stored in", choices=("fp32", "bf16")
    )
    tolerance: float = key(1e-3, "largest change of a validation text's logits", least=0)
    force: bool = key(False, "write the checkpoint also when the change is larger")


@dataclass
class ExportConfig:
    """loraexp export"""

    run: str = key("???", "folder of a finished run", path=True)
    out: str = key("???", "new folder for the adapter in PEFT's format", path=True)
    format: str = key("peft", "peft", choices=("peft",))


@dataclass
class CombineConfig:
    """loraexp combine"""

    runs: list[str] = key(
        [], "folders of finished runs on one base; the head is the first one's", path=True
    )
    weights: list[float] = key(
        [],
        "what each adapter's change is multiplied by; 1 each if empty",
        least=-FLOAT32,
        most=FLOAT32,
    )
    rank: int | None = key(None, "cut the sum to this rank; null keeps it exact", least=1)
    out: str = key("???", "new folder for the sum as a run", path=True)


@dataclass
class ImportConfig:
    """loraexp import"""

    peft: str = key(
        "???", "folder with adapter_config.json and adapter_model.safetensors", path=True
    )
    out: str = key("???", "new folder for it as a run", path=True)
    labels: list[str] = key(
        [], "names of the classes, in order; if empty those of our own export, else LABEL_0, ..."
    )
    model: Model = key(Model(), "")  # of our own export, if none is typed, its base


@dataclass
class RankCurveConfig:
    """loraexp rank_curve"""

    run: str = key("???", "folder of a finished run", path=True)
    format: str = key(
        "table",
        "table | csv | markdown | latex | json",
        choices=("table", "csv", "markdown", "latex", "json"),
    )


@dataclass
class ParamsConfig(TrainConfig):
    """loraexp params: the keys of train, of which those that change counts matter"""

    models: list[str] = key([], "names of conf/model to count; `model` if empty")
    ranks: list[int] = key([], "ranks to count; lora.rank if empty", least=1)
    methods: list[str] = key([], "methods to count; `method` if empty")
    classes: int | None = key(None, "number of classes; that of the data if null", least=1)
    format: str = key(
        "table",
        "table | csv | markdown | latex | json",
        choices=("table", "csv", "markdown", "latex", "json"),
    )


@dataclass
class TableConfig:
    """loraexp table"""

    runs: list[str] = key(["outputs/train"], "folders to look for finished runs in", path=True)
    by: list[str] = key(["method", "lora.rank"], "keys that make a row; other keys are tuned over")
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    baseline: str | None = key(None, "row to compare with, e.g. method=full; the best if null")
    sort: str = key("name", "name, or a column: test, trainable, p, lr, a key of `by`, ...")
    format: str = key(
        "table",
        "table | csv | markdown | latex | json",
        choices=("table", "csv", "markdown", "latex", "json"),
    )


@dataclass
class ReportConfig:
    """loraexp report"""

    runs: list[str] = key(
        ["outputs/train"], "folders to look for finished runs in, or of a sweep", path=True
    )
    by: list[str] = key([], "keys that name what is compared; those that vary if empty")
    where: list[str] = key([], "only runs with these, e.g. [data.name=sms_spam,seed=0|1]")
    baseline: str | None = key(None, "what to compare with, e.g. method=full; the best if null")
    question: str | None = key(None, "its title; made from `by` if null")
    format: str = key("html", "html | markdown", choices=("html", "markdown"))
    out: str | None = key(None, "the file; outputs/report.html or .md if null", path=True)


@dataclass
class ReproduceConfig:
    """loraexp reproduce"""

    rows: list[str] = key([], "published rows, e.g. [book_row10,appendix_e]; all if empty")
    run: bool = key(False, "run those that can be; else only show the ledger")
    seeds: list[int] = key([123, 124, 125], "seeds of each row's runs", least=0, most=2**32 - 1)
    ledger: str | None = key(
        None,
        "folder of the records; if null outputs/ledger, or the checkout's where that is not",
        path=True,
    )
    output_dir: str = key("outputs", "folder for the runs themselves", path=True)
    format: str = key(
        "table",
        "table | csv | markdown | latex | json",
        choices=("table", "csv", "markdown", "latex", "json"),
    )


@dataclass
class PrepareConfig:
    """loraexp prepare"""

    data: Data = key(Data(), "")
    out: str = key("outputs/data", "folder for train.csv, validation.csv, test.csv", path=True)


@dataclass
class Corpus:
    """Plain text to learn the language from."""

    text: list[str] = key(
        "???", "UTF-8 text files, or folders of *.txt; a blank line ends a document", path=True
    )
    block: int = key(256, "tokens a block; at most model.context", least=2)
    batch_size: int = key(16, "blocks a step on each device", least=1)
    held_out: float = key(
        0.005, "share of the blocks that is measured, not learnt", above=0, most=0.5
    )


@dataclass
class LanguageOptim(Optim):
    """Muon for the blocks' matrices (Jordan et al. 2024), AdamW for all else; or AdamW alone."""

    name: str = key("muon", "muon | adamw", choices=("muon", "adamw"))


@dataclass
class Passes:
    """How long and on what to pretrain."""

    passes: float = key(1.0, "times the corpus is read", above=0)
    checks: int = key(20, "times held-out loss is measured and a checkpoint kept", least=1)
    precision: str = key("auto", "auto | fp32 | bf16", choices=("auto", "fp32", "bf16"))
    accelerator: str = key("auto", "auto | cpu | gpu", choices=("auto", "cpu", "gpu"))


@dataclass
class PretrainConfig:
    """loraexp pretrain"""

    out: str = key("outputs/base", "folder of the new base, in Hugging Face format", path=True)
    seed: int = seed_key(0, "seed of the weights' start, of the held-out blocks and of their order")
    model: Model = key(Model(), "")
    data: Corpus = key(Corpus(), "")
    optim: LanguageOptim = key(LanguageOptim(), "")
    trainer: Passes = key(Passes(), "")
    logger: Logger = key(Logger(), "")


SCHEMAS: dict[str, type[Any]] = {
    "train": TrainConfig,
    "eval": EvalConfig,
    "predict": PredictConfig,
    "verify": VerifyConfig,
    "merge": MergeConfig,
    "export": ExportConfig,
    "combine": CombineConfig,
    "import": ImportConfig,
    "rank_curve": RankCurveConfig,
    "params": ParamsConfig,
    "table": TableConfig,
    "report": ReportConfig,
    "reproduce": ReproduceConfig,
    "prepare": PrepareConfig,
    "pretrain": PretrainConfig,
}
