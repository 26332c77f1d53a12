"""loraexp rank_curve: cut a run's adapter to every lower rank: which is enough."""

from dataclasses import dataclass
from pathlib import Path

from loraexp.config.keys import key, one_of
from loraexp.results.tables import FORMATS, Column, Table, percent

COLUMNS = (
    Column("rank", "rank"),
    Column("lost", "lost of the update", percent(1)),
    Column("validation_accuracy", "val", percent(1)),
    Column("validation_loss", "val loss", lambda loss: f"{loss:.4f}"),
    Column("mark", "", words=True),
)


@dataclass
class RankCurveConfig:
    """loraexp rank_curve"""

    run: str = key("???", "folder of a finished run", path=True, text=True)
    format: str = one_of("table", *FORMATS)


def run(config: RankCurveConfig) -> None:
    from loraexp.tools.rank_cuts import rank_curve  # heavy: not at start

    curve = rank_curve(Path(config.run))
    rows = [
        [cut.rank, cut.error, cut.accuracy, cut.loss, "enough" if cut.rank == curve.enough else ""]
        for cut in curve.cuts
    ]
    print(FORMATS[config.format](Table(COLUMNS, rows)))
    if config.format == "table":
        print(
            f"\nrank {curve.enough} is the smallest within one standard error of the best; "
            f"its test accuracy is {curve.test_accuracy:.1%}"
        )
        if curve.nested:
            print(
                "each row keeps the first ranks as they were trained, alpha over their number, and "
                "not the closest change: more than the update may be lost"
            )
