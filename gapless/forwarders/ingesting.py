"""The process that ingests for ``gapless forward --role both``: started, watched and restarted.

It is apart from the one that serves viewers, because each append to a replicated journal blocks it
until the engine has answered, which takes seconds where the engine is away.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from typing import Any, Final, Self

from common.locks import FileHold, hold_temporary
from common.processes import ChildFailedError, ChildProcess, child_environment
from gapless.aws import AwsChoice

_LOG: Final = logging.getLogger("gapless.forwarder")

_PAUSE_S: Final = 1.0
"""Pause before it is started again; after a failed start sixteen times as long."""

_FAILED_PAUSE_S: Final = 16.0

_TEXTS: Final = (
    ("--lifecycle", "lifecycle"),
    ("--live", "live"),
    ("--groups-file", "groups_file"),
    ("--max-groups", "groups_max"),
    ("--calls-per-second", "calls_per_second"),
    ("--clock-skew", "clock_skew"),
)
_SECONDS: Final = (("--retain", "retain"), ("--allowance", "allowance"))


def ingest_arguments(
    groups: Sequence[str], choice: AwsChoice, url: str, options: dict[str, Any]
) -> list[str]:
    """The arguments of the command that ingests what another one serves."""
    arguments = ["forward", "--role", "ingest", "--journal", url, "--port", "0", "--no-token"]
    arguments += ["--views", str(options["views"]), *choice.arguments()]
    arguments += ["--wait"] if options["wait"] else []
    for name, key in _TEXTS:
        if options.get(key) is not None:
            arguments += [name, str(options[key])]
    for name, key in _SECONDS:
        if options.get(key) is not None:
            arguments += [name, f"{options[key] // 1000}s"]
    arguments += ["--retain-size", f"{options['retain_size'] >> 10}KiB"]
    return [*arguments, "--", *groups]


class IngestingProcess:
    """A child process that ingests until ``close``; it is restarted if it ends before."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Start nothing yet; ``arguments`` are those of the command."""
        self._arguments = arguments
        self._lifeline: FileHold | None = None
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._child: ChildProcess | None = None
        self._watching: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start the process and wait until it is ready.

        Raises:
            ChildFailedError: It ended first; the text and the exit code are its own.
        """
        # It ends with this process, however that ends.
        self._lifeline = hold_temporary()
        try:
            self._start().ready()
        except BaseException:
            self._lifeline.release()
            raise
        self._watching = threading.Thread(target=self._watch, name="ingesting", daemon=True)
        self._watching.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop it: its leases go to other forwarders at once."""
        self.begin_stop()
        with self._lock:
            child = self._child
        if child is not None:
            child.stop()
        if self._watching is not None:
            self._watching.join()
        if self._lifeline is not None:
            self._lifeline.release()

    def begin_stop(self) -> None:
        """Send SIGTERM, and do not start it again; returns at once."""
        with self._lock:
            self._is_stopping.set()
            if self._child is not None and self._child.is_running:
                self._child.terminate()

    def _start(self) -> ChildProcess:
        assert self._lifeline is not None, "it is held from the start"
        held = "--while-held", str(self._lifeline.path)
        argv = [sys.executable, "-m", "gapless", "forward", *held, *self._arguments[1:]]
        with self._lock:
            if self._is_stopping.is_set():
                msg = "the forwarder is stopping"
                raise ChildFailedError(msg)
            child = ChildProcess.start(
                "the ingesting process", argv, environment=child_environment(os.environ)
            )
            self._child = child
        return child

    def _watch(self) -> None:
        pause_s = _PAUSE_S
        while True:
            with self._lock:
                child = self._child
            code = 0 if child is None else child.wait()
            if self._is_stopping.is_set():
                return
            _LOG.warning("the ingesting process ended with code %d: it is started again", code)
            if self._is_stopping.wait(pause_s):
                return
            try:
                self._start().ready()
                pause_s = _PAUSE_S
            except ChildFailedError as error:
                if not self._is_stopping.is_set():
                    _LOG.warning("%s", error)
                pause_s = _FAILED_PAUSE_S
