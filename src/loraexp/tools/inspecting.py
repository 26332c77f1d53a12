"""A finished run looked into: the shape of what it learnt, and what its base forgot meanwhile."""

from pathlib import Path

from torch import Tensor

from loraexp.adapters.adapter_files import read_card
from loraexp.errors import UserError
from loraexp.model.weights import load_classifier
from loraexp.records.inspection import Forgetting, Inspection, read_inspection
from loraexp.runs.load import LoadedModel, load_run
from loraexp.runs.run_folder import RunFolder
from loraexp.tools.forgetting import GeneralText, language_losses
from loraexp.tools.update_shape import Base, shape_of


class Inspector:
    """Looks into runs one after another; what they share of a base is computed once.

    Args:
        text: file with general text; None: the one that comes with the embedded base.
    """

    def __init__(self, text: str | None) -> None:
        self.text = GeneralText(text)
        self.key = ""
        self.base: Base | None = None
        self.windows: list[Tensor] = []
        self.before: Tensor | None = None

    def known(self, run: Path) -> Inspection | None:
        """What was found before, if the run and the text are still the same."""
        try:
            found = read_inspection(run)
        except UserError:  # damaged: it is written anew
            return None
        if found is None or found.adapter != read_card(RunFolder(run).adapter)["adapter_sha256"]:
            return None
        forgot = found.forgetting
        return None if forgot and forgot.text != self.text.sha256 else found

    def inspect(self, run: Path) -> Inspection:
        """Look into a run, in float32, and leave what was found beside its record.

        Raises:
            UserError: a run that cannot be restored, or a loss that is no number.
        """
        model = load_run(run, "fp32")
        base = self.base_of(model)
        found = Inspection(
            read_card(RunFolder(run).adapter)["adapter_sha256"],
            [*shape_of(model.network, base)],
            self.forgetting(model, base),
        )
        found.write(run)
        return found

    def base_of(self, model: LoadedModel) -> Base:
        """The last one, if the run has the same."""
        key = f"{model.base_sha256} {model.tokenizer.sha256}"
        if self.base is None or self.key != key:
            plain = load_classifier(model.config.model, model.config.head, 2, seed=0)
            self.key, self.base, self.before = key, Base(plain), None
            self.windows = self.text.windows(model.tokenizer, model.config.model.context)
        return self.base

    def forgetting(self, model: LoadedModel, base: Base) -> Forgetting | None:
        """None of a network whose tokens see what comes after them: it foretells nothing."""
        if not model.config.model.causal:
            return None
        if self.before is None:
            self.before = language_losses(base.network, self.windows)
        after = language_losses(model.network, self.windows)
        n = len(after)
        error = float((after - self.before).std() / n**0.5) if n > 1 else None
        tokens = sum(window.shape[1] - 1 for window in self.windows)
        means = float(self.before.mean()), float(after.mean())
        return Forgetting(self.text.sha256, tokens, *means, error)
