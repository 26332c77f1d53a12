"""Tab completion in real shells: what tab makes of a word is what may be typed there."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from itertools import cycle
from pathlib import Path

import pytest
from verbs import SCHEMAS, SUMMARIES, groups_of

from loraexp.commands import find_verb
from loraexp.config.completion import Table, table
from loraexp.config.keys import keys
from loraexp.config.shells import SHELLS

START = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}
BEFORE = {"bash": ":", "zsh": "autoload -U compinit; compinit -u -D"}
# Instead of both programs: says what it was given.
PROGRAMS = ("loraexp", "python -m loraexp")
SPEAK = 'loraexp() { printf \'<%s>\' "$@"; echo; }; python() { shift 2; loraexp "$@"; }'
# what is typed, tab behind it -> what loraexp is given
TYPED = {
    "train meth\tlora_f\t": "<train><method=lora_fa>",
    "train optim.war\t0,3": "<train><optim.warmup=0,3>",
    "train method=head,lora_f\t": "<train><method=head,lora_fa>",
    "reprod\t": "<reproduce>",
    "swe\tstat\t": "<sweep><status>",
    "train data.quo\tdou\t": "<train><data.quoting=double>",
    "table runs=[x,outp\t]": "<table><runs=[x,outputs]>",
    "export run=outp\ttrain/a\t": "<export><run=outputs/train/a-run>",
    "train zzz\t": "<train><zzz>",
}


@pytest.fixture(scope="module")
def words() -> Table:
    return table(map(find_verb, SUMMARIES), SUMMARIES)


@pytest.fixture
def there(tmp_path: Path, words: Table) -> Path:
    """A folder with a script for each shell, and a run of which only the name matters."""
    (tmp_path / "outputs" / "train" / "a-run").mkdir(parents=True)
    for shell, script in SHELLS.items():
        (tmp_path / f"completion.{shell}").write_text(script(words), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("verb", SUMMARIES)
def test_every_key_and_every_option_of_a_verb_is_there(verb: str, words: Table) -> None:
    values = {key: own for own, keys in words.values.items() for key in keys}
    listed = {word for word, _ in words.lines[verb]}
    for name, field in keys(SCHEMAS[verb]):
        assert f"{name}=" in listed
        choices = field.metadata["choices"]
        assert not choices or name in groups_of(verb) or values[f"{verb} {name}"] == choices
    for name, options in groups_of(verb).items():
        assert f"{name}=" in listed
        assert values[f"{verb} {name}"] == tuple(options)


@pytest.mark.parametrize("shell", START)
def test_tab_completes_verbs_keys_options_and_paths(shell: str, there: Path) -> None:
    lines = [f"{program} {line}" for line, program in zip(TYPED, cycle(PROGRAMS), strict=False)]
    if shell == "zsh":  # to which a bare [ is a pattern
        lines = [re.sub(r"(runs=\[.*\])", r"'\1'", line) for line in lines]
    said = [re.sub(r"/(?=[\]>])", "", line) for line in typed(shell, lines, there)]
    assert said == [*TYPED.values()]


# fish tells what it offers: what is typed -> that.
OFFERED = {
    "loraexp reprod": ["reproduce"],
    "python -m loraexp reprod": ["reproduce"],
    "python3 -m loraexp train method=head,lora_f": ["method=head,lora_fa"],
    "loraexp train data.quo": ["data.quoting="],
    "loraexp sweep stat": ["status"],
    "loraexp export run=outp": ["run=outputs/"],
    "loraexp train zzz": [],
    "python -m json reprod": [],
}


def test_fish_offers_the_same(there: Path) -> None:
    needed("fish")
    asked = "; ".join(f"complete -C '{line}'; echo ." for line in OFFERED)
    command = ["fish", "--no-config", "-c", f"source completion.fish; {asked}"]
    said = subprocess.run(command, cwd=there, capture_output=True, text=True, check=True)
    assert said.stderr == ""
    offers = [one.split("\n") for one in said.stdout.split(".\n")[:-1]]
    plain = [[line.partition("\t")[0] for line in lines if line] for lines in offers]
    assert plain == [*OFFERED.values()]


def test_tab_behind_another_program_of_python_completes_file_names(there: Path) -> None:
    line = r"python -m json outp	".replace(r"	", "	")
    assert typed("bash", [line], there) == ["<outputs/>"]


def needed(shell: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed here")


def typed(shell: str, lines: list[str], folder: Path) -> list[str]:
    """What is printed as each line is typed at a prompt of that shell, in a terminal."""
    needed(shell)
    ours, theirs = pty.openpty()
    env = {**os.environ, "HOME": str(folder), "TERM": "dumb", "PS1": "$ "}
    process = subprocess.Popen(
        START[shell],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    before = [BEFORE[shell], f". ./completion.{shell}", SPEAK]
    out = []
    try:
        for line in [*before, *lines]:
            os.write(ours, f'{line}\recho do""ne\r'.encode())
            out.append(heard(ours))
    finally:
        os.write(ours, b"\x15exit\r")
        process.kill()
        process.wait()
        os.close(ours)
    return [
        ("".join(re.findall(r"^<.*>\r?$", one, re.M)[-1:])).strip() for one in out[len(before) :]
    ]


def heard(terminal: int) -> str:
    text, end = "", time.monotonic() + 20
    while not re.search(r"^done\r?$", text, re.M):
        assert select.select([terminal], [], [], end - time.monotonic())[0], text
        text += os.read(terminal, 65536).decode()
    return text
