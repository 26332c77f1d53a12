"""A record as a notebook shows it: what was trained on what, how good it is, what to doubt."""

from typing import TYPE_CHECKING, Any

from loraexp.runtime.notebook import html_notes, html_table

if TYPE_CHECKING:
    from loraexp.records.record import Record


class InNotebook:
    """What Record has of it."""

    def _repr_html_(self: "Record") -> str:  # type: ignore[misc]
        config, counts = self.config, self.counts
        rate = config["optim"]["lr"] * config["optim"]["lr_factor"]
        rows = [
            ("run", self.name),
            ("data", self.data["note"]),
            ("method", f"{config['method']} on {config['model']['name']}, lr {rate:g}"),
            ("trainable", f"{counts['trainable']:,} ({counts['percent']:.2f} %)"),
            *((f"{split} accuracy", in_words(scores)) for split, scores in self.metrics.items()),
            ("seconds", f"{self.seconds['total']:.0f}"),
        ]
        notes = [f"Warning: {one}" for one in self.data.get("warnings", ())]
        if len(self.labels) == 2:
            notes.insert(0, f"F1 is that of {self.labels[1]!r}.")
        return html_table(rows, [True, True]) + html_notes(notes)


def in_words(scores: dict[str, Any]) -> str:
    f1 = "" if scores["f1"] is None else f", F1 {100 * scores['f1']:.1f} %"
    return f"{100 * scores['accuracy']:.1f} % of {scores['n']:,} texts{f1}"
