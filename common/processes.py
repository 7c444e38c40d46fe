"""The parts as processes: started, read until ready, and ended by their process id."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import gapless
from common.errors import EXIT_FAILURE, GaplessError
from common.state import STATE_DIR_VARIABLE

READY_WITHIN_S: Final = 120.0
"""Longest that a part may take to become ready: moto's imports alone take seconds, and far more
on a busy machine."""

END_WITHIN_S: Final = 10.0
"""Longest that SIGTERM may take before SIGKILL follows."""

_LINE_BYTES_MAX: Final = 65_536
_ERROR_BYTES_MAX: Final = 65_536
_LOG_BYTES_MAX: Final = 1 << 20
"""A log that has grown beyond this is begun anew at the next start."""

PREFIX: Final = "gapless: "


class PartFailedError(GaplessError):
    """A part ended, or did not become ready; the text and exit code are its own."""


class Part:
    """A ``gapless`` command of its own process; ends with its ``with`` block."""

    def __init__(
        self, name: str, process: subprocess.Popen[bytes], errors: IO[bytes] | None
    ) -> None:
        """Made by ``start``; ``errors`` is the file whose end its stderr is added to."""
        self.name = name
        self._process = process
        self._errors = errors
        self._errors_from = 0 if errors is None else errors.tell()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def ready(self, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """Its one JSON ready line; what it prints after that is not read.

        Raises:
            PartFailedError: it ended first, with its own one-line error; or took too long.

        """
        out = self._process.stdout
        assert out is not None, "ready is read once"
        line = _read_line(out, within_s)
        if line is None:
            self.end()
            msg = f"{self.name} was not ready within {within_s:.0f} s: try again, or see its log"
            raise PartFailedError(msg)
        try:
            ready = json.loads(line)
        except ValueError:
            raise self._failure() from None
        if not isinstance(ready, dict):
            raise self._failure()
        out.close()
        self._process.stdout = None
        return ready

    def failure(self) -> PartFailedError:
        """What its end means, once it has ended."""
        return self._failure()

    def _failure(self) -> PartFailedError:
        self.end()
        code = self._process.returncode
        text = self._last_error()
        if text is None:
            text = f"{self.name} ended with status {code} and said nothing about it"
        return PartFailedError(text, code if code > 0 else EXIT_FAILURE)

    def _last_error(self) -> str | None:
        if self._errors is None:
            return None
        descriptor = self._errors.fileno()
        start_at = max(self._errors_from, os.fstat(descriptor).st_size - _ERROR_BYTES_MAX)
        data = os.pread(descriptor, _ERROR_BYTES_MAX, start_at)
        lines = data.decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            if line.startswith(PREFIX):
                return line.removeprefix(PREFIX)
        return f"{self.name}: {lines[-1]}" if lines else None

    def end(self, within_s: float = END_WITHIN_S) -> None:
        """SIGTERM, then SIGKILL; returns once it is gone. More than once is harmless."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
            self._process.stdout = None

    def leave(self) -> None:
        """Give it up to itself: it outlives the ``with`` block."""
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        if self._process.stdout is not None:
            self._process.stdout.close()
            self._process.stdout = None
        # Popen warns of a child that still runs when it is collected; this one is meant to.
        self._process.returncode = self._process.returncode or 0

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
        self.end()
        if self._errors is not None:
            self._errors.close()


def start(
    name: str,
    arguments: Sequence[str],
    *,
    log: Path | None = None,
    inherit_stderr: bool = False,
) -> Part:
    """Start ``gapless ARGUMENTS`` as a process in a session of its own.

    In its own session it gets no signal of the terminal's: the command ends it in order, and
    its lifeline does where the command can't. Its stderr is added to ``log``, or to a file
    without a name, from which its one-line error is read; or to our own, where we are headless.

    Raises:
        GaplessError: the log can't be written.

    """
    errors: IO[bytes] | None = None
    if not inherit_stderr:
        errors = _open_errors(log)
    process = subprocess.Popen(  # noqa: S603 - our own program; arguments are never a shell's
        [sys.executable, "-m", "gapless", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment(os.environ),
        start_new_session=True,
    )
    return Part(name, process, errors)


def _open_errors(path: Path | None) -> IO[bytes]:
    try:
        if path is None:
            return tempfile.TemporaryFile()
        log = path.open("a+b")
    except OSError as error:
        msg = f"cannot write {path or 'a temporary file'} ({error.strerror}): free some space"
        raise GaplessError(msg) from error
    if log.tell() > _LOG_BYTES_MAX:
        log.truncate(0)
        log.seek(0)
    return log


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """The environment of a part: ours, without settings, since its arguments say everything.

    The directory that this package was imported from comes first, so that whatever lies in the
    directory the command was typed in is never taken for one of our packages.
    """
    kept = {
        name: value
        for name, value in ours.items()
        if not name.startswith("GAPLESS_") or name == STATE_DIR_VARIABLE
    }
    home = str(Path(gapless.__file__).resolve().parents[1])
    known = kept.get("PYTHONPATH")
    kept["PYTHONPATH"] = f"{home}{os.pathsep}{known}" if known else home
    kept["PYTHONSAFEPATH"] = "1"
    kept["GAPLESS_CONFIG"] = os.devnull
    return kept


def _read_line(out: IO[bytes], within_s: float) -> bytes | None:
    """The first line of a pipe; what came before its end if there is none; None if too late."""
    deadline = time.monotonic() + within_s
    data = b""
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        while b"\n" not in data and len(data) < _LINE_BYTES_MAX:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return None
            chunk = os.read(out.fileno(), 4096)
            if not chunk:
                return data
            data += chunk
    return data.partition(b"\n")[0]
