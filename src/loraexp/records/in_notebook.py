"""A record as a notebook shows it: what was trained on what, how good it is, what to doubt."""

from typing import TYPE_CHECKING, Any

from loraexp.runtime.notebook import html_notes, html_table

if TYPE_CHECKING:
    from loraexp.records.record import Record


class InNotebook:
    """What Record has of it."""

    def _repr_html_(self: "Record") -> str:  # type: ignore[misc]
        config, counts = self.config, self.counts
        rows = [
            ("run", self.name),
            ("data", self.data["note"]),
            ("method", f"{config['method']} on {config['model']['name']}"),
            ("trainable", f"{counts['trainable']:,} ({counts['percent']:.2f} %)"),
            *((f"{split} accuracy", in_words(scores)) for split, scores in self.metrics.items()),
            ("seconds", f"{self.seconds['total']:.0f}"),
        ]
        warnings = html_notes([f"Warning: {one}" for one in self.data.get("warnings", ())])
        return html_table(rows, [True, True]) + warnings


def in_words(scores: dict[str, Any]) -> str:
    f1 = "" if scores["f1"] is None else f", F1 {100 * scores['f1']:.1f} %"
    return f"{100 * scores['accuracy']:.1f} % of {scores['n']:,} texts{f1}"
