"""Labels for new texts: from a finished run, or from several on one base, which is held once.

Nothing here needs Lightning, which takes two seconds to import.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from loraexp.adapters.adapter_files import fill, read_card
from loraexp.adapters.branches.base import Adapted, Branch
from loraexp.adapters.inject import new_branches
from loraexp.adapters.methods import find_method
from loraexp.adapters.of_base import nothing
from loraexp.adapters.targets import HEAD
from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.inference.multi_adapter import MultiAdapter
from loraexp.inference.writers import Verdict
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.gpt2 import Linear
from loraexp.model.weights import base_hash, load_classifier, load_tokenizer
from loraexp.runs.load import LoadedModel, load_run, read_config
from loraexp.runs.naming import distinct_names
from loraexp.runs.run_folder import RunFolder
from loraexp.runtime.hardware import DTYPES, uses_gpu


class Predictor:
    """Labels texts with a finished run."""

    def __init__(self, run: Path | str, batch_size: int = 32) -> None:
        self.model = load_run(Path(run))
        self.batch_size = batch_size
        self.device = "cuda" if uses_gpu(self.model.config.trainer.accelerator) else "cpu"
        self.network.eval().to(self.device)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.model.labels

    @property
    def models(self) -> list[LoadedModel]:
        return [self.model]

    @property
    def network(self) -> GPT2Classifier:
        return self.model.network

    def probabilities(self, texts: list[str]) -> Tensor:
        """(N, C): of each label for N texts, in their order."""
        return self.model.logits(texts, self.batch_size).softmax(-1)

    def stream(self, chunks: Iterable[list[str]]) -> Iterator[tuple[str, str, float]]:
        """(text, label, its probability) for each text, a chunk in memory at a time."""
        for texts in chunks:
            for text, [verdict] in zip(texts, self.verdicts(texts, 1), strict=True):
                yield text, *verdict[0]

    def verdicts(self, texts: list[str], top: int) -> list[list[Verdict]]:
        """The likeliest labels of each text, as `Predictors` gives them, of this one run."""
        return [[own] for own in verdicts_of(self.labels, self.probabilities(texts), top)]


class Predictors:
    """Label texts with several runs of one base, under the names of their folders, with parents
    where two are alike.

    Products run in the precision that all runs have, in float32 if they differ.

    Raises:
        UserError: no run, a run twice, one that cannot be restored, one of another base or
            tokenizer, or a method that trains tensors of the base.
    """

    def __init__(self, runs: Sequence[Path | str], batch_size: int = 32) -> None:
        folders = [Path(run) for run in runs]
        if not folders:
            raise UserError("runs is empty: name a folder of a finished run")
        cards = [read_card(RunFolder(run).adapter) for run in folders]
        self.configs = [read_config(card, run) for card, run in zip(cards, folders, strict=True)]
        first = self.configs[0]
        network = load_classifier(first.model, first.head, 1, seed=0)
        tokenizer = load_tokenizer(first.model)
        hashes = {"base": base_hash(network), "tokenizer": tokenizer.sha256}
        guests = []
        for run, card, config in zip(folders, cards, self.configs, strict=True):
            for part, digest in hashes.items():
                if (own := str(card.get(f"{part}_sha256"))) != digest:
                    raise UserError(
                        f"run={run} is on another {part} than run={folders[0]} (sha256 "
                        f"{own[:12]} and {digest[:12]}): these cannot share one"
                    )
            guests.append(load_shared(network, config, len(card["labels"]), run))
        self.many = MultiAdapter(network)
        names = distinct_names(folders)
        for name, config, (head, branches) in zip(names, self.configs, guests, strict=True):
            self.many.add(name, config.head.pooling, head, branches)
        precisions = {config.trainer.precision for config in self.configs}
        precision = precisions.pop() if len(precisions) == 1 else "fp32"
        network.compute_in(DTYPES[precision])
        self.batch_size = batch_size
        self.device = "cuda" if uses_gpu(first.trainer.accelerator) else "cpu"
        self.many.eval().to(self.device)
        self.models = [
            LoadedModel(own, network, tokenizer, tuple(card["labels"]), hashes["base"], precision)
            for card, own in zip(cards, self.configs, strict=True)
        ]

    @property
    def names(self) -> list[str]:
        return self.many.names

    def probabilities(self, name: str, texts: Sequence[str]) -> Tensor:
        """(N, C) of the run called `name`, as `Predictor` gives them."""
        forward = partial(self.many, adapter=name)
        model = self.models[self.many.find(name)]
        return model.logits(texts, self.batch_size, forward).softmax(-1)

    def verdicts(self, texts: list[str], top: int) -> list[list[Verdict]]:
        """Of each text the `top` likeliest labels that each run has for it."""
        columns = (
            verdicts_of(model.labels, self.probabilities(name, texts), top)
            for name, model in zip(self.names, self.models, strict=True)
        )
        return [[*own] for own in zip(*columns, strict=True)]


def verdicts_of(labels: Sequence[str], probabilities: Tensor, top: int) -> list[Verdict]:
    """The likeliest labels of each text, of probabilities (N, C); all of them if there are fewer
    than `top`."""
    best = probabilities.sort(dim=-1, descending=True, stable=True)  # (N, C)
    names = [[labels[index] for index in row] for row in best.indices[:, :top].tolist()]
    chances = best.values[:, :top].tolist()
    return [[*zip(*both, strict=True)] for both in zip(names, chances, strict=True)]


def load_shared(
    network: GPT2Classifier, config: TrainConfig, classes: int, run: Path
) -> tuple[nn.Module, dict[str, Branch]]:
    """Head and branches of a run for this base, filled from its file."""
    if find_method(config.method).trains is not nothing:
        raise UserError(
            f"run={run}: method={config.method} trains tensors of the base, which it cannot share"
        )
    score = Linear(config.model.d_model, classes, bias=config.head.bias)
    bare, network.score = network.score, score  # the head may be a target of its own
    empty = new_branches(network, config, seed=None)
    network.score = bare
    branches = {path: branch for path, (_, branch) in empty.items()}
    own = {
        f"{path}.{name}": parameter
        for path, branch in branches.items()
        for name, parameter in branch.named_parameters()
    }
    own |= {f"{HEAD}.{name}": parameter for name, parameter in score.named_parameters()}
    fill(own, RunFolder(run).adapter)
    head = Adapted(score, branches[HEAD]) if HEAD in branches else score
    return head, branches
