"""A model card for the Hugging Face hub: metadata that the hub reads, and what the record says.

The keys of the metadata are those of the hub's specification (huggingface/hub-docs, modelcard.md).
No path of this machine and no text of the data is in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from loraexp.config.schema import TrainConfig
from loraexp.errors import UserError
from loraexp.records.record import Record
from loraexp.results.comparison import Findings
from loraexp.results.tables import to_markdown
from loraexp.runtime.escape import markdown_notes, markdown_safe
from loraexp.stats.significance import wilson_interval

TASK = "text-classification"
NO_LICENSE = "No licence was chosen: whoever reads this may not assume one."


@dataclass(frozen=True)
class Terms:
    """What nobody but the author knows.

    Args:
        license: an identifier of the hub's list, or other; empty: none is named.
        name, link: of a licence that is in no list.
        data: the licence of the texts, in words.
        language: of the texts, ISO 639-1; empty: none is named.
    """

    license: str = ""
    name: str = ""
    link: str = ""
    data: str = ""
    language: str = ""

    def check(self) -> None:
        """
        Raises:
            UserError: a name without license=other, or that without a name.
        """
        if bool(self.name) != (self.license == "other"):
            raise UserError(
                f"license_name goes with license=other, got license={self.license or 'nothing'} "
                f"and license_name={self.name or 'nothing'}"
            )

    def metadata(self) -> dict[str, str]:
        known = {"license": self.license, "license_name": self.name, "license_link": self.link}
        return {key: value for key, value in {**known, "language": self.language}.items() if value}


def card(
    name: str,
    config: TrainConfig,
    labels: Sequence[str],
    record: Record | None,
    terms: Terms,
    evidence: Findings | None,
    opened: str,
) -> str:
    """README.md: metadata, results, evidence, data, licence, and how peft opens it.

    Args:
        record: None of an adapter that was imported: nothing of it was measured.
        evidence: a comparison that the run is part of.
        opened: the README of an export.
    """
    parts = [
        f"---\n{yaml.safe_dump(metadata(name, config, record, terms), sort_keys=False)}---\n",
        f"# {markdown_safe(name)}\n",
        f"{markdown_safe(config.method)} on {markdown_safe(config.model.name)}: a classifier of "
        f"texts as one of {', '.join(map(markdown_safe, labels))}. Trained with loraexp.\n",
        "## Results\n",
        *results(config, record),
    ]
    if evidence:
        parts += ["## Evidence\n", f"{to_markdown(evidence.table.filled())}\n"]
        parts += [f"{markdown_notes(evidence.notes)}\n"]
    parts += ["## Data\n", *of_data(config, record, terms), "## Licence\n"]
    named = terms.name or terms.license
    parts += [f"{markdown_safe(f'{named} {terms.link}')}\n" if named else f"{NO_LICENSE}\n"]
    return "\n".join([*parts, opened.replace("# An adapter in", "## An adapter in", 1)])


def metadata(name: str, config: TrainConfig, record: Record | None, terms: Terms) -> dict[str, Any]:
    found: dict[str, Any] = {**terms.metadata(), "library_name": "peft", "pipeline_tag": TASK}
    found["tags"] = ["loraexp", config.method, "gpt2"]
    if config.model.weights == "hub":
        found["base_model"] = config.model.repo
    if record and measured(config):
        scores = record.metrics["test"]
        kinds = {kind: scores[kind] for kind in ("accuracy", "f1") if scores[kind] is not None}
        values = [{"type": kind, "value": round(value, 6)} for kind, value in kinds.items()]
        own = {"name": config.data.name, "type": config.data.name, "split": "test"}
        task = {"type": TASK, "name": "Text Classification"}
        found["metrics"] = [*kinds]
        result = {"task": task, "dataset": own, "metrics": values}
        found["model-index"] = [{"name": name, "results": [result]}]
    return found


def measured(config: TrainConfig) -> bool:
    """data.split=all holds nothing out."""
    return config.data.split != "all"


def results(config: TrainConfig, record: Record | None) -> list[str]:
    if record is None:
        return ["The adapter was imported or computed from others: nothing was measured.\n"]
    if not measured(config):
        return ["Every text was trained on (data.split=all): nothing was measured.\n"]
    rows = [
        "| split | texts | accuracy | 95 % over the texts | F1 |",
        "| :-- | --: | --: | :-- | --: |",
    ]
    for split, scores in record.metrics.items():
        low, high = wilson_interval(scores["accuracy"], scores["n"]).ends or (0.0, 1.0)
        f1 = "" if scores["f1"] is None else f"{100 * scores['f1']:.1f}"
        rows.append(
            f"| {split} | {scores['n']:,} | {100 * scores['accuracy']:.1f} | "
            f"{100 * low:.1f}-{100 * high:.1f} | {f1} |"
        )
    said = f"One run, seed {config.seed}; another seed gives another figure.\n"
    return ["\n".join(rows) + "\n", said]


def of_data(config: TrainConfig, record: Record | None, terms: Terms) -> list[str]:
    lines = [f"- name: {markdown_safe(config.data.name)}"]
    if record:
        sizes = ", ".join(f"{n:,} {split}" for split, n in record.data["n"].items())
        lines += [f"- texts: {sizes}", f"- sha256 of the split: {record.hashes['split']}"]
        lines += [f"- {markdown_safe(line)}" for line in record.data.get("warnings", ())]
        if record.data["synthetic"]:
            lines += ["- synthetic: made by a program, not by people"]
    lines += [f"- licence: {markdown_safe(terms.data) or 'not named'}"]
    return ["\n".join(lines) + "\n"]
