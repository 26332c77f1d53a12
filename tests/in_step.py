"""Runs of a few steps by a loop of their own, alone or as members of a pack."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import torch
import torch.nn.functional as F
from small import tiny_model
from torch import Tensor

from loraexp.adapters.inject import adapter_tensors, inject
from loraexp.adapters.learning import controller, optimizer_groups, penalty
from loraexp.adapters.methods import METHODS, as_method
from loraexp.config.schema import Head, TrainConfig
from loraexp.model.classifier import GPT2Classifier
from loraexp.model.weights import load_classifier
from loraexp.training.packs.alone import Alone
from loraexp.training.packs.lockstep import Member, Pack

Clip = Callable[[Sequence[Tensor], float], None]


@dataclass(frozen=True)
class Short:
    """A run of `steps` steps on batches drawn from its seed."""

    method: str = "lora"
    rank: int = 2
    alpha: float = 4.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    dropout: float = 0.0
    seed: int = 0
    lr: float = 3e-3
    clip: float = 1.0
    steps: int = 4
    bias: bool = False
    pooling: str = "last_token"
    base_dropout: float = 0.0

    @property
    def config(self) -> TrainConfig:
        config = as_method(TrainConfig(), self.method)
        config.lora.rank, config.lora.alpha = self.rank, self.alpha
        config.lora.target_modules = [*self.targets]
        if "dropout" not in METHODS[self.method].without:
            config.lora.dropout = self.dropout
        if self.method == "lora_plus":
            config.lora.lr_ratio = 16.0
        config.optim.lr, config.model = self.lr, tiny_model()
        config.model.dropout = self.base_dropout
        config.head = Head(self.pooling, self.bias)
        return config

    def network(self, dtype: torch.dtype) -> GPT2Classifier:
        config = self.config
        network = load_classifier(config.model, config.head, 2, seed=self.seed).to(dtype)
        return inject(network, config, self.seed).to(dtype)

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(B, T) tokens, (B,) lengths, (B,) classes: of another width each step."""
        generator = torch.Generator().manual_seed(1000 * self.seed + step)
        draw = partial(torch.randint, generator=generator)
        # A text of one token attends to nothing: what trains q_proj is then noise, which Adam blows
        # up to its rate.
        texts, width = int(draw(1, 6, ())), int(draw(2, 14, ()))
        return (
            draw(0, 256, (texts, width)),
            draw(2, width + 1, (texts,)),
            draw(0, 2, (texts,)),
        )


def train(run: Short, dtype: torch.dtype, member: Alone, clip: Clip) -> dict[str, Tensor]:
    """What trains, after the run's steps; and the logits of one more batch."""
    network = run.network(dtype).train()
    member.join(network, "")
    tensors = adapter_tensors(network)
    optimizer = torch.optim.AdamW(optimizer_groups(network, run.config), lr=run.lr)
    between = controller(network, run.config)
    torch.manual_seed(run.seed)
    for step in range(run.steps):
        tokens, lengths, classes = run.batch(step)
        loss = F.cross_entropy(member.logits(tokens, lengths), classes) + penalty(network)
        optimizer.zero_grad()
        member.backward(loss)
        clip([*tensors.values()], run.clip)
        optimizer.step()
        if between:
            between.after_step(step + 1, run.steps)
    network.eval()
    with torch.inference_mode():
        tokens, lengths, _ = run.batch(run.steps)
        logits = member.logits(tokens, lengths).clone()
    return {name: t.detach().clone() for name, t in tensors.items()} | {"logits": logits}


def own_clip(tensors: Sequence[Tensor], most: float) -> None:
    torch.nn.utils.clip_grad_norm_([t for t in tensors if t.grad is not None], most)


def alone(
    runs: Sequence[Short], dtype: torch.dtype = torch.float64, clip: Clip = own_clip
) -> list[dict[str, Tensor]]:
    return [train(run, dtype, Alone(), clip) for run in runs]


def in_step(
    runs: Sequence[Short], dtype: torch.dtype = torch.float64, clip: Clip = own_clip
) -> list[dict[str, Tensor]]:
    """All as one pack."""
    results: dict[int, dict[str, Tensor]] = {}

    def work(run: Short, member: Member) -> None:
        results[member.number] = train(run, dtype, member, clip)

    pack = Pack([*map(partial, repeat(work), runs)])
    pack.run()
    for member in pack.members:
        if member.end is not None:
            raise member.end
    return [results[number] for number in range(len(runs))]


def apart(left: Sequence[dict[str, Tensor]], right: Sequence[dict[str, Tensor]]) -> float:
    """The largest difference of any number, over the largest number of its run."""
    return max(map(difference, left, right))


def difference(own: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    assert own.keys() == other.keys()
    largest = max(float(tensor.abs().max()) for tensor in other.values())
    return max(float((own[name] - other[name]).abs().max()) for name in own) / largest
