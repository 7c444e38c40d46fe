"""Runs ``gapless`` commands as processes, as users do, for black-box tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from tests.support.processes.moto_server import CREDENTIALS

WAIT_S = 240.0
"""Timeout of every wait; tests assert nothing about durations."""

WAIT_MS = int(WAIT_S * 1_000)

POLL_S = 0.1
"""Interval at which conditions of other processes are checked."""


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition of another process; AssertionError names it on a timeout."""
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain for {what}"
        pause.wait(POLL_S)


class OutputLines:
    """The lines of a process's output, read by a thread."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._stamps_ns: list[int] = []
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._stamps_ns.append(time.time_ns())
                self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def so_far(self) -> list[str]:
        """The lines received so far."""
        with self._changed:
            return list(self._lines)

    def stamped(self) -> list[tuple[int, str]]:
        """The lines received so far, each with its time in ns since the Unix epoch."""
        with self._changed:
            return list(zip(self._stamps_ns, self._lines, strict=True))

    def wait_for(self, count: int, what: str, timeout_s: float = WAIT_S) -> list[str]:
        """Wait for ``count`` lines; AssertionError if the output ends first. Returns all lines."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._lines) >= count or self._ended, timeout_s)
            have = len(self._lines)
            assert have >= count, f"{have} of {count} {what} received; the last: {self._lines[-3:]}"
            return list(self._lines)

    def wait_end(self) -> list[str]:
        """Wait for the end of the output; returns all lines."""
        self._thread.join(WAIT_S)
        assert self._ended, "the stream did not end"
        return self.so_far()


class GaplessProcess:
    """A running ``gapless`` command, terminated at the end of the ``with`` block."""

    def __init__(
        self,
        *arguments: str,
        state: Path,
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "gapless"),
    ) -> None:
        self.arguments = arguments
        self.popen = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(state, environment),
            start_new_session=True,
        )
        assert self.popen.stdout is not None
        assert self.popen.stderr is not None
        self.out = OutputLines(self.popen.stdout)
        self.err = OutputLines(self.popen.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(60)
            except subprocess.TimeoutExpired:
                self.kill()
        for lines, stream in ((self.out, self.popen.stdout), (self.err, self.popen.stderr)):
            lines.wait_end()
            assert stream is not None
            stream.close()
        if error is not None:
            sys.stderr.write(f"--- stderr of gapless {' '.join(self.arguments)}:\n")
            sys.stderr.write("\n".join(self.err.so_far()[-40:]) + "\n")

    def ready(self) -> dict[str, Any]:
        """Wait for the JSON ready line of ``forward`` or ``simulate``."""
        line = self.out.wait_for(1, "ready lines")[0]
        ready: dict[str, Any] = json.loads(line)
        assert ready["ready"] is True
        return ready

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        os.kill(self.popen.pid, number)

    def kill(self) -> None:
        """Send SIGKILL and wait for the process to end."""
        self.popen.kill()
        self.popen.wait(WAIT_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait; returns the exit status."""
        self.send(number)
        return self.popen.wait(WAIT_S)


class Viewer(GaplessProcess):
    """``gapless tail`` with JSON output and a record of the displayed timeline."""

    def __init__(
        self,
        target: str,
        *options: str,
        state: Path,
        name: str = "viewer",
        program: Sequence[str] = ("-m", "gapless"),
    ) -> None:
        self.record_path = state / f"{name}.record.ndjson"
        super().__init__(
            "tail",
            target,
            "--output",
            "json",
            "--record",
            str(self.record_path),
            *options,
            state=state,
            program=program,
        )

    def shown(self) -> list[dict[str, Any]]:
        """The events printed so far, in order."""
        return [json.loads(line) for line in self.out.so_far()]

    def wait_shown(self, count: int) -> list[dict[str, Any]]:
        """Wait for ``count`` printed events; returns all."""
        return [json.loads(line) for line in self.out.wait_for(count, "events")]

    def record_now(self) -> list[dict[str, Any]]:
        """Request the record of the displayed timeline with SIGUSR1, and read it."""
        before = self._record_version()
        self.send(signal.SIGUSR1)
        wait_until(lambda: self._record_version() != before, "the record after SIGUSR1")
        return read_record(self.record_path)

    def _record_version(self) -> tuple[int, int] | None:
        """Identifies the record file: a new one may have the same time as the last."""
        if not self.record_path.exists():
            return None
        found = self.record_path.stat()
        return found.st_ino, found.st_mtime_ns

    def finish(self) -> list[dict[str, Any]]:
        """Send SIGINT and read the record written on exit."""
        self.end(signal.SIGINT)
        self.out.wait_end()
        return read_record(self.record_path)

    def wait_complete(self, through: int) -> None:
        """Wait until the viewer reports that it is verified through a time in ms."""

        def complete() -> bool:
            status = [line for line in self.record_now() if line["type"] == "status"]
            return bool(status) and (status[-1].get("complete_through") or 0) >= through

        wait_until(complete, f"COMPLETE to {through}")


def read_record(path: Path) -> list[dict[str, Any]]:
    """The JSON objects of a record file."""
    # As bytes: str.splitlines would also split at separators within messages.
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def clean_environment(
    state: Path, extra: Mapping[str, str] | None = None, *, credentials: bool = True
) -> dict[str, str]:
    """An environment that hides the machine's own settings and state."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
    homes = {
        name: str(state / name.lower())
        for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")
    }
    given = dict(CREDENTIALS) if credentials else {"AWS_EC2_METADATA_DISABLED": "true"}
    return {**keep, **homes, **given, "PYTHONUNBUFFERED": "1", **(extra or {})}


def forwarder(
    group: str,
    endpoint: str,
    state: Path,
    *options: str,
    port: int = 0,
    journal: str = "journal",
    program: Sequence[str] = ("-m", "gapless"),
    is_open: bool = True,
) -> GaplessProcess:
    """Start ``gapless forward`` of a log group at an endpoint, with a journal in ``state``.

    ``is_open``: it requires no token, unless the options name a token file.
    """
    if is_open and "--token-file" not in options:
        options = (*options, "--no-token")
    arguments: Sequence[str] = (
        "forward",
        group,
        "--endpoint-url",
        endpoint,
        "--region",
        "us-east-1",
        "--port",
        str(port),
        "--journal",
        str(state / f"{journal}.sqlite3"),
        *options,
    )
    return GaplessProcess(*arguments, state=state, program=program)
