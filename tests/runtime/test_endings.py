"""However a command is ended: a line, a status, no traceback, and nothing hangs."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from loraexp.errors import UserError
from loraexp.runtime import endings
from loraexp.runtime.endings import SIGNALS, line_of, outcome

LOCALES = [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "latin-1"}, {"PYTHONUTF8": "0", "LC_ALL": "POSIX"}]


def command(*typed: str, shell: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    """A command in a shell, with redirections as a person types them."""
    line = [sys.executable, "-m", "loraexp", *typed]
    run = ["sh", "-c", f'exec "$@" {shell}', "sh", *line]
    more["env"] = {**os.environ, **more.get("env", {})}
    return subprocess.run(run, capture_output=True, text=True, timeout=120, **more)


def ended(error: BaseException | None, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def work() -> None:
        if error is not None:
            raise error

    handlers = {name: signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    hook = sys.unraisablehook
    try:
        return outcome(work), capsys.readouterr().err
    finally:
        sys.unraisablehook = hook
        for name, handler in handlers.items():
            signal.signal(getattr(signal, name), handler)


def test_a_bug_of_ours_is_one_line_and_its_traceback_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    status, said = ended(ValueError("a\x1b[2Jb\nc"), capsys)
    assert status == 1
    assert said.count("\n") == 1
    assert said.startswith(r"loraexp stopped on an error of its own: ValueError: a\x1b[2Jb\nc")
    (file,) = tmp_path.iterdir()
    assert str(file) in said
    assert "Traceback" in file.read_text()


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (None, 0, ""),
        (UserError("x must be y"), 2, "error: x must be y\n"),
        (UserError("forged\nerror: x"), 2, "error: forged\\nerror: x\n"),
        (PermissionError(13, "Permission denied", "/a/b"), 2, "error: Permission denied: /a/b\n"),
        (OSError(28, "No space left on device"), 2, "error: No space left on device\n"),
        (MemoryError(), 2, "error: out of memory\n"),
        (KeyboardInterrupt(), 130, f"interrupted: {endings.GO_ON}\n"),
        (BrokenPipeError(), 0, ""),
        (SystemExit(1), 1, ""),
    ],
)
def test_every_end_has_its_line_and_status(
    error: BaseException | None, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(error, capsys) == (status, said)


def test_a_long_name_is_cut_in_a_message_and_a_short_one_is_not() -> None:
    line = line_of(f"error: no file {'a' * 5000} there")
    assert len(line) < 300
    assert line.startswith("error: no file aaa")
    assert line.endswith("aaa there")
    assert line_of("error: no file a b") == "error: no file a b"
    assert line_of("\u202ex\x9b") == r"\u202ex\x9b"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGINT"])
def test_a_signal_at_start_up_is_a_word_and_128_more(name: str, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "loraexp", "predict", "run=nowhere"]
    number = getattr(signal, name)
    with subprocess.Popen(
        run, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert process.stderr is not None
        deadline = time.monotonic() + 60
        while not listens(process.pid, number) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 128 + number
    assert said == f"{SIGNALS[name]}: {endings.GO_ON}\n"


def test_a_signal_that_a_library_drops_ends_the_command_all_the_same() -> None:
    script = (
        "import os, signal, sys, time\n"
        "from loraexp.runtime.endings import outcome\n"
        "def work():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        time.sleep(60)\n"
        "    except:\n"
        "        pass\n"
        "    time.sleep(60)\n"
        "sys.exit(outcome(work))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50
    )
    assert (ended.returncode, ended.stderr) == (143, f"{SIGNALS['SIGTERM']}: {endings.GO_ON}\n")


def listens(pid: int, number: int) -> bool:
    """Has the process a handler of its own for the signal?"""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        pytest.skip("this system tells no process's handlers (/proc)")
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", status)
    # Python itself handles SIGINT from its start, long before us: SIGTERM is ours alone.
    shown = signal.SIGTERM if number == signal.SIGINT else number
    return caught is not None and bool(int(caught[1], 16) >> (shown - 1) & 1)


@pytest.mark.parametrize(
    ("shell", "status", "said"),
    [
        ("</dev/null", 0, ""),
        (">/dev/full", 2, "error: No space left on device\n"),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        ("<&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
    ],
)
def test_closed_and_full_streams_leave_no_traceback(shell: str, status: int, said: str) -> None:
    if "/dev/full" in shell and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    done = command("--help", shell=shell)
    assert (done.returncode, done.stderr) == (status, said)


def test_stdin_that_is_closed_is_refused_where_it_is_to_be_read(finished: Path) -> None:
    done = command("predict", f"run={finished}", shell="<&-")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "stdin" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("locale", LOCALES, ids=lambda env: "-".join(env.values()))
def test_texts_are_utf8_whatever_the_locale(locale: dict[str, str], finished: Path) -> None:
    done = command("predict", f"run={finished}", "text=naïve 中文 😀", "format=json", env=locale)
    assert done.stderr == ""
    assert '"text": "naïve 中文 😀"' in done.stdout
