"""`make regret`: six claims of "LoRA Without Regret" on a base and data sets of yours.

Trains the grids of conf/experiment/regret (or goes on with them, or finds them finished), gives
each arm whose best rate lies at an end one more rate there until it lies inside, stores what was
measured (a row a run, no text of the data set), and says what comes of it. After a kill the same
command goes on.

Words are those of `train`, after the program's own: model=gpt2, workers=1; where they name data, on
that alone.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import regret_charts
import regret_page

from loraexp.records.record import Failure, Record
from loraexp.report.curves import read_curves
from loraexp.results.regret.finding import all_layers, usual_batch
from loraexp.results.regret.rows import Arm, Row, Tried, arms_of
from loraexp.runtime.atomic import write_whole
from loraexp.sweeps.shown.collect import collect

MOST = 9  # rates of an arm
BATCHES = "data.batch_size=96,256"
# In the order in which they are trained: the experiment and what is typed after it.
SWEEPS: Sequence[tuple[str, Sequence[str]]] = (
    ("rates", ()),
    ("full", ()),
    ("attention", ()),
    ("mlp", ()),
    ("batches", ()),
    ("full", (BATCHES,)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("outputs/regret"), help="of the runs")
    parser.add_argument("--out", type=Path, help="folder for results; that of the runs")
    parser.add_argument("--figures", type=Path, help="and for figures; beside the results")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="with commas")
    parser.add_argument("--only-write", action="store_true", help="of the runs that are there")
    options, typed = parser.parse_known_args()
    for name, data in sets_of(typed).items():
        folder = options.folder / name
        words = [*data, *typed, f"seed={options.seeds}", f"output_dir={folder}"]
        if not options.only_write:
            train_all(words, folder)
        out = (options.out or options.folder) / f"{name}.json"
        write_whole(out, stored(folder))
        found = json.loads(out.read_text(encoding="utf-8"))
        figures = (options.figures or out.parent) / name
        regret_charts.write(arms_of(map(Row.of, found["rows"])), figures)
        print(regret_page.terminal(name, found))


def sets_of(typed: Sequence[str]) -> dict[str, list[str]]:
    """The words of each data set, by its name."""
    if any(word.startswith(("data=", "data.path=")) for word in typed):
        return {"own": []}
    folder = Path(os.environ.get("LORAEXP_DATA_DIR", "../shared/data"))
    path = folder / "text_classification/banking77/train.csv"
    return {
        "banking77": [
            *("data=csv", f"data.path={path}", "data.label_column=category", "data.limit=4000")
        ],
        "sms_spam": ["data=sms_spam", "data.split=stratified", "data.limit=2000"],
    }


def train_all(words: Sequence[str], folder: Path) -> None:
    for experiment, own in SWEEPS:
        train(experiment, [*words, *own], folder)
    while more := [*wanted(rows(folder))]:
        for experiment, own in more:
            train(experiment, [*words, *own], folder)
    ranks = all_layers(arms_of(rows(folder)))
    train("control", [*words, f"optim.lr={ranks[max(ranks)].best_rate:g}"], folder)


def train(experiment: str, words: Sequence[str], folder: Path) -> None:
    """A sweep; runs that diverge are results, too. Its time is added to what was taken before."""
    command = [sys.executable, "-m", "loraexp", "train", f"experiment=regret/{experiment}", *words]
    print("\n" + " ".join(command[1:]), flush=True)
    began, before = time.monotonic(), processor()
    ended = subprocess.run(command).returncode
    if ended not in (0, 1):  # 1: some jobs failed
        sys.exit(ended)
    file = folder / "cost.json"
    cost = json.loads(file.read_text()) if file.is_file() else {"wall": 0.0, "processor": 0.0}
    cost["wall"] += time.monotonic() - began
    cost["processor"] += processor() - before
    write_whole(file, json.dumps(cost))


def processor() -> float:
    """Seconds of all cores that this program's processes have taken."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wanted(found: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """One more rate for each arm whose best is at an end, first those that lack a seed; arms that
    differ in rank go together."""
    asked = [
        (experiment_of(arm), arm.batch, rate, arm.rank)
        for arm, tried in arms_of(found).items()
        if arm.method != "rslora"
        for rate in tried.lacking() or further(tried)
    ]
    for (experiment, batch, rate), some in groupby(sorted(asked), key=lambda one: one[:3]):
        own = [f"optim.lr={rate:g}", f"data.batch_size={batch}"]
        ranks = ",".join(str(one[3]) for one in some)
        yield experiment, own + [f"lora.rank={ranks}"] * (experiment == "rates")


def further(tried: Tried) -> list[float]:
    rate = tried.rate_beyond()
    return [rate] if rate and len(tried.rates) < MOST else []


def experiment_of(arm: Arm) -> str:
    return "full" if arm.method == "full" else "rates" if arm.targets == "all" else arm.targets


def rows(folder: Path) -> list[Row]:
    """
    Raises:
        SystemExit: runs of more than one base, data set or length of training.
    """
    found = collect([str(folder / "train")], [])
    if len({setting(record.config) for record in found.records}) > 1:
        sys.exit(f"{folder} has runs of several settings: name another one with --folder")
    done = [row_of(record, path) for path, record in found.runs.items()]
    return done + [row_of(failure) for failure in found.beside.failures]


def setting(config: Any) -> str:
    """What all arms must share."""
    data = {key: value for key, value in config["data"].items() if key != "batch_size"}
    return json.dumps([config["model"], data, config["trainer"]])


def row_of(run: Record | Failure, folder: Path | None = None) -> Row:
    """The curve is read where all layers are adapted."""
    config: dict[str, Any] = run.config
    lora, full = config["lora"], config["method"] == "full"
    targets = lora["target_modules"]
    kind = "all" if full or targets == "all-linear" else "mlp" if "fc1" in targets else "attention"
    arm = Arm(config["method"], kind, 0 if full else lora["rank"], config["data"]["batch_size"])
    optim = config["optim"]
    rate, seed = optim["lr"] * optim["lr_factor"], config["seed"]
    if isinstance(run, Failure) or folder is None:
        return Row(arm, rate, seed, None, 0, [], [])
    loss, size = run.metrics["validation"]["loss"], int(run.counts["trainable"])
    steps, losses = read_curves(folder / "metrics.csv")["train_loss"] if kind == "all" else ([], [])
    return Row(arm, rate, seed, round(loss, 5), size, steps, [round(one, 4) for one in losses])


def stored(folder: Path) -> str:
    """As JSON, a line a run; curves only where they are compared, at the usual batch size."""
    found = collect([str(folder / "train")], []).records
    first, config = found[0], found[0].config
    about = {
        "model": config["model"]["name"],
        "width": config["model"]["d_model"],
        "alpha": config["lora"]["alpha"],
        "data": config["data"]["name"],
        "texts": first.data["n"],
        "classes": len(first.labels),
        "precision": first.precision,
        "device": first.device,
        "versions": first.versions,
        "seconds": json.loads((folder / "cost.json").read_text()),
    }
    measured = rows(folder)
    usual = usual_batch(arms_of(measured))
    kept = [r if r.arm.batch == usual else replace(r, steps=[], losses=[]) for r in measured]
    lines = sorted(json.dumps(row.as_dict()) for row in kept)
    return json.dumps(about, indent=1)[:-2] + ',\n "rows": [\n' + ",\n".join(lines) + "\n]}\n"


if __name__ == "__main__":
    main()
