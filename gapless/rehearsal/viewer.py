"""A viewer without a screen, started again as often as a fault kills it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from common.errors import EXIT_CANNOT_CONNECT, GaplessError
from common.processes import END_WITHIN_S, PREFIX, environment
from common.state import STATE_DIR_VARIABLE
from gapless.rehearsal.lives import joined

LINES_MAX: Final = 2_000_000
"""As many as the ledger holds: a record has the lines that are in memory."""

RECORD_WITHIN_S: Final = 60.0
"""Longest that a viewer may take to write its record; one of a million events takes seconds."""

_ASK_AGAIN_S: Final = 5.0
_LOOK_S: Final = 0.02
_CHUNK_BYTES: Final = 1 << 20


class _Life:
    """One process, and the file that its output goes to.

    It goes through a pipe of ours: a viewer whose reader is gone ends, however we ended.
    """

    def __init__(self, arguments: list[str], output: Path, errors: Path, state: Path) -> None:
        self.output = output
        self._errors = errors
        with errors.open("wb") as stderr:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "gapless", "tail", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environment(os.environ) | {STATE_DIR_VARIABLE: str(state)},
                start_new_session=True,
            )
        assert self.process.stdout is not None
        self.lines = 0
        self._pump = threading.Thread(
            target=self._copy, args=(self.process.stdout,), name="output", daemon=True
        )
        self._pump.start()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # Who has inherited its output, if anybody could, must not hold up everything.
        self._pump.join(END_WITHIN_S)

    def _copy(self, source: IO[bytes]) -> None:
        with source, self.output.open("wb") as target:
            while chunk := os.read(source.fileno(), _CHUNK_BYTES):
                target.write(chunk)
                target.flush()
                self.lines += chunk.count(b"\n")

    def last_error(self) -> str:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return lines[-1].removeprefix(PREFIX) if lines else "it said nothing about it"


class Viewer:
    """``gapless tail`` with a record; whoever uses it ignores SIGUSR1, which its lives inherit.

    Else a record asked for too early would end them.
    """

    def __init__(self, url: str, since_ms: int, folder: Path) -> None:
        """Nothing runs before ``start``; ``folder`` is for its files alone."""
        self._url = url
        self._since = datetime.fromtimestamp(since_ms / 1_000, UTC).isoformat()
        self._folder = folder
        self._record = folder / "record.ndjson"
        self._lives: list[_Life] = []

    @property
    def pid(self) -> int | None:
        """The running life's."""
        return self._lives[-1].process.pid if self.is_running else None

    @property
    def lives(self) -> int:
        """How often it was started."""
        return len(self._lives)

    @property
    def is_running(self) -> bool:
        """Whether a life runs."""
        return bool(self._lives) and self._lives[-1].process.poll() is None

    @property
    def lines(self) -> int:
        """Lines that the lives have printed."""
        return sum(life.lines for life in self._lives)

    def start(self) -> None:
        """Begin, or go on where the life was that a fault has killed.

        Raises:
            GaplessError: the last life has ended by itself, which none is to do.

        """
        if self._lives:
            self._check(self._lives[-1])
        number = len(self._lives)
        resume = "--resume" if self._lives else "--no-resume"
        arguments = [
            *(self._url, "--since", self._since, resume, "--output", "json"),
            *("--order", "arrival", "--record", str(self._record)),
            *("--in-memory", str(LINES_MAX)),
        ]
        self._lives.append(
            _Life(
                arguments,
                self._folder / f"life-{number}.ndjson",
                self._folder / f"life-{number}.stderr",
                self._folder / "state",
            )
        )

    def _check(self, life: _Life) -> None:
        life.end()
        code = life.process.returncode
        # A life may begin while there is nothing to connect to; whoever started it tries again.
        if code not in (-signal.SIGKILL, EXIT_CANNOT_CONNECT):
            msg = f"the viewer ended by itself with status {code}: {life.last_error()}"
            raise GaplessError(msg)

    def record(self, stop: threading.Event) -> bytes | None:
        """What all lives have shown by now, as one record; None if there is none to ask.

        Raises:
            GaplessError: it does not answer.

        """
        self._record.unlink(missing_ok=True)
        deadline = time.monotonic() + RECORD_WITHIN_S
        ask_at = 0.0
        while not stop.is_set():
            if not self.is_running:
                return None
            if time.monotonic() >= ask_at:
                ask_at = time.monotonic() + _ASK_AGAIN_S
                self._lives[-1].process.send_signal(signal.SIGUSR1)
            with contextlib.suppress(FileNotFoundError):
                return joined(self._record.read_bytes(), self._earlier())
            if time.monotonic() > deadline:
                msg = f"the viewer wrote no record within {RECORD_WITHIN_S:.0f} s"
                raise GaplessError(msg)
            stop.wait(_LOOK_S)
        return None

    def _earlier(self) -> list[bytes]:
        return [life.output.read_bytes() for life in self._lives[:-1]]

    def __enter__(self) -> Self:
        """Until the end of the ``with`` block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
        for life in self._lives:
            life.end()
