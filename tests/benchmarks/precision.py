"""`make bench`, third part: does bf16 cost accuracy? The same runs in both precisions.

The embedded base on the SMS Spam Collection, r = 8 on q, k, v and out, tested as `table` tests any
two arms. Nothing here passes or fails.
"""

import argparse
import json
import tempfile
from pathlib import Path

from loraexp.api import configure
from loraexp.results.comparison import findings
from loraexp.results.tables import to_terminal
from loraexp.runtime.hardware import device_name, versions
from loraexp.training.run import train

PRECISIONS = ("fp32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("overrides", nargs="*", help="for every run, as after `train`")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        common = ("data=sms_spam", "logger=none", f"output_dir={folder}", *options.overrides)
        records = [
            train(configure(*common, f"trainer.precision={precision}", f"seed={seed}"))
            for seed in range(options.seeds)
            for precision in PRECISIONS
        ]
    found = findings(records, ["trainer.precision"], "trainer.precision=fp32")
    print(to_terminal(found.brief()), end="\n\n")
    if options.out:
        lines = [
            {
                "precision": record.precision,
                "seed": record.config["seed"],
                "validation_loss": record.metrics["validation"]["loss"],
                "test_accuracy": record.metrics["test"]["accuracy"],
                "fit_seconds": record.seconds["fit"],
            }
            for record in records
        ]
        head = {"device": device_name("cpu", 1), "versions": versions()}
        rows = [dict(zip(found.table.header, row, strict=True)) for row in found.table.rows]
        options.out.write_text(json.dumps({**head, "arms": rows, "runs": lines}, indent=2) + "\n")


if __name__ == "__main__":
    main()
