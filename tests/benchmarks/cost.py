"""`make bench`, second part: what each way takes of memory, and how long until it has learnt once.

Every way has a process of its own, so that peaks are its own; seconds count from the start of that
process, imports and all. Then a few whole commands, and the start of every verb: its `--help`, and
the smallest job it can be given. Nothing here passes or fails.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import drawn
from ways import WAYS, prepare, ways_in, write_base

from loraexp.commands import summaries
from loraexp.results.tables import to_terminal

START = time.perf_counter()
STEPS = 64  # memory grows with every new shape of a batch; of batches of one shape, 5 are enough
WHOLE = {
    "--help": "--help",
    "params, 4 models x 3 ranks": "params ranks=[4,8,16] "
    "models=[gpt2,gpt2-medium,gpt2-large,gpt2-xl]",
    "a run of nano, Enter to table": "train data=sms_demo",
}
# The smallest job of each verb, on a finished run, its adapter in peft's format, and a text.
JOBS = {
    "train": "debug=fast output_dir={new}",
    "plan": "train debug=fast probe=false",
    "choose": "runs=12 data.limit=40 trainer.max_epochs=1 output_dir={new}",
    "eval": "run={run}",
    "predict": "run={run} text=hello",
    "verify": "run={run}",
    "inspect": "runs=[{run}]",
    "merge": "run={run} out={new}",
    "export": "run={run} out={new}",
    "import": "peft={peft} out={new} model=nano",
    "completion": "bash",
    "combine": "runs=[{run},{run}] out={new}",
    "rank_curve": "run={run}",
    "params": "",
    "table": "runs=[{run}]",
    "runs": "runs=[{run}]",
    "report": "runs=[{run}] out={new}",
    "reproduce": "",
    "push": "folder={peft}",
    "prepare": "out={new}",
    "pretrain": "data.text=[{text}] out={new} model.tokenizer=bytes model.vocab_size=257",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--base", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(one_way(options)))
        return
    from loraexp.runtime.hardware import device_name, pick_precision, versions

    own = ways_in(pick_precision("auto", "cpu"))
    with tempfile.TemporaryDirectory() as folder:
        write_base(options.model, Path(folder))
        ways = [measured(way, options, folder) for way in own]
    starts = [{"what": what, "seconds": seconds(typed)} for what, typed in WHOLE.items()]
    starts.append({"what": "table of 1,000 records", "seconds": table_of_a_thousand()})
    found = {
        "device": device_name("cpu", 1),
        "versions": versions(),
        "batch": options.batch,
        "model": options.model,
        "ways": ways,
        "starts": starts,
        "verbs": each_verb(),
    }
    show(found)
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n")


def show(found: dict[str, Any]) -> None:
    print(to_terminal(drawn.memory(found["ways"])), end="\n\n")
    print(to_terminal(drawn.whole(found["starts"])), end="\n\n")
    print(to_terminal(drawn.verbs(found["verbs"])))


def measured(way: str, options: argparse.Namespace, folder: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--way", way, "--base", folder]
    command += ["--model", options.model, "--batch", str(options.batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one_way(options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: a few steps of one way."""
    prepare(options.way)
    from arms import build

    arm = build(options.way, options.model, options.base, "cpu")
    number = STEPS if arm.grouped else 5
    batches = arm.texts.batches(options.batch, 0, grouped=arm.grouped)[:number]
    arm.step(batches[0])
    first = time.perf_counter() - START
    for batch in batches[1:]:
        arm.step(batch)
    # The longest texts last: every way's peak is that of the same texts.
    arm.step(arm.texts.longest(options.batch))
    return {"way": options.way, "first_step": first, "peak": peak_bytes()}


def peak_bytes() -> int:
    """Of this process: getrusage's would also be that of the one that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


def seconds(typed: str) -> float:
    """The best of three, each in an empty folder; {new} is a name that is not taken there."""
    times = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as folder:
            times.append(in_folder(typed.format(new="new"), folder))
    return min(times)


def in_folder(typed: str, folder: str) -> float:
    command = [sys.executable, "-m", "loraexp", *typed.split()]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def each_verb() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        in_folder("train debug=fast output_dir=one", folder)
        (run,) = Path(folder).glob("one/train/*/")
        in_folder(f"export run={run} out=peft", folder)
        text = Path(folder) / "text.txt"
        text.write_text("".join(f"Line {n} of a plain text.\n" for n in range(2000)))
        there = {"run": run, "peft": Path(folder) / "peft", "text": text, "new": "{new}"}
        return [
            {
                "verb": verb,
                "help": seconds(f"{verb} --help"),
                "job": seconds(f"{verb} {JOBS[verb].format(**there)}"),
            }
            for verb in summaries()
        ]


def table_of_a_thousand() -> float:
    """Ten ranks x five learning rates x twenty seeds of one short run's record."""
    with tempfile.TemporaryDirectory() as name:
        in_folder("train debug=fast output_dir=one", name)
        (file,) = Path(name).glob("one/train/*/record.json")
        record = json.loads(file.read_text())
        for number in range(1000):
            record["config"]["seed"] = number % 20
            record["config"]["lora"]["rank"] = 2 ** (number // 20 % 10)
            record["config"]["optim"]["lr"] = 1e-3 * (1 + number // 200)
            folder = Path(name) / "many" / str(number)
            folder.mkdir(parents=True)
            (folder / "record.json").write_text(json.dumps(record))
        return seconds(f"table runs={name}/many by=[lora.rank]")


if __name__ == "__main__":
    main()
