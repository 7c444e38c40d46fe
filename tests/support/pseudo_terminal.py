"""A pseudo terminal for a program with a screen; a thread reads it all the time."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.processes.gapless_processes import WAIT_S, clean_environment, wait_until

_READ_BYTES: Final = 65_536
_END: Final = b"\0the end\0"


class TerminalProcess:
    """``gapless`` with a controlling terminal of its own; ends with the ``with`` block."""

    def __init__(
        self,
        *arguments: str,
        state: Path,
        environment: Mapping[str, str] | None = None,
        columns: int = 120,
        rows: int = 40,
        program: Sequence[str] = ("-m", "gapless"),
    ) -> None:
        self._ours, theirs = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(theirs)
        self.popen = subprocess.Popen(
            [sys.executable, "-c", _CONTROLLING, *program, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={
                **clean_environment(state, environment),
                "TERM": "xterm-256color",
                "COLORTERM": "truecolor",
            },
            start_new_session=True,
        )
        self._theirs = theirs
        self._read_so_far = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._ours, _READ_BYTES)
            except OSError:
                return
            if not data:
                return
            self._read_so_far += data

    @property
    def written(self) -> str:
        """All output so far, escape sequences included."""
        return bytes(self._read_so_far).decode("utf-8", "replace")

    def wait_for(self, text: str) -> None:
        """Wait until a text has been written."""
        wait_until(lambda: text in self.written, f"{text!r} on the terminal")

    def wait_end(self) -> int:
        """Wait until it has ended and all that it wrote is read; return its exit code."""
        code = self.popen.wait(WAIT_S)
        os.write(self._theirs, _END)
        wait_until(lambda: _END in self._read_so_far, "the last output")
        return code

    def press(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal; the kernel signals that to the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def attributes(self) -> list[int | list[bytes | int]]:
        """The terminal's settings (termios)."""
        return termios.tcgetattr(self._theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait(WAIT_S)
        os.close(self._theirs)
        self._reader.join(WAIT_S)
        os.close(self._ours)


_CONTROLLING: Final = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes the terminal the controlling one, as a shell does, so that Ctrl+C sends SIGINT."""
