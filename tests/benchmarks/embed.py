"""`make base`, its last step: put a pretrained base into the package, with its card.

The card's figures come from pretraining.json, from the geometries that were tried (each a folder of
`loraexp pretrain`) and from the report of base.py.
"""

import argparse
import json
import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ASSET = ROOT / "src" / "loraexp" / "assets" / "nano"
RESULTS = Path(__file__).parent / "results"
FILES = ("model.safetensors", "config.json", "vocab.json", "merges.txt")
LIMIT = 8_000_000  # bytes in all
LICENCES = {
    "18f_blog.txt": "18F blog, public domain and CC0 1.0",
    "books_1.txt": "classic English books, public domain",
    "books_2.txt": "classic English books, public domain",
    "common_voice_en.txt": "Common Voice sentences (Mozilla), CC0 1.0",
    "gsm8k_train_questions.txt": "GSM8K training questions (OpenAI), MIT",
    "hwu64.txt": "HWU64 utterances (Liu et al.), CC BY 4.0",
    "multidogo_customer.txt": "MultiDoGO customer turns (AWS), CDLA-Permissive-1.0",
    "self_dialogue.txt": "Self-Dialogue Corpus (Fainberg et al.), BSD 3-Clause",
    "snips_train.txt": "Snips training utterances, CC0 1.0",
    "star.txt": "STAR dialogues (Rasa), MIT",
    "taskmaster3.txt": "Taskmaster-3 and -4 context turns (Google), CC BY 4.0",
    "taskmaster4.txt": "Taskmaster-4 (Google), CC BY 4.0",
    "tatoeba_en.txt": "Tatoeba, English sentences (tatoeba.org), CC BY 2.0 FR",
    "ubuntu_irc.txt": "Ubuntu IRC logs (Kummerfeld et al.), CC BY 4.0",
    "ubuntu_irc_extra.txt": "Ubuntu IRC logs, more of them, CC BY 4.0",
    "us_presidents.txt": "speeches of US presidents (from NLTK), public domain",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, nargs="?", help="folder of a pretraining to embed")
    parser.add_argument("--geometries", type=Path, nargs="*", default=[], help="folders tried")
    options = parser.parse_args()
    if options.base:
        embed(options.base)
    if options.geometries:
        reports = [brief(folder) for folder in options.geometries]
        write(RESULTS / "geometries.json", reports)
    (ASSET / "README.md").write_text(card(), encoding="utf-8")
    size = sum(file.stat().st_size for file in ASSET.iterdir())
    print(f"{ASSET}: {size:,} bytes")
    if size > LIMIT:
        raise SystemExit(f"more than {LIMIT:,} bytes")


def embed(base: Path) -> None:
    """Copy the base's files, and name its sha256 and geometry in conf/model/nano.yaml."""
    ASSET.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(base / name, ASSET / name)
    report = json.loads((base / "pretraining.json").read_text())
    write(RESULTS / "pretraining.json", report)
    digest = sha256((ASSET / "model.safetensors").read_bytes()).hexdigest()
    conf = ROOT / "conf" / "model" / "nano.yaml"
    text = re.sub(r"sha256: \w+", f"sha256: {digest}", conf.read_text())
    for key in ("n_layer", "n_head", "d_model", "context", "vocab_size"):
        text = re.sub(
            rf"^{key}: \d+$", f"{key}: {report['config']['model'][key]}", text, flags=re.M
        )
    conf.write_text(text)


def brief(folder: Path) -> dict[str, Any]:
    """What the card says of a geometry that was tried."""
    report = json.loads((folder / "pretraining.json").read_text())
    model = report["config"]["model"]
    accuracy = json.loads((folder / "report.json").read_text())["lines"]
    (line,) = [line for line in accuracy if line["arm"] == "lora r=8, mean"]
    return {
        **{key: model[key] for key in ("n_layer", "n_head", "d_model")},
        **{key: report[key] for key in ("parameters", "tokens_seen", "perplexity")},
        "seconds": report["seconds"]["fit"],
        **{key: line[key] for key in ("accuracy", "interval", "n")},
    }


def write(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def card() -> str:
    report = json.loads((RESULTS / "pretraining.json").read_text())
    model, optim = report["config"]["model"], report["config"]["optim"]
    return f"""# nano

A GPT-2 of {report["parameters"]:,} parameters ({model["n_layer"]} blocks of width
{model["d_model"]}, {model["n_head"]} heads, context {model["context"]}, {model["vocab_size"]:,} \
tokens), pretrained by this project so that
a first run of LoRA adapts something that has learnt a language. Weights in bf16, files in Hugging
Face format. It knows short, everyday English; it is no match for GPT-2 124M and not meant to be.

## How it was made

`make base` repeats it, from the texts to the files.

| | |
|---|---|
| texts | {len(report["files"])} files, {report["tokens"]:,} tokens; \
none of the sets it is tested on |
| training | {report["steps"]:,} steps, {report["tokens_seen"]:,} tokens; {optim["name"]}, rate \
{optim["lr"]:g}, {optim["schedule"]}, seed {report["config"]["seed"]} |
| held out | {report["held_out_tokens"]:,} tokens: perplexity {report["perplexity"]:.2f}, \
{report["bits_per_byte"]:.3f} bits a byte |
| took | {report["seconds"]["fit"]:,.0f} s on {report["device"]}, {report["precision"]} |

## Geometry

Some of about the same size, each given the same short training, then LoRA of rank 8 on the SMS
Spam Collection (book split):

{geometries()}

## What it is worth

{worth()}

`make base-report` repeats this: mean test accuracy and its 95 % interval (Student t) over the
seeds; learning rates chosen on validation texts. `sms_demo` was easier then: its messages
of before 2026-11-26.

## Texts and their licences

{chr(10).join(f"- {LICENCES[name]}" for name in report["files"])}

`held_out.txt` is what `inspect` measures forgetting on: whole lines of blocks that were held out,
of the public domain and CC0 alone (`tests/benchmarks/held_out.py` cuts it).

Changes made to them: text fields only, typographic signs and white space made plain, lines that are
not mostly ASCII letters dropped, repeated lines dropped, and every line that stands in a set used
here for testing dropped.
"""


def geometries() -> str:
    tried = json.loads((RESULTS / "geometries.json").read_text())
    if not tried:
        return "Not measured for this base; `make base-geometries` does it."
    rows = [
        "| blocks | width | heads | parameters | tokens | seconds | perplexity | LoRA r=8 | 95 % |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in tried:
        rows.append(
            f"| {one['n_layer']} | {one['d_model']} | {one['n_head']} | {one['parameters']:,} | "
            f"{one['tokens_seen']:,} | {one['seconds']:.0f} | {one['perplexity']:.1f} | "
            f"{one['accuracy']:.2%} | {one['interval'] or ''} |"
        )
    rule = (
        "Where the intervals overlap, accuracy cannot choose; then the lowest perplexity does,\n"
        "among those of at most 3.5M parameters."
    )
    return "\n".join([*rows, "", rule])


def worth() -> str:
    rows = [
        "| data | arm | rate | trainable | test | 95 % | n |",
        "|---|---|---:|---:|---:|---|---:|",
    ]
    for one in json.loads((RESULTS / "base.json").read_text())["lines"]:
        rate = f"{one['lr']:g}" if one["lr"] else ""
        trainable = f"{one['trainable']:,}" if one["trainable"] else ""
        rows.append(
            f"| {one['data']} | {one['arm']} | {rate} | {trainable} | {one['accuracy']:.2%} | "
            f"{one['interval'] or ''} | {one['n']} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    main()
