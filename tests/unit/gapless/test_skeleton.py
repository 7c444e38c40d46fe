from __future__ import annotations

import gc
import os
import pty
import termios
from collections.abc import Iterator, Mapping
from unittest.mock import patch

import pytest

from common.errors import say
from gapless import skeleton


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
    skeleton.hand_over()
    gc.enable()
    os.close(made.ours)
    os.close(made.theirs)


def begin(tty: Tty, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
    with patch("sys.stdin", tty), patch("sys.stdout", tty):
        skeleton.begin(arguments, {"TERM": "xterm-256color"} if environ is None else environ)


def test_a_terminal_on_hold_does_not_hold_the_program(tty: Tty) -> None:
    termios.tcflow(tty.theirs, termios.TCOOFF)
    begin(tty, "tail", "ws://h:1/v1/tail")
    termios.tcflow(tty.theirs, termios.TCOON)
    assert gc.isenabled()
    assert tty.written() == ""


def test_a_picture_before_the_screen_and_the_terminal_back_before_any_word(tty: Tty) -> None:
    begin(tty, "tail", "--since", "5m", "ws://h:1/v1/tail")
    drawn = tty.written()
    assert drawn.startswith("\x1b[?1049h")
    assert " gapless  ws://h:1/v1/tail  starting" in drawn
    assert not gc.isenabled(), "nothing that is imported is garbage"
    assert "m" not in [drawn[at + 2] for at in range(len(drawn) - 2) if drawn[at] == "\x1b"]
    say("what is wrong")
    assert gc.isenabled()
    assert tty.written() == "\x1b[?1049l\x1b[?25h"
    skeleton.leave()
    assert tty.written() == ""


def test_the_screen_takes_over(tty: Tty) -> None:
    begin(tty, "tail", "wss://h")
    assert tty.written() != ""
    skeleton.hand_over()
    skeleton.leave()
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
        ["tail", "ws://h", "--no-follow"],
        ["tail", "ws://h", "-h"],
    ],
)
def test_where_there_will_be_no_screen_there_is_no_picture(tty: Tty, arguments: list[str]) -> None:
    begin(tty, *arguments)
    assert tty.written() == ""


def test_a_terminal_that_can_not_draw_gets_none(tty: Tty) -> None:
    for environ in ({"TERM": "dumb"}, {}):
        begin(tty, "tail", "ws://h", environ=environ)
    assert tty.written() == ""


def test_what_is_no_terminal_gets_none(capfd: pytest.CaptureFixture[str]) -> None:
    skeleton.begin(["tail", "ws://h"], {"TERM": "xterm-256color"})
    assert capfd.readouterr() == ("", "")


def test_a_name_can_not_move_the_cursor_nor_leave_the_line() -> None:
    drawn = skeleton.picture("ws://\x1b[2Jé" + "x" * 200, 40, 10)
    assert drawn.count("\x1b") == skeleton.picture("", 40, 10).count("\x1b")
    assert "ws://?[2J?" in drawn
    assert "x" * 40 not in drawn
