"""The commands of README.md and docs/: each block, how a long one is cut down, and the few that no
test runs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("sh", "python", "text", "yaml", "toml")

# What no test runs, by how it begins, and why.
NOT_RUN = {
    "pip install": "needs the package index; tests/test_package.py opens what it installs",
    "python3 -m venv": "a new environment, to fill from the package index",
    ".venv/bin/pip install": "needs the package index",
    "python -m loraexp train data=sms_spam model=gpt2 lora.rank=8": "needs GPT-2's weights",
    "python -m loraexp train experiment=book method=full": "needs GPT-2's weights",
    "python -m loraexp train trainer=ddp trainer.devices=4": "needs four GPUs",
    "python -m loraexp train trainer=fsdp trainer.devices=4": "needs four GPUs",
    "python -m loraexp train lora.rank=4,8,16 seed=0,1,2 -m launcher=slurm": "needs SLURM",
    "python -m loraexp train lora.rank=4,8,16 seed=0,1,2 -m launcher=ray": "needs a Ray cluster",
    "python -m loraexp train lora.rank=4,8,16 -m launcher=slurm": "needs SLURM",
    "git log": "a copy of the checkout has no history",
    "vllm serve": "needs vLLM",
    "curl localhost:8000/classify": "needs the server above it",
    "make test": "this test is part of it",
    "make test-slow": "this test is part of it",
    "make test-gpu": "needs a GPU",
    "make test-slurm": "minutes, and SLURM",
    "make docs": "needs the package index",
    "make check": "what CI runs beside the tests",
    "make bench": "20 minutes, and of an idle machine",
    "make scale": "10 minutes, and of an idle machine",
    "make serving": "minutes, and of an idle machine",
    "make reproduce": "an hour; `reproduce` without run=true is run",
    "make base": "hours",
    "make regret": "an hour",
    "make base-report": "over an hour",
}

# How a long command is cut down: what is looked for, what is put there instead, and why.
FEW = "tune.factors=[0.5,1] tune.most=3 seed=0"
SHORTER = (
    (r"^LORAEXP_DATA_DIR=\S+ ", "", "the folder of the real data is that of the tests"),
    (r"^(python -m loraexp train\b(?!.*( debug=|--help)).*)$", r"\1 debug=fast", "a batch a run"),
    (r"^(python -m loraexp (?:verify_packed|plan) .*) -m$", r"\1 debug=fast -m", "a batch a run"),
    (r" -m (debug=fast)$", r" \1 -m", "flags stay last"),
    (
        r"(experiment=(rank_sweep|method_comparison|targets|data_curve))",
        rf"\1 {FEW}",
        "two rates, one seed",
    ),
    (r"(experiment=regret/rates)", r"\1 lora.rank=1,4 optim.lr=1e-3 seed=0", "two of 60 runs"),
    (r"(experiment=false_winner)", r"\1 seed=0", "one seed"),
    (r"(experiment=false_winner.* tune=lr)", r"\1 tune.most=3", "three rates"),
    (r"(experiment=method_comparison)", r"\1 method=lora,ia3,head", "of fifteen methods three"),
    (r"seeds=auto", "seeds=auto seeds.looks=[2,3]", "of looks the fewest"),
    (r"search\.trials=20", "search.trials=2", "of trials the fewest that are told apart"),
    (r"minutes=10", "runs=12 data.limit=40 trainer.max_epochs=1", "the smallest budget"),
    (r"model\.vocab_size=4096", "model.vocab_size=1024", "as many tokens as the few texts give"),
    (r"(^python -m loraexp pretrain .*)", r"\1 trainer.passes=0.2 trainer.checks=1", "few steps"),
    (r"^make demo$", "make demo ARGS=debug=fast", "a batch a run"),
    (r"^make sweep$", f'make sweep ARGS="debug=fast {FEW}"', "a batch a run, two rates, one seed"),
    (r'"trainer\.max_epochs=1"', '"trainer.max_epochs=1", "data.limit=24"', "of Python: few texts"),
)

# What stands for a name that the reader has and a page cannot know: the newest or the one before.
NAMES = {
    "<run>": ("outputs/train", -1),
    "<another run>": ("outputs/train", -2),
    "<time>": ("outputs/sweeps", -1),
}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Args:
        page: its file, from the root.
        line: where it begins there, from 1.
    """

    page: str
    line: int
    language: str
    text: str

    def commands(self) -> list[str]:
        """Those of a shell block, a line each, without what is said of them."""
        if self.language != "sh":
            return []
        lines = (re.sub(r"(^|\s+)# .*", "", line) for line in self.text.splitlines())
        return [line for line in lines if line]


def blocks(page: Path) -> Iterator[Block]:
    for token in MarkdownIt().parse(page.read_text(encoding="utf-8")):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            name = page.relative_to(ROOT).as_posix()
            yield Block(name, token.map[0] + 1, token.info.strip(), token.content)


BLOCKS = [block for page in PAGES for block in blocks(page)]
COMMANDS = [(block, command) for block in BLOCKS for command in block.commands()]


def why_not_run(command: str, rules: Mapping[str, str] = NOT_RUN) -> str | None:
    """The reason of the rule that it begins with, word by word."""
    for start, reason in rules.items():
        if re.match(rf"{re.escape(start)}(?!\S)", command):
            return reason
    return None


def shorter(text: str, rules: Sequence[tuple[str, str, str]] = SHORTER) -> str:
    """A command, or a block of Python, cut down by the rules."""
    for looked_for, instead, _ in rules:
        text = re.sub(looked_for, instead, text, flags=re.M)
    return text


def with_names(command: str, folder: Path) -> str:
    """The command with the names of what earlier ones left in `folder`."""
    for name, (where, at) in NAMES.items():
        if name in command:
            made = sorted((folder / where).iterdir(), key=lambda path: path.stat().st_mtime_ns)
            command = command.replace(name, made[at].name)
    return command
