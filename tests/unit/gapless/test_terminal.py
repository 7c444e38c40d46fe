from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios

import pytest

from gapless.terminal import RESET, left_in_order

DIES = """
import sys, termios
from gapless.terminal import left_in_order
with left_in_order():
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
    with pytest.raises(RuntimeError), left_in_order():
        raise RuntimeError
    assert capfdbinary.readouterr().out == b""
