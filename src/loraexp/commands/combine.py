"""loraexp combine: add, subtract, average adapters; cut the sum to a rank."""

from dataclasses import dataclass

from loraexp.config.keys import FLOAT32, key
from loraexp.config.quoting import pasted
from loraexp.runtime.escape import printable


@dataclass
class CombineConfig:
    """loraexp combine"""

    runs: list[str] = key(
        [], "folders of finished runs on one base; the head is the first one's", path=True
    )
    weights: list[float] = key(
        [],
        "what each adapter's change is multiplied by; 1 each if empty",
        least=-FLOAT32,
        most=FLOAT32,
    )
    rank: int | None = key(None, "cut the sum to this rank; null keeps it exact", least=1)
    out: str = key("???", "new folder for the sum as a run", path=True, text=True)


def run(config: CombineConfig) -> None:
    from loraexp.tools.combining import combine  # heavy: not at start

    combined = combine(**vars(config))
    cut = "exact" if config.rank is None else f"{combined.lost:.2%} of the sum lost by the cut"
    hint = f"python -m loraexp eval {pasted('run', config.out, text=True)}"
    print(printable(f"wrote {config.out}: rank {combined.rank}, {cut}; {hint}"))
