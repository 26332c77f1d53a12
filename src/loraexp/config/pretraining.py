"""The keys of pretraining a base of one's own."""

from dataclasses import dataclass

from loraexp.config.keys import key, one_of, seed_key
from loraexp.config.schema import Logger, Model, Optim


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

    name: str = one_of("muon", "muon", "adamw")


@dataclass
class Passes:
    """How long and on what to pretrain."""

    passes: float = key(1.0, "times the corpus is read", above=0)
    checks: int = key(20, "times held-out loss is measured and a checkpoint kept", least=1)
    precision: str = one_of("auto", "auto", "fp32", "bf16")
    accelerator: str = one_of("auto", "auto", "cpu", "gpu")


@dataclass
class PretrainConfig:
    """loraexp pretrain"""

    out: str = key(
        "outputs/base", "folder of the new base, in Hugging Face format", path=True, text=True
    )
    seed: int = seed_key(0, "seed of the weights' start, of the held-out blocks and of their order")
    model: Model = key(Model(), "")
    data: Corpus = key(Corpus(), "")
    optim: LanguageOptim = key(LanguageOptim(), "")
    trainer: Passes = key(Passes(), "")
    logger: Logger = key(Logger(), "")
