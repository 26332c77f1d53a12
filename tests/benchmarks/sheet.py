"""`make bench-plan`: what `plan` says of a GPU by its data sheet; nothing is timed."""

import json
import tempfile
from pathlib import Path

from ladder import said

OUT = Path(__file__).parent / "results" / "sheet.json"
TYPED = "plan train model=gpt2 lora.rank=4,8,16 seed=0,1,2 -m device=h100"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines = said(Path(folder), TYPED, r"(work|memory|time|data|  )")
    OUT.write_text(json.dumps({"typed": TYPED, "said": lines}, indent=1) + "\n", encoding="utf-8")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
