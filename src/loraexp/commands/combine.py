"""loraexp combine: the weighted sum of several runs' adapters, as a run."""

from pathlib import Path

from loraexp.config.quoting import pasted
from loraexp.config.schemas import CombineConfig
from loraexp.runtime.escape import printable


def run(config: CombineConfig, sweep: Path | None) -> None:
    from loraexp.tools.combining import combine  # heavy: not at start

    found = combine(config)
    cut = "exact" if config.rank is None else f"{found.lost:.2%} of the sum lost by the cut"
    hint = f"python -m loraexp eval {pasted('run', config.out)}"
    print(printable(f"wrote {config.out}: rank {found.rank}, {cut}; {hint}"))
