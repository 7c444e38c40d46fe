from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import pty
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from gapless import terminal
from gapless.terminal import RESET, restored_terminal, say, when_reader_leaves

DIES = """
import sys, termios
from gapless.terminal import restored_terminal
with restored_terminal():
    attributes = termios.tcgetattr(0)
    attributes[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(0, termios.TCSANOW, attributes)
    sys.stdout.write("\\x1b[?1049h")
    sys.stdout.flush()
    if sys.argv[1] == "dies":
        raise RuntimeError
"""


def run_in_terminal(how: str) -> tuple[bytes, bool]:
    """What the program wrote, and whether the terminal echoes and reads by line after it."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", DIES, how],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    ) as process:
        process.wait()
    flags = termios.tcgetattr(theirs)[3]
    os.close(theirs)
    written = b""
    # What was written may still be on its way; once nobody has the other end, the end is an error.
    with contextlib.suppress(OSError):
        while data := os.read(ours, 65_536):
            written += data
    os.close(ours)
    return written, bool(flags & termios.ECHO and flags & termios.ICANON)


def test_a_screen_that_died_leaves_the_terminal_in_order() -> None:
    written, sane = run_in_terminal("dies")
    assert sane
    assert written.endswith(RESET.encode())


def test_a_screen_that_left_in_order_is_not_undone_twice() -> None:
    written, sane = run_in_terminal("leaves")
    assert sane
    assert RESET.encode() not in written


def test_without_a_terminal_there_is_nothing_to_restore(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    with pytest.raises(RuntimeError), restored_terminal():
        raise RuntimeError
    assert capfdbinary.readouterr().out == b""


class Tty:
    """Standard input and output on a pseudo terminal."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()

    def fileno(self) -> int:
        return self.theirs

    def written(self) -> str:
        """What has come since; the mark behind it says that it is all."""
        os.write(self.theirs, b"~")
        read = b""
        while not read.endswith(b"~"):
            read += os.read(self.ours, 65_536)
        return read[:-1].decode()


@pytest.fixture
def tty() -> Iterator[Tty]:
    made = Tty()
    yield made
    terminal.hand_over_terminal()
    gc.enable()
    os.close(made.ours)
    os.close(made.theirs)


def begin(tty: Tty, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
    with patch("sys.stdin", tty), patch("sys.stdout", tty):
        terminal.draw_first_picture(
            arguments, {"TERM": "xterm-256color"} if environ is None else environ
        )


def test_a_stopped_terminal_does_not_block_the_program(tty: Tty) -> None:
    termios.tcflow(tty.theirs, termios.TCOOFF)
    begin(tty, "tail", "ws://h:1/v1/tail")
    termios.tcflow(tty.theirs, termios.TCOON)
    assert gc.isenabled()
    assert tty.written() == ""


def test_the_first_picture_is_erased_before_any_message(tty: Tty) -> None:
    begin(tty, "tail", "--since", "5m", "ws://h:1/v1/tail")
    drawn = tty.written()
    assert drawn.startswith("\x1b[?1049h")
    assert " gapless  ws://h:1/v1/tail  starting" in drawn
    assert not gc.isenabled(), "nothing that is imported is garbage"
    assert "m" not in [drawn[at + 2] for at in range(len(drawn) - 2) if drawn[at] == "\x1b"]
    say("what is wrong")
    assert gc.isenabled()
    assert tty.written() == "\x1b[?1049l\x1b[?25h"
    terminal.erase_first_picture()
    assert tty.written() == ""


def test_the_screen_takes_over(tty: Tty) -> None:
    begin(tty, "tail", "wss://h")
    assert tty.written() != ""
    terminal.hand_over_terminal()
    terminal.erase_first_picture()
    assert tty.written() == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["demo"],
        ["tail"],
        ["tail", "/a/group"],
        ["tail", "ws://h", "--output=json"],
        ["tail", "ws://h", "--output", "text"],
        ["tail", "ws://h", "--format=json"],
        ["tail", "ws://h", "-ojson"],
        ["tail", "ws://h", "--no-follow"],
        ["tail", "ws://h", "-h"],
    ],
)
def test_where_there_will_be_no_screen_there_is_no_picture(tty: Tty, arguments: list[str]) -> None:
    begin(tty, *arguments)
    assert tty.written() == ""


def test_a_dumb_terminal_gets_no_picture(tty: Tty) -> None:
    for environ in ({"TERM": "dumb"}, {}):
        begin(tty, "tail", "ws://h", environ=environ)
    assert tty.written() == ""


def test_without_a_terminal_there_is_no_picture(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.draw_first_picture(["tail", "ws://h"], {"TERM": "xterm-256color"})
    assert capfd.readouterr() == ("", "")


def test_a_name_cannot_move_the_cursor_or_break_the_line() -> None:
    drawn = terminal.first_picture("ws://\x1b[2Jé" + "x" * 200, 40, 10)
    assert drawn.count("\x1b") == terminal.first_picture("", 40, 10).count("\x1b")
    assert "ws://?[2J?" in drawn
    assert "x" * 40 not in drawn


def test_a_reader_that_leaves_is_noticed_without_writing() -> None:
    theirs, ours = os.pipe()
    left = threading.Event()
    when_reader_leaves(ours, left.set)
    os.write(ours, b"x")
    assert not left.wait(0.1)
    os.close(theirs)
    assert left.wait(240)
    os.close(ours)


def test_a_file_has_no_reader_to_wait_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    with (tmp_path / "file").open("wb") as file:
        when_reader_leaves(file.fileno(), lambda: None)
    assert started == []


class ClosedTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def write(self, _text: str, /) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_status_line_on_a_closed_terminal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with patch("sys.stderr", ClosedTerminal()), terminal.StatusLine() as status:
        status.show("starting …")


def test_a_status_line_is_replaced_and_erased_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown, silent = io.StringIO(), io.StringIO()
    shown.isatty = lambda: True  # type: ignore[method-assign]
    for stream in (shown, silent):
        with patch("sys.stderr", stream), terminal.StatusLine() as status:
            status.show("one\x1b[2J")
            status.show("two")
    assert shown.getvalue() == "\rone\\x1b[2J\x1b[K\rtwo\x1b[K\r\x1b[K"
    assert silent.getvalue() == ""
