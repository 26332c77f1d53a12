"""Every block of README.md and docs/ runs, in the order of its page; long ones are cut down."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import BLOCKS, ROOT, shorter, why_not_run, with_names

from loraexp.data.demo import demo_messages

FILES = ("Makefile", "README.md", "pyproject.toml", "requirements.lock")
COPIED = ("src", "conf", "tests", "docs", *FILES)


def checkout(folder: Path) -> Path:
    """A copy of this one, whose .venv has the Python of this test."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            nothing = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=nothing)
        else:
            shutil.copy(ROOT / name, folder / name)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    (folder / ".venv" / "installed").touch()
    return folder


def readers_files(folder: Path) -> None:
    """What a reader of the pages has: texts of two kinds, to learn from and to label."""
    rows = demo_messages()[:200]
    quoted = [(f'"{text.replace(chr(34), chr(39))}"', label) for label, text in rows]
    mine = ["text,label", *(f"{text},{label}" for text, label in quoted)]
    reviews = ["review,stars", *(f"{text},{1 if label == 'spam' else 5}" for text, label in quoted)]
    kinds = ["text,label", *mine[1:], *(f"what is {n} times {n},other" for n in range(9))]
    new = ["id,text,review", *(f"{n},{text},{text}" for n, (text, _) in enumerate(quoted[:5]))]
    for name, lines in {
        "mine.csv": mine,
        "reviews.csv": reviews,
        "intents.csv": kinds,
        "other.csv": reviews,
        "new.csv": new,
        "new.txt": [text for text, _ in quoted[:5]],
        "texts/all.txt": [f"{text}\n" for _, text in demo_messages()],
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({b.page for b in BLOCKS if b.language in ("sh", "python")}))
def test_every_block_of_a_page_runs(
    page: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """In the page's order, in one copy of the checkout, with an empty HOME and no network."""
    folder = checkout(tmp_path / "checkout")
    readers_files(folder)
    own = [block for block in BLOCKS if block.page == page]
    environment = {
        "PATH": f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(folder / "src"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),
        "HF_HUB_OFFLINE": "1",
        "WANDB_MODE": "offline",
    }
    if any(re.search("sms_spam|make sweep|experiment=book", block.text) for block in own):
        environment["LORAEXP_DATA_DIR"] = str(request.getfixturevalue("real_data"))
    (tmp_path / "home").mkdir()
    python = ""
    for block in own:
        steps = [shorter(c) for c in block.commands() if not why_not_run(c)]
        if block.language == "python":  # with what the blocks before it have made
            python += shorter(block.text)
            (folder / "block.py").write_text(python)
            steps = ["python block.py"]
        for step in steps:
            command = ["bash", "-eo", "pipefail", "-c", with_names(step, folder)]
            ran = subprocess.run(
                command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600
            )
            assert ran.returncode == 0, f"{page}:{block.line}: {step}\n{ran.stdout}{ran.stderr}"
