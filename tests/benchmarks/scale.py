"""`make scale`: how cost grows with the length of texts, the batch, the model and the data.

Training steps of loraexp with r = 8 on q, k, v and out, random weights, random tokens, and for each
length peft's; then how much faster an epoch is where the first blocks are frozen; then memory while
it predicts files of 10^3 to 10^6 texts. Nothing here passes or fails.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import drawn
import torch
from arms import Arm, Texts, ours, peft
from drawn import PEERS
from ways import WAYS, write_base

from loraexp.api import configure
from loraexp.results.tables import to_terminal
from loraexp.runtime.hardware import device_name, versions

LENGTHS, BATCHES = (16, 32, 64, 128, 256, 512, 1024), (1, 4, 16, 64, 256)
MODELS, SIZES = ("nano", "distilgpt2", "gpt2", "gpt2-medium"), (10**3, 10**4, 10**5, 10**6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each line")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    steps = [
        *(step("gpt2", length, 8, options) for length in LENGTHS),
        *(step("gpt2", 32, batch, options) for batch in BATCHES),
        *(step(model, 32, 8, options) for model in options.models),
    ]
    show(steps, drawn.STEP)
    with tempfile.TemporaryDirectory() as folder:
        write_base("gpt2", Path(folder))
        beside = [beside_peft(step, Path(folder), options) for step in steps[: len(LENGTHS)]]
    show(beside, drawn.BESIDE)
    frozen = [epochs(method) for method in ("head", "last_block")]
    show(frozen, drawn.FROZEN)
    streams = [stream(size) for size in options.sizes]
    show(streams, drawn.STREAM)
    if options.out:
        head = {
            "device": device_name("gpu" if options.device == "cuda" else "cpu", 1),
            "versions": versions(),
        }
        content = {**head, "steps": steps, "beside": beside, "frozen": frozen, "streams": streams}
        options.out.write_text(json.dumps(content, indent=2) + "\n")


def show(lines: list[dict[str, Any]], keys: tuple[str, ...]) -> None:
    print(to_terminal(drawn.plain(lines, keys)), end="\n\n")


def step(model: str, length: int, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    config = configure(f"model={model}", "model.weights=random", "model.tokenizer=bytes")
    length = min(length, config.model.context)
    config.model.tokenizer, config.model.vocab_size = "bytes", 257
    rate = texts_per_second(ours(config, random_texts(length, batch), options.device), options)
    found = {"model": model, "length": length, "batch": batch, "texts_per_second": rate}
    return {**found, "tokens_per_second": rate * length}


def beside_peft(step: dict[str, Any], base: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The same step in peft's ways, in this process: peft too has what importing loraexp gives."""
    texts = random_texts(step["length"], step["batch"])
    rates = {
        name: texts_per_second(peft(base, texts, options.device, **WAYS[name]), options)
        for name in PEERS
    }
    found = {"length": step["length"], "batch": step["batch"], "loraexp": step["texts_per_second"]}
    return {**found, **rates, "ratio": step["texts_per_second"] / max(rates.values())}


def random_texts(length: int, batch: int) -> Texts:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, 256, (batch, length), generator=generator).tolist()
    return Texts(rows, [i % 2 for i in range(batch)])


def texts_per_second(arm: Arm, options: argparse.Namespace) -> float:
    batch = [*range(len(arm.texts.rows))]
    for _ in range(3):  # memory is still being found in the second
        arm.step(batch)
    done, started = 0, time.perf_counter()
    while time.perf_counter() - started < options.seconds or done == 0:
        arm.step(batch)
        done += len(batch)
    return done / (time.perf_counter() - started)


def epochs(method: str) -> dict[str, Any]:
    """Seconds to fit five epochs of nano, with and without the states of frozen blocks kept."""
    from loraexp.training import fit as fitting
    from loraexp.training.callbacks.prefix_cache import PrefixCaching
    from loraexp.training.run import train

    class Anew(PrefixCaching):
        def on_train_start(self, *_: object) -> None:
            """Nothing is kept."""

    kept, found = fitting.PrefixCaching, {}
    for name, kind in (("computed_anew", Anew), ("kept", kept)):
        fitting.PrefixCaching = kind  # type: ignore[misc]
        with tempfile.TemporaryDirectory() as folder:
            typed = (f"method={method}", "trainer.max_epochs=5", "logger=none")
            record = train(configure(*typed, f"output_dir={folder}"))
            found[name] = record.seconds["fit"]
    fitting.PrefixCaching = kept  # type: ignore[misc]
    return {"method": method, **found, "ratio": found["computed_anew"] / found["kept"]}


def stream(size: int) -> dict[str, Any]:
    """`predict` on a file of generated texts, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = [sys.executable, "-m", "loraexp", "train", "debug=fast", f"output_dir={name}"]
        subprocess.run(run, check=True, capture_output=True)
        (made,) = folder.glob("train/*")
        with (folder / "texts.csv").open("w") as file:
            file.write("text\n")
            file.writelines(f"message {i}: call me at {i % 24} o'clock\n" for i in range(size))
        command = [sys.executable, "-c", PREDICT, str(made), str(folder / "texts.csv"), name]
        started = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - started
    peak = int(done.stdout.splitlines()[-1])
    rate = {"texts": size, "seconds": seconds, "texts_per_second": size / seconds}
    return {**rate, "peak_MB": peak * 1.024e-3}


# Not getrusage: its peak is also that of the process that started this one.
PREDICT = """
import re, sys
from loraexp.cli import main
run, file, out = sys.argv[1:]
sys.argv[1:] = ["predict", f"run={run}", f"file={file}", f"out={out}/labels.csv"]
main()
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


if __name__ == "__main__":
    main()
