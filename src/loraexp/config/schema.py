"""Every key of the configuration: its type, its one default, its rule and its line of help.

Hydra fills these dataclasses from conf/ and the command line (they cannot be frozen: OmegaConf
would then refuse every override). Below the commands they are only read. No torch here.
"""

from dataclasses import dataclass
from typing import Any

from loraexp.config.keys import FLOAT32, key, one_of, seed_key


@dataclass
class Model:
    """Geometry of the GPT-2 and where its weights and tokenizer come from (defaults: 124M)."""

    name: str = key("gpt2", "the name shown in tables")
    weights: str = key(
        "hub",
        "hub | embedded (nano) | random | a folder in Hugging Face format, whose config.json then "
        "gives the geometry | run (merge writes it: the run's own folder)",
        path=True,
    )
    tokenizer: str = key(
        "auto",
        "auto (the weights' own) | embedded (nano's) | bytes | a folder with vocab.json",
        path=True,
    )
    repo: str = key("", "Hugging Face repository of the weights")
    revision: str = key("", "its pinned commit")
    sha256: str = key("", "of its model.safetensors, checked when given")
    n_layer: int = key(12, "number of blocks", least=1, most=10_000)
    n_head: int = key(12, "attention heads a block", least=1)
    d_model: int = key(768, "width; a multiple of n_head", least=1)
    context: int = key(1024, "longest text in tokens", least=1)
    vocab_size: int = key(50257, "number of tokens", least=2)
    dropout: float = key(0.0, "dropout inside the base while training", least=0, most=0.99)
    causal: bool = key(True, "a token sees only what is before it, as GPT-2 was trained")
    init_seed: int = seed_key(0, "seed of random weights: part of the base, so not `seed`")


@dataclass
class Data:
    """The texts: where from, how split, how batched."""

    name: str = key(
        "sms_demo", "sms_demo | sms_spam | csv, or what to call data=csv (its file's name)"
    )
    path: str | None = key(
        None, "file, or a folder with train.csv, validation.csv, test.csv", path=True
    )
    text_column: str = key("text", "column of the text")
    label_column: str = key("label", "column of the label")
    positive_label: str | None = key(
        None, "of two classes the one that F1, precision and recall are of; the last if null"
    )
    quoting: str = one_of(
        "auto", 'auto (" quotes a cell in CSV, is a character in TSV)', "double", "none"
    )
    delimiter: str = key("auto", "auto (, in CSV, tab in TSV) | tab | any one character")
    encoding: str = key("utf-8", "of the file, e.g. utf-8, latin-1, cp1252, utf-16")
    header: bool = key(True, "the first row names the columns; false: columns are 1, 2, ...")
    strip: bool = key(True, "leave out white space at both ends of a text")
    split: str = one_of(
        "stratified",
        "stratified (70/10/20, classes in proportion)",
        "book (the tutorial's, sms_spam only)",
        "all (every text trains: for use, not to be measured)",
    )
    split_seed: int = seed_key(123, "seed of the split; `seed` never moves a text")
    dedupe: bool = key(False, "drop repeated texts before the split")
    limit: int | None = key(None, "keep only this many texts of each split", least=1)
    limit_by: str = one_of(
        "stratified",
        "stratified (drawn from split_seed, classes in proportion)",
        "first",
        lead="which ones: ",
    )
    per_class: int | None = key(
        None,
        "train on at most this many texts of each class, drawn from split_seed, fewer among more; "
        "validation and test stay whole",
        least=1,
    )
    out_of_scope: str | None = key(None, "label of texts of no class: not trained on, but scored")
    batch_size: int = key(8, "texts a step on each device", least=1)
    max_length: int | None = key(None, "cut texts to this many tokens (context if null)", least=1)
    truncation: str = one_of(
        "end", "end", "start", "middle", lead="what is left out of a text that is longer: its "
    )
    pad_to: int | None = key(None, "pad every text to this many tokens", least=1)


@dataclass
class Lora:
    """The low-rank update W + scaling * B A (Hu et al. 2021, section 4.1)."""

    rank: int = key(8, "rank r of the update", least=1)
    alpha: float = key(16.0, "strength of the update", above=0, most=FLOAT32)
    dropout: float = key(0.0, "dropout on the branch's input", least=0, most=0.99)
    target_modules: Any = key(
        ["q_proj", "k_proj", "v_proj", "out_proj"],
        "q_proj k_proj v_proj out_proj fc1 fc2, all-linear, score (the head), paths, regexes",
    )
    scaling: str = one_of("alpha_over_r", "alpha_over_r", "alpha_over_sqrt_r", "alpha")
    init: str = one_of(
        "kaiming",
        *("kaiming (uniform, +-1/sqrt(in))", "gaussian (std 1/r)", "orthogonal"),
        *("book (+-1/sqrt(r))", "pissa", "olora (with method=)"),
        lead="how lora_A starts: ",
    )
    lr_ratio: float = key(
        1.0, "learning rate of lora_B over that of all else", above=0, most=FLOAT32
    )
    rank_pattern: dict[str, int] = key({}, "rank of single targets, e.g. {v_proj:16}", least=1)
    alpha_pattern: dict[str, float] = key({}, "alpha of single targets", above=0, most=FLOAT32)


@dataclass
class AdaLora:
    """Options of method=adalora (Zhang et al. 2023, sections 3.2 and 3.3)."""

    budget: float = key(0.5, "share of all targets' ranks that is left at the end", above=0, most=1)
    warmup: float = key(0.1, "share of the steps before the first cut", least=0, most=1)
    final: float = key(0.3, "share of the steps after the last cut", least=0, most=1)
    interval: int = key(1, "steps from cut to cut", least=1)
    beta1: float = key(0.85, "smoothing of the importance", least=0, most=0.999)
    beta2: float = key(0.85, "smoothing of its uncertainty", least=0, most=0.999)
    orthogonality: float = key(
        0.1, "weight of the penalty on P'P - I and QQ' - I", least=0, most=FLOAT32
    )


@dataclass
class LastBlock:
    """Options of method=last_block."""

    n: int = key(1, "how many of the last blocks train, with the last layer norm", least=1)


@dataclass
class Head:
    """The classification head on top of one pooled vector a text."""

    pooling: str = one_of(
        "last_token",
        *("last_token (last real one)", "last_position (may be padding)", "first", "mean"),
    )
    bias: bool = key(False, "give the head a bias (transformers' has none)")


@dataclass
class Optim:
    """AdamW and its schedule."""

    lr: float = key(1e-3, "peak learning rate; each method= brings its own", above=0, most=FLOAT32)
    lr_factor: float = key(
        1.0, "times lr: one grid of factors then suits every method", above=0, most=FLOAT32
    )
    weight_decay: float = key(0.01, "decoupled weight decay", least=0, most=FLOAT32)
    class_weights: Any = key(
        None, "of texts in the training loss: balanced (all classes weigh alike) or like {spam:3}"
    )
    schedule: str = one_of("linear", "constant", "linear", "cosine")
    warmup: float = key(0.06, "warm-up: a share of all steps below 1, else steps", least=0)
    grad_clip: float = key(
        1.0, "largest gradient norm; 0 turns clipping off", least=0, most=FLOAT32
    )


@dataclass
class Trainer:
    """How long and on what to train."""

    max_epochs: int = key(3, "passes over the training texts", least=1)
    precision: str = one_of(
        "auto", "auto (bf16 where the hardware multiplies it fast)", "fp32", "bf16"
    )
    accelerator: str = one_of("auto", "auto", "cpu", "gpu")
    threads: int | None = key(
        None, "that compute, on a CPU; null: OMP_NUM_THREADS, else cores that are free", least=1
    )
    devices: int = key(1, "processes to train with", least=1)
    strategy: str = one_of(
        "ddp",
        "ddp (each process holds the whole)",
        "fsdp (a part of every tensor, its gradient and its optimizer's state)",
        lead="what each of several processes holds: ",
    )
    gradient_checkpointing: bool = key(
        False, "keep no activations inside blocks, compute them again: less memory, more time"
    )
    compile: bool = key(
        False, "training steps through torch.compile: for long runs on a GPU; needs a C++ compiler"
    )
    accumulate: int = key(1, "batches a step", least=1)
    patience: int | None = key(None, "stop after so many epochs without a better one", least=1)
    keep: str = one_of("best", "best (epoch, by validation loss)", "last")
    limit_batches: int | None = key(None, "batches of each split an epoch", least=1)
    train_metrics: str = one_of(
        "sample",
        "sample (5 % of the run's cost, at least 200)",
        "all (a run takes 10 to 50 % longer)",
        "capped (all, or 10,000 of more: runs of before)",
        lead="train texts that are measured at the end: ",
    )


@dataclass
class Logger:
    """Where the curves go while training."""

    name: str = one_of("csv", "csv", "wandb", "none")
    project: str = key("loraexp", "W&B project")
    entity: str | None = key(None, "W&B team or user")
    group: str | None = key(None, "W&B group; a sweep's jobs share one by default")


@dataclass
class Adaptation:
    """What is adapted and how: all that `inject` needs to know."""

    method: str = key("lora", "a row of the table of methods")
    lora: Lora = key(Lora(), "")
    last_block: LastBlock = key(LastBlock(), "")
    adalora: AdaLora = key(AdaLora(), "")


@dataclass
class TrainConfig(Adaptation):
    """loraexp train"""

    seed: int = seed_key(0, "seed of the adapter's start, the order of texts and dropout")
    name: str | None = key(None, "put before the run's folder name")
    init_from: str | None = key(None, "run whose adapter it starts from", path=True, text=True)
    output_dir: str = key("outputs", "folder for everything that is written", path=True)
    rerun: bool = key(
        False, "train a finished run anew if its data or base is another now; the old one is kept"
    )
    baselines: bool = key(
        False,
        "show rows without a network: the most frequent label, and TF-IDF + logistic regression "
        "(needs scikit-learn)",
    )
    model: Model = key(Model(), "")
    data: Data = key(Data(), "")
    head: Head = key(Head(), "")
    optim: Optim = key(Optim(), "")
    trainer: Trainer = key(Trainer(), "")
    logger: Logger = key(Logger(), "")
