"""Six claims of "LoRA Without Regret" (Schulman et al. 2025, Thinking Machines), each with what is
compared, over every seed, and with the region that counts as holding."""

from loraexp.results.regret.finding import Arms, Finding
from loraexp.results.regret.of_best_rates import batches, layers, same_rate, ten_times
from loraexp.results.regret.of_curves import capacity, same_start


def findings(arms: Arms) -> list[Finding]:
    """All six, in their order."""
    return [claim(arms) for claim in (ten_times, same_rate, same_start, layers, batches, capacity)]
