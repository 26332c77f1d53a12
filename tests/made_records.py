"""Records as a run leaves them, with the settings and numbers a test asks for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from loraexp.config.schema import TrainConfig
from loraexp.config.stored import plain
from loraexp.records.record import Record

MakeRecord = Callable[..., Record]


def scores(accuracy: float) -> dict[str, Any]:
    return {
        "n": 300,
        "loss": 0.1312345678901234,
        "accuracy": accuracy,
        "auroc": 0.98765432101234,
        "f1": accuracy - 0.001,
        "precision": 0.97,
        "recall": 0.96,
        "confusion": [[148, 2], [5, 145]],
    }


def predicted() -> list[int]:
    """Those of `scores`: two ham texts called spam, five spam texts called ham."""
    return [1] * 2 + [0] * 148 + [0] * 5 + [1] * 145


def record(settings: Mapping[str, Any] | None = None, **changes: Any) -> Record:
    """LoRA of rank 8 on GPT-2 124M, as trained on the SMS texts.

    Args:
        settings: dotted keys of the config that differ from its defaults.
        changes: fields of the record that differ.
    """
    config = plain(TrainConfig())
    for key, value in (settings or {}).items():
        *groups, leaf = key.split(".")
        place = config
        for group in groups:
            place = place[group]
        place[leaf] = value
    made = Record(
        name="sms_spam-gpt2-lora-r8-seed0-0123abcd",
        config=config,
        labels=["ham", "spam"],
        data={
            "note": "a note",
            "synthetic": False,
            "n": {"train": 1045, "validation": 300, "test": 300},
            "warnings": [],
        },
        counts={
            "trainable": 591_360,
            "total": 125_031_168,
            "adapted_modules": 48,
            "low_rank_modules": 48,
            "percent": 0.4729700685703567,
            "adapter_bytes": 2_365_440,
        },
        metrics={
            "train": scores(0.9961722493171692),
            "validation": scores(0.9865771532058716),
            "test": scores(0.9733333587646484),
        },
        predictions={"test": {"true": [0] * 150 + [1] * 150, "predicted": predicted()}},
        mistakes=[{"text": "Free entry!", "true": 1, "predicted": 0, "chance": 0.98}],
        epochs=3,
        best_epoch=2,
        steps=393,
        seconds={"load": 1.5, "fit": 100.25, "evaluate": 9.5, "total": 111.25},
        texts_per_second=31.4159,
        peak_memory_bytes=1_655_828_480,
        precision="bf16",
        device="a CPU, 2 threads",
        versions={"python": "3.11.7", "torch": "2.13.0"},
        git_commit=None,
        hashes={"base": "b" * 64, "split": "c" * 64, "adapter": "a" * 64},
        finished="2026-11-23T19:02:03+00:00",
    )
    return replace(made, **changes)


@pytest.fixture
def make_record() -> MakeRecord:
    return record


@pytest.fixture(scope="module")
def make_records() -> MakeRecord:
    """As make_record, for fixtures that a whole file shares."""
    return record
