"""The ways that are timed against each other, and what each tells its process before torch is
imported. Each has a process of its own, with the settings that its users have."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

OURS, COMPILED = "loraexp", "loraexp, compiled"
BEST = {"autocast": True, "bf16_base": True, "tuned": True}
FP32 = {"autocast": False}
WAYS: dict[str, dict[str, Any]] = {  # what arms.ours or arms.peft is given
    OURS: {},
    COMPILED: {"compiled": True},
    "peft, autocast": {"autocast": True},
    "peft, bf16 base": {"autocast": True, "bf16_base": True},
    "peft, tuned": BEST,
    "peft, tuned, compiled": {**BEST, "compiled": True},
    "peft, fp32": FP32,
    "peft, tuned, fp32": {**FP32, "tuned": True},
    "peft, tuned, fp32, compiled": {**FP32, "tuned": True, "compiled": True},
    "tutorial: pad to 120, fp32": {**FP32, "pad_to": 120},
}


def ways_in(precision: str) -> list[str]:
    """Ours and the tutorial, and of peft's those that multiply in the precision that ours does:
    where bf16 is emulated, a way in bf16 would take minutes for nothing."""
    bf16 = precision == "bf16"
    return [
        way
        for way, given in WAYS.items()
        if "autocast" not in given or "pad_to" in given or given["autocast"] == bf16
    ]


def prepare(way: str) -> None:
    """What the import of loraexp sets; peft's processes are left as they start."""
    if way in (OURS, COMPILED):
        import loraexp  # noqa: F401


class Worker:
    """A process that answers each line of JSON with one."""

    def __init__(self, script: str, *arguments: str) -> None:
        command = [sys.executable, script, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **question: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(question), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args}: ended with {self.process.wait()}")
        return json.loads(answer)

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


@contextmanager
def workers(
    script: str, ways: Sequence[str], model: str, *more: str
) -> Iterator[dict[str, Worker]]:
    """A process of `script` for each way, on one base, started one after another."""
    with ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory())
        write_base(model, Path(base))
        found = {}
        for way in ways:
            found[way] = Worker(script, "--way", way, "--base", base, "--model", model, *more)
            stack.callback(found[way].end)
        yield found


def write_base(model: str, folder: Path) -> None:
    """A random base in the format that all ways read."""
    import torch
    import transformers

    from loraexp.api import configure

    m = configure(f"model={model}", "model.weights=random", "model.tokenizer=bytes").model
    geometry = transformers.GPT2Config(
        n_layer=m.n_layer,
        n_head=m.n_head,
        n_embd=m.d_model,
        num_labels=2,
        # as our default has it; transformers' of 0.1 rules out its fused attention
        attn_pdrop=0.0,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
    )
    torch.manual_seed(0)
    transformers.GPT2ForSequenceClassification(geometry).save_pretrained(folder)
