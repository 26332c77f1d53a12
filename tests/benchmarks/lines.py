"""`make bench-lines`: LoRA beside lines without a network on two real sets, and a false winner.

Each sweep is run or gone on with, and its table, notes and last words are kept. Nothing here passes
or fails.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loraexp.results.answer import answer
from loraexp.results.comparison import findings
from loraexp.results.tables import to_terminal
from loraexp.runtime import hardware
from loraexp.sweeps.shown.collect import collect

BANKING = "${oc.env:LORAEXP_DATA_DIR}/text_classification/banking77"
# As `make base-report` found it on validation texts, its learning rates too.
RECIPE = (
    *("lora.target_modules=all-linear", "lora.dropout=0.1", "optim.schedule=cosine"),
    *("trainer.keep=last", "seed=0,1,2", "-m"),
)


@dataclass(frozen=True)
class Table:
    """A sweep and how it is shown.

    Args:
        words: of `train`.
        baselines: with the lines without a network.
    """

    words: tuple[str, ...]
    baselines: bool = False


FALSE_WINNER = ("experiment=false_winner", "data=sms_spam")
TABLES = {
    "sms": Table(
        (
            *("data=sms_spam", "lora.rank=8", "data.batch_size=16", "trainer.max_epochs=8"),
            *("optim.lr=2e-3", *RECIPE),
        ),
        baselines=True,
    ),
    "banking77": Table(
        (
            *("data=csv", f"data.path={BANKING}", "data.label_column=category", "lora.rank=16"),
            *("head.pooling=mean", "data.batch_size=32", "trainer.max_epochs=4", "optim.lr=4e-3"),
            *RECIPE,
        ),
        baselines=True,
    ),
    "shared_rate": Table(FALSE_WINNER),
    "tuned_rates": Table((*FALSE_WINNER, "tune=lr")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("outputs/lines"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=[*TABLES])
    options = parser.parse_args()
    content: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    content |= {"device": hardware.device_name("cpu", 1), "versions": hardware.versions()}
    for name in options.only:
        content[name] = told(TABLES[name], options.folder.resolve())
        print(*content[name]["table"], *content[name]["last"], sep="\n")
    options.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def told(table: Table, outputs: Path) -> dict[str, Any]:
    """Of the sweep, run if it is not there yet."""
    sweep = [*table.words, "logger=none", f"output_dir={outputs}"]
    subprocess.run([sys.executable, "-m", "loraexp", "train", *sweep], check=True)
    latest = max((outputs / "sweeps").iterdir(), key=lambda path: path.name)
    found = collect([str(latest)], [], table.baselines)
    result = findings(found.records, ["method"], beside=found.beside)
    return {
        "command": " ".join(["train", *table.words]),
        "seconds": sum(record.seconds["total"] for record in found.records),
        "table": to_terminal(result.brief(80), 80).splitlines(),
        "how": result.how,
        "reasons": result.reasons,
        "answer": answer(result.arms, result.by, result.against),
        "last": result.last,
    }


if __name__ == "__main__":
    main()
