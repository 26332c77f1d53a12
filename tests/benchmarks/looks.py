"""What `seeds=auto` saves: simulated sweeps with declared looks beside all their seeds at once.

    python tests/benchmarks/looks.py --out outputs/looks.json

Prints one row a case: by how much which arms are worse, what a fixed sweep of the most seeds finds,
and what a sequential one finds with how many runs. Found: every worse arm is told worse.
"""

import argparse
import gc
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from made_marks import accuracy, made_marks, sweep

from loraexp.results import looks as module
from loraexp.stats.looks import SHAPES, Decision, Looks, decide
from loraexp.stats.significance import Correct

CASES = {
    "none worse": (0.0, 0.0, 0.0, 0.0, 0.0),
    "4 of 5 worse, less": (0.0, -0.5, -0.5, -0.5, -0.5),
    "4 of 5 worse": (0.0, -0.7, -0.7, -0.7, -0.7),
    "4 of 5 worse, more": (0.0, -1.0, -1.0, -1.0, -1.0),
    "1 of 5 worse": (0.0, 0.0, 0.0, 0.0, -0.7),
    "each worse than the last": (0.0, -0.7, -1.1, -1.5, -2.0),
    "1 of 2 worse": (0.0, -0.7),
}
HEADINGS = (
    "case",
    "points",
    "runs",
    "found",
    "false",
    "bound",
    "runs",
    "all arms",
    "found",
    "false",
)


def remembering(p: Callable[..., float]) -> Callable[..., float]:
    """Of the same marks, which come again at each look and in each way to sweep."""
    known: dict[tuple[bytes, bytes], float] = {}

    def found(one: Correct, other: Correct) -> float:
        key = one.tobytes(), other.tobytes()
        if key not in known:
            known[key] = p(one, other)
        return known[key]

    return found


def points(effects: Sequence[float]) -> float:
    """By how much the first worse arm is, in accuracy points."""
    worse = max((effect for effect in effects if effect < 0), default=0.0)
    return 100 * (accuracy(0.0) - accuracy(worse))


def found(decisions: Sequence[Decision], effects: Sequence[float]) -> tuple[bool, bool]:
    """Are all worse arms told worse; is any told worse that is not worse than the other?"""
    effect = {f"arm {number}": value for number, value in enumerate(effects)}
    told = [(d.worse, d.one if d.worse == d.other else d.other) for d in decisions if d.worse]
    right = {worse for worse, better in told if effect[worse] < effect[better]}
    false = any(effect[worse] >= effect[better] for worse, better in told)
    return {arm for arm, value in effect.items() if value < max(effects)} <= right, false


def row(case: str, looks: Looks, texts: int, sweeps: int) -> dict[str, str | float]:
    effects, rng = CASES[case], np.random.default_rng(0)
    once, seeds = Looks((looks.seeds[-1],)), looks.seeds[-1]
    fixed, sequential, runs, without_dropping = [], [], [], []
    once_computed = module.p_of_difference
    for _ in range(sweeps):
        module.p_of_difference = remembering(once_computed)  # type: ignore[assignment]
        marks = made_marks(effects, seeds, texts, rng)
        fixed.append(found(decide(once, 1, marks), effects))
        decisions, used = sweep(looks, marks)
        sequential.append(found(decisions, effects))
        runs.append(used)
        without_dropping.append(sweep(looks, marks, drop=False)[1])
    module.p_of_difference = once_computed
    power, false = np.mean(fixed, 0)
    power_then, false_then = np.mean(sequential, 0)
    return {
        "case": case,
        "points": round(points(effects), 1),
        "fixed_runs": len(effects) * seeds,
        "fixed_found": float(power),
        "fixed_false": float(false),
        "bound": looks.bound,
        "runs": float(np.mean(runs)),
        "runs_of_all_arms": float(np.mean(without_dropping)),
        "found": float(power_then),
        "false": float(false_then),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 8, 12])
    parser.add_argument("--texts", type=int, default=300)
    parser.add_argument("--sweeps", type=int, default=300)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    gc.collect = lambda *generation: 0  # type: ignore[assignment]  # statsmodels calls it each time
    rows = []
    print(f"looks at {args.seeds} seeds, {args.texts} texts, {args.sweeps} sweeps a row")
    print("{:25} {:>6} {:>5} {:>5} {:>5} {:>14} {:>5} {:>8} {:>5} {:>5}".format(*HEADINGS))
    for case in CASES:
        for bound in SHAPES:
            rows.append(row(case, Looks((*args.seeds,), bound), args.texts, args.sweeps))
            print(
                "{:25} {:6.1f} {:5} {:5.2f} {:5.3f} {:>14} {:5.1f} {:8.1f} {:5.2f} {:5.3f}".format(
                    *rows[-1].values()
                ),
                flush=True,
            )
    if args.out:
        settings = {name: value for name, value in vars(args).items() if name != "out"}
        args.out.write_text(json.dumps({**settings, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
