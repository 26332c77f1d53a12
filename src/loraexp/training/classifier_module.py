"""The LightningModule: loss, metrics, optimizer and what a checkpoint holds."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import AUROC, Accuracy, ConfusionMatrix, F1Score, Precision, Recall

from loraexp.adapters.inject import adapter_tensors, load_tensors
from loraexp.adapters.learning import optimizer_groups, penalty
from loraexp.config.schema import TrainConfig
from loraexp.data.batching import Batch
from loraexp.errors import UserError
from loraexp.training.callbacks.progress import is_shown
from loraexp.training.class_weights import WeightedLoss
from loraexp.training.packs.alone import Alone
from loraexp.training.reliability import Reliability
from loraexp.training.schedule import schedule
from loraexp.training.sharding import gathered


class ClassifierModule(LightningModule):
    """A network with an injected method, and how it is trained.

    Args:
        network: token ids (B, T) and lengths (B,) to logits (B, C).
        member: computes them with those of other runs; None: alone.
        config: optimizer, schedule, and what the method asks of them.
        n_classes: C; with two, precision, recall, F1 and AUROC are those of the second class, with
            more their means over the classes that have a text among those measured.
        weights: (C,) of texts in the training loss, by class; what is measured knows none.
    """

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        n_classes: int,
        member: Alone | None = None,
        weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.member = member or Alone(network)
        self.network, self.config, self.n_classes = network, config, n_classes
        self.loss, self.scores = MeanMetric(), classification_metrics(n_classes)
        self.reliability = Reliability()
        self.training_loss = WeightedLoss(weights)
        self.tested: list[Tensor] = []  # probabilities (B, C) of the test batches of this process
        self.measuring = "validation"  # the split, for messages

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:  # -> (B, C)
        return self.member.logits(tokens, lengths)

    def backward(self, loss: Tensor, *_: Any, **__: Any) -> None:
        self.member.backward(loss)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        logits = self(batch.tokens, batch.lengths)
        loss = self.training_loss(logits, batch.classes)
        if is_shown(self.trainer, self.global_step + 1):
            accuracy = (logits.argmax(-1) == batch.classes).float().mean()
            self.log("train_loss", loss, prog_bar=True, batch_size=len(batch.classes))
            self.log("train_accuracy", accuracy, prog_bar=True, batch_size=len(batch.classes))
        share = self.training_loss.share(batch.classes, self.trainer.world_size)
        return share * loss + penalty(self.network)

    def validation_step(self, batch: Batch, index: int) -> None:
        self.eval_step(batch)

    def on_test_epoch_start(self) -> None:
        self.tested = []

    def test_step(self, batch: Batch, index: int) -> None:
        self.tested.append(self.eval_step(batch).cpu())

    def on_validation_epoch_end(self) -> None:
        values = self.summary()  # the same in every process already; sync_dist only says so
        if values["loss"] is None:  # nothing could be chosen by it
            raise self.diverged("loss")
        self.log("val_loss", values["loss"], prog_bar=True, sync_dist=True)
        self.log("val_accuracy", values["accuracy"], prog_bar=True, sync_dist=True)

    def eval_step(self, batch: Batch) -> Tensor:
        """Count a batch in the metrics; returns its probabilities (B, C).

        Raises:
            UserError: logits that are NaN or infinite.
        """
        logits = self(batch.tokens, batch.lengths).float()  # (B, C)
        if not logits.isfinite().all():
            raise self.diverged("logits")
        self.loss.update(F.cross_entropy(logits, batch.classes, reduction="none"))
        probabilities = logits.softmax(-1)
        self.reliability.update(probabilities, batch.classes)
        self.scores.update(
            probabilities[:, 1] if self.n_classes == 2 else probabilities, batch.classes
        )
        return probabilities

    def diverged(self, what: str) -> UserError:
        after = f" after step {self.global_step}" if self.global_step else ""
        return UserError(
            f"the {what} of {self.measuring} texts {'are' if what == 'logits' else 'is'} NaN or "
            f"infinite{after}; try a lower optim.lr (it is {self.config.optim.lr:g}) or "
            "trainer.precision=fp32"
        )

    def summary(self) -> dict[str, Any]:
        """The metrics of all batches since the last call, over all processes.

        A score that is not defined, such as AUROC where a class has no text, is None.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No (positive|negative) samples in targets")
            values = self.scores.compute()
        confusion = values.pop("confusion").long()  # (C, C): row true, column predicted
        there = confusion.sum(1) > 0  # (C,): the classes that have a text
        loss, accuracy = self.loss.compute(), values.pop("accuracy")
        calibration = self.reliability.compute()
        bins = calibration.pop("bins")
        for metric in (self.loss, self.scores, self.reliability):
            metric.reset()
        values = {name: mean_of(name, value, there) for name, value in values.items()}
        values = {"loss": loss, "accuracy": accuracy, **values, **calibration}
        numbers = {name: float(v) if v.isfinite() else None for name, v in values.items()}
        n = int(confusion.sum())
        return {"n": n, **numbers, "confusion": confusion.tolist(), "reliability": bins}

    def configure_optimizers(self) -> Any:
        optim, groups = self.config.optim, optimizer_groups(self.network, self.config)
        optimizer = torch.optim.AdamW(
            groups, lr=optim.lr, weight_decay=optim.weight_decay, fused=True
        )
        factor = schedule(optim, int(self.trainer.estimated_stepping_batches))
        lr = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": lr, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Trainable tensors only: never the frozen base, never its 500 MB."""
        tensors = adapter_tensors(self.network)
        checkpoint["state_dict"] = {name: gathered(p.detach()) for name, p in tensors.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Take an adapter as on_save_checkpoint wrote it; nothing may be missing or too much."""
        try:
            load_tensors(adapter_tensors(self.network), state_dict)
        except ValueError as error:
            raise UserError(f"the checkpoint {error}") from None


def mean_of(name: str, value: Tensor, there: Tensor) -> Tensor:
    """A score as it is shown: NaN where it is not defined.

    torchmetrics counts AUROC of a class without a text as 0, and precision of one that is
    predicted: neither says anything of the model.

    Args:
        value: (C,), or of the second of two classes ().
        there: (C,) the classes that have a text. AUROC needs one of another class beside it.
    """
    if (name == "auroc" and there.sum() < 2) or (value.ndim == 0 and not there[1]):
        return value.new_tensor(float("nan"))
    if value.ndim == 0:
        return value
    # To the last digit as torchmetrics averages them where every class has a text.
    return value[there].mean() if name == "auroc" else (value * there / there.sum()).sum()


def classification_metrics(n_classes: int) -> MetricCollection:
    """What the tables show, of probabilities (B,) of the second of two classes, or (B, C); with
    more than two classes scores but accuracy are (C,), one a class."""
    task: dict[str, Any] = {"task": "binary" if n_classes == 2 else "multiclass"}
    task["num_classes"] = n_classes
    scores = {"f1": F1Score, "precision": Precision, "recall": Recall, "auroc": AUROC}
    return MetricCollection(
        {
            "accuracy": Accuracy(**task, average="micro"),
            **{name: score(**task, average="none") for name, score in scores.items()},
            "confusion": ConfusionMatrix(**task),
        },
        compute_groups=False,
    )
