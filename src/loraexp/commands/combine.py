"""loraexp combine: the weighted sum of several runs' adapters, as a run."""

from pathlib import Path

from loraexp.quoting import pasted
from loraexp.results.escape import printable
from loraexp.schemas import CombineConfig


def run(config: CombineConfig, sweep: Path | None) -> None:
    from loraexp.training.combine import combine  # heavy: not at start

    found = combine(config)
    cut = "exact" if config.rank is None else f"{found.lost:.2%} of the sum lost by the cut"
    hint = f"python -m loraexp eval {pasted('run', config.out)}"
    print(printable(f"wrote {config.out}: rank {found.rank}, {cut}; {hint}"))
