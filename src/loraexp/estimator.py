"""An adapter as a scikit-learn classifier of texts, for its grids, folds and pipelines."""

import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from loraexp.api import configure, run_folder
from loraexp.data.frames import kept
from loraexp.errors import UserError
from loraexp.runtime.quiet import quieted

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted
except ImportError:
    raise UserError("LoraClassifier needs scikit-learn: pip install 'loraexp[sklearn]'") from None

if TYPE_CHECKING:
    from loraexp.inference.predictor import Predictor


class Loaded:
    """A run that is read when it is first asked; a pickle has its folder alone."""

    def __init__(self, run: str, batch_size: int) -> None:
        self.run, self.batch_size = run, batch_size

    @cached_property
    def predictor(self) -> "Predictor":
        from loraexp.inference.predictor import Predictor

        return Predictor(self.run, self.batch_size)

    def __getstate__(self) -> dict[str, Any]:
        return {"run": self.run, "batch_size": self.batch_size}


class LoraClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Texts in, labels out. Every text it is given trains; whoever folds the data measures.

    Each fit is a run below `output_dir`; the same texts and settings again are found there. What
    is pickled is the run's folder, not its tensors.

    Args:
        method, rank, alpha, lr, epochs, batch_size: the keys of that name; lr None: the method's.
        model: an option of `model`: nano, gpt2, ...
        keys: any other overrides, as typed: ("lora.dropout=0.1",).
        random_state: the run's seed, or what draws one.
        verbose: log what is to be said of the texts.

    Attributes:
        classes_: the labels, in order. run_: the folder of the run.
    """

    def __init__(
        self,
        method: str = "lora",
        rank: int = 8,
        alpha: float = 16.0,
        lr: float | None = None,
        epochs: int = 3,
        batch_size: int = 8,
        model: str = "nano",
        keys: Sequence[str] = (),
        output_dir: str = "outputs",
        random_state: Any = 0,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.rank = rank
        self.alpha = alpha
        self.lr = lr
        self.epochs = epochs
        self.batch_size = batch_size
        self.model = model
        self.keys = keys
        self.output_dir = output_dir
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "LoraClassifier":
        """
        Raises:
            ValueError: not as many labels as texts, something that is no text, one class only.
            UserError: a setting that does not work.
        """
        from loraexp.training.run import train  # lightning takes two seconds

        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        texts, labels = texts_of(X), column_or_1d(y, warn=True)
        check_classification_targets(labels)
        if labels.shape != (len(texts),):
            raise ValueError(f"y must have {len(texts)} labels in one row, got {labels.shape}")
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(f"y has 1 class, {self.classes_[0]!r}; two are the least")
        frame = pd.DataFrame({"text": texts, "label": [*map(str, labels)]})
        file = kept(frame, "text", "label", Path(self.output_dir))
        config = configure(*self.keys, **self._keys(), data="csv", data__path=str(file))
        if config.data.out_of_scope is not None:
            raise UserError("data.out_of_scope: LoraClassifier trains on all that it is given")
        level = logging.INFO if self.verbose else logging.ERROR
        with quieted(logging.getLogger("loraexp"), level=level):
            train(config, patient=True)  # another fold's process may have the same texts
        self.run_ = str(run_folder(config))
        self._loaded = Loaded(self.run_, self.batch_size)
        return self

    def predict_proba(self, X: Any) -> Any:
        """(N, C) float64: of each text, the chance of each of `classes_`."""
        check_is_fitted(self)
        texts = texts_of(X)
        if not texts:
            return np.empty((0, len(self.classes_)))
        predictor = self._loaded.predictor
        found = predictor.probabilities(texts).double().numpy()
        places = [predictor.labels.index(str(label)) for label in self.classes_]
        return found[:, places] / found.sum(1, keepdims=True)

    def predict(self, X: Any) -> Any:
        """(N,): the likeliest of `classes_` of each text."""
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(1)]

    def _keys(self) -> dict[str, Any]:
        seed = self.random_state
        if not isinstance(seed, (int, np.integer)):
            seed = check_random_state(seed).randint(2**31)
        rate = {} if self.lr is None else {"optim__lr": float(self.lr)}
        return {
            "method": self.method,
            "model": self.model,
            "lora__rank": self.rank,
            "lora__alpha": self.alpha,
            "trainer__max_epochs": self.epochs,
            "data__batch_size": self.batch_size,
            "data__split": "all",
            "logger": "none",
            "output_dir": self.output_dir,
            "seed": int(seed),
            **rate,
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = True, False
        tags.input_tags.one_d_array = True
        return tags


def texts_of(X: Any) -> list[str]:
    """The texts of a list, an array or a column.

    Raises:
        ValueError: one text alone, a matrix, or something that is no text.
    """
    if isinstance(X, str):
        raise ValueError("X must be several texts, got one")
    cells = X.tolist() if hasattr(X, "tolist") else [*X]
    for at, cell in enumerate(cells):
        if not isinstance(cell, str):
            what = "a row of a matrix" if isinstance(cell, list) else f"a {type(cell).__name__}"
            raise ValueError(f"X must be texts in one row, got {what} at place {at}")
    return cells
