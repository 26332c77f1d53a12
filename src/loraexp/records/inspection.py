"""What `inspect` found of a finished run, as a JSON file beside its record."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from loraexp.records.record import damage
from loraexp.records.record_types import Amount, Count, Positive
from loraexp.records.typed_json import check, hints_of, parsed, printed
from loraexp.runtime.atomic import read_text, write_whole

FILE = "inspection.json"
LARGEST = 2**24  # bytes
FORMAT = 1


@dataclass(frozen=True)
class Target:
    """How training changed one weight matrix W (out, in), by D.

    Args:
        path: of the linear layer.
        rank: the most that D can have.
        rank90: singular values of D, the largest first, whose squares sum up to 90 % of all.
        update, weight: Frobenius norms of D and of W.
        intruders: of the first ten singular vectors of W + D, those that W has none like.
    """

    path: str
    rank: Positive
    rank90: Count
    update: Amount
    weight: Amount
    intruders: Count


@dataclass(frozen=True)
class Forgetting:
    """The base's own language modelling, in nats a token, before training and after.

    Args:
        text: sha256 of the text it was measured on.
        tokens: that were foretold.
        before, after: mean loss of the base alone, and with what was trained.
        standard_error: of after - before, over windows of the text; None of a single window.
    """

    text: str
    tokens: Positive
    before: Amount
    after: Amount
    standard_error: Amount | None

    @property
    def change(self) -> float:
        return self.after - self.before


@dataclass(frozen=True)
class Inspection:
    """
    Args:
        adapter: its sha256: a run that was trained anew has another.
        targets: the matrices that changed; none where only vectors or embeddings train.
        forgetting: None of a network that is no language model (model.causal=false).
    """

    adapter: str
    targets: Sequence[Target]
    forgetting: Forgetting | None

    @property
    def rank90(self) -> float | None:
        """Mean over the targets."""
        return self.mean([target.rank90 for target in self.targets])

    @property
    def intruders(self) -> float | None:
        """Mean over the targets."""
        return self.mean([target.intruders for target in self.targets])

    @property
    def update(self) -> float | None:
        """Norm of all D over that of all W."""
        weight = sum(target.weight**2 for target in self.targets) ** 0.5
        return sum(target.update**2 for target in self.targets) ** 0.5 / weight if weight else None

    def mean(self, values: Sequence[float]) -> float | None:
        return sum(values) / len(values) if values else None

    def write(self, folder: Path) -> None:
        content = {"format": FORMAT, **asdict(self)}
        write_whole(folder / FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")


class Stored:
    """The annotations of the file."""

    format: int
    adapter: str
    targets: Annotated[list[Any], list[Target]]
    forgetting: Annotated[dict[str, Any] | None, Forgetting | None]


def read_inspection(folder: Path) -> Inspection | None:
    """What was found of the run in `folder`; None where nobody looked.

    Raises:
        UserError: a file that is damaged.
    """
    if not os.path.lexists(folder / FILE):
        return None
    with damage(folder / FILE):
        content = parsed(read_text(folder, FILE, LARGEST))
        if not isinstance(content, dict):
            raise TypeError("it is no dict")
        check(content, hints_of(Stored))
        if content["format"] != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
        for name in content.keys() - hints_of(Stored).keys():
            raise ValueError(f"{printed(name)} is too much")
        targets = [Target(**target) for target in content["targets"]]
        forgot = content["forgetting"]
        return Inspection(content["adapter"], targets, Forgetting(**forgot) if forgot else None)
