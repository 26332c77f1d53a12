"""The screen on a terminal, read as a terminal shows it; and that there is none where there is no
terminal."""

import io
import logging
import os
import re
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import TextIO

import pytest
from in_process import TINY, command
from rich.text import Text

from loraexp.cli import dispatch
from loraexp.runtime.endings import OneLine, Stopped, warned
from loraexp.sweeps.live.terminal import below, has_screen

log = logging.getLogger("loraexp")


class Terminal:
    """A pseudo terminal, in place of standard error while its block lasts; its `lines` are then
    what is seen there, and its `text` all that was written."""

    def __init__(self) -> None:
        self.own, other = os.openpty()
        self.stream: TextIO = open(other, "w", encoding="utf-8")  # noqa: SIM115
        self.text, self.reader = "", threading.Thread(target=self.read)
        self.reader.start()

    def __enter__(self) -> None:
        self.before, sys.stderr = sys.stderr, self.stream
        self.handler, self.level = logging.StreamHandler(self.stream), log.level
        self.handler.setFormatter(OneLine("%(message)s"))
        logging.getLogger().addHandler(self.handler)
        log.setLevel(logging.INFO)

    def __exit__(self, *_: object) -> None:
        sys.stderr = self.before
        logging.getLogger().removeHandler(self.handler)
        log.setLevel(self.level)
        self.stream.close()
        self.reader.join()
        os.close(self.own)

    def read(self) -> None:
        content = b""
        while part := self.part():
            content += part
        self.text = content.decode()

    def part(self) -> bytes:
        try:
            return os.read(self.own, 65536)
        except OSError:  # Linux's way to say that nobody has the other end
            return b""

    @property
    def lines(self) -> list[str]:
        seen, row, column = [""], 0, 0
        for sign in re.findall(r"\x1b\[\d*[A-Z]|\x1b\[[\d;]*m|.|\n", self.text, re.DOTALL):
            if sign == "\n":
                row += 1
                seen += [""] * (row == len(seen))
            elif sign == "\r":
                column = 0
            elif sign == "\x1b[1A":
                row -= 1
            elif sign == "\x1b[2K":
                seen[row] = ""
            elif not sign.startswith("\x1b"):
                seen[row] = f"{seen[row]:<{column}}"[:column] + sign + seen[row][column + 1 :]
                column += 1
            elif not sign.endswith("m"):
                raise AssertionError(f"what does {sign!r} do?")
        return "\n".join(line.rstrip() for line in seen).rstrip("\n").split("\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def shown(width: int, ascii: bool) -> Text:
    return Text("a screen\nof two lines", end="")


def test_what_is_printed_logged_and_warned_of_stays_above_and_the_screen_goes(
    terminal: Terminal,
) -> None:
    with terminal:
        with below(shown):
            log.info("logged")
            print("printed in ", end="", file=sys.stderr)
            time.sleep(0.3)  # the screen is drawn anew meanwhile
            print("two parts", file=sys.stderr)
            for share in (10, 50, 100):
                print(f"\r{share} %", end="", flush=True, file=sys.stderr)
            print(file=sys.stderr)
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.showwarning = warned
                warnings.warn("of something", UserWarning, stacklevel=1)
            print("no end of line", end="", file=sys.stderr)
        log.info("after")
    assert terminal.lines == [
        "logged",
        "printed in two parts",
        "100 %",
        "warning: UserWarning: of something",
        "no end of line",
        "after",
    ]
    assert terminal.text.count("a screen") > 5  # it was there
    assert "\x1b[?25" not in terminal.text  # no cursor is hidden that a kill would leave so


@pytest.mark.parametrize("end", [KeyboardInterrupt, Stopped, ValueError])
def test_whatever_ends_it_leaves_a_clean_terminal(
    terminal: Terminal, end: type[BaseException]
) -> None:
    def ended() -> None:
        with below(shown):
            log.info("before")
            raise end(15)

    with terminal:
        with pytest.raises(end):
            ended()
        assert sys.stderr is terminal.stream
        log.info("after")
    assert terminal.lines == ["before", "after"]


def test_a_signal_while_a_line_is_written_writes_it_no_second_time(terminal: Terminal) -> None:
    write = terminal.stream.write

    def struck(text: str) -> int:
        written = write(text)
        if "a line" in text:
            terminal.stream.write = write  # type: ignore[method-assign]
            raise KeyboardInterrupt
        return written

    def ended() -> None:
        with below(shown):
            terminal.stream.write = struck  # type: ignore[method-assign]
            print("a line", file=sys.stderr)

    with terminal, pytest.raises(KeyboardInterrupt):
        ended()
    assert terminal.lines == ["a line"]


def test_a_terminal_that_is_gone_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(sys, "stderr", Gone())
    with below(shown):
        print("nobody reads this", file=sys.stderr)
    assert isinstance(sys.stderr, Gone)


@pytest.mark.parametrize("kind", ["dumb", "unknown", "", None])
def test_a_terminal_that_draws_nothing_anew_gets_lines(
    terminal: Terminal, kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", kind or "")
    if kind is None:
        monkeypatch.delenv("TERM")
    with terminal:
        assert not has_screen()
        monkeypatch.setenv("TERM", "xterm")
        assert has_screen()


def test_without_colours_there_are_none(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal, below(lambda *_: Text("red", "red")):
        pass
    assert terminal.lines == [""]
    assert "red" in terminal.text
    assert not re.search(r"\x1b\[[\d;]*3[0-7][\d;]*m", terminal.text)


SWEEP = ("train", *TINY, "trainer.max_epochs=2", "optim.grad_clip=0", "optim.lr=1e-2,1e30", "-m")


def test_after_a_sweep_the_lines_are_kept_and_the_screen_is_gone(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with terminal, pytest.raises(SystemExit):
        dispatch([*SWEEP])
    seen = terminal.lines
    assert seen[-1] == "1 of 2 jobs failed; the same command tries these again"
    jobs = [line for line in seen if line.startswith("job ")]
    assert [re.sub(r"[\d.]+% in .*", "", line)[:42] for line in jobs] == [
        "job 1 of 2: lr=0.01: validation accuracy ",
        "job 2 of 2: lr=1e+30: failed: the loss is ",
    ]
    assert "outputs/sweeps/" in terminal.text  # on the screen alone
    assert not any(line.startswith(("sweep ", "now ", "time ", "best ")) for line in seen)
    assert sum("2 classes" in line for line in seen) == 1  # not by each job


def test_where_there_is_no_terminal_there_are_plain_lines(tmp_path: Path) -> None:
    status, _, err = command(tmp_path, *SWEEP)
    assert status == 1
    assert "\x1b" not in err
    jobs = [line for line in err.splitlines() if line.startswith("job ")]
    assert [line[:17] for line in jobs] == ["job 1 of 2: lr=0."] * 2 + ["job 2 of 2: lr=1e"] * 2
    assert sum("2 classes" in line for line in err.splitlines()) == 1
