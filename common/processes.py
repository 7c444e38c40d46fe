"""Child processes: started, read until their one JSON ready line, and ended by process id."""

from __future__ import annotations

import ctypes
import functools
import gc
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, Self

from common.errors import EXIT_FAILURE, GaplessError
from common.files import open_regular
from common.state import STATE_DIR_VARIABLE

READY_WITHIN_S: Final = 120.0
"""Longest wait for the ready line: moto's imports take seconds, far more on a busy machine."""

STOP_WITHIN_S: Final = 10.0
"""Longest wait after SIGTERM, before SIGKILL."""

ERROR_PREFIX: Final = "gapless: "
"""Starts the one-line error that a command of ours prints on stderr."""

HOME = Path(__file__).resolve().parents[1]
"""Directory of our packages; child processes import them from there."""

_LINE_BYTES_MAX: Final = 65_536
_ERROR_BYTES_MAX: Final = 65_536
_LOG_BYTES_MAX: Final = 1 << 20
"""A log larger than this is emptied at the next start."""
_CHUNK_BYTES: Final = 65_536
_PR_SET_PDEATHSIG: Final = 1


class ChildFailedError(GaplessError):
    """A child process ended, or was not ready in time; text and exit code are its own."""


class ChildProcess:
    """A process that prints one JSON line on stdout once it is ready; ends with its ``with``.

    The methods block; an event loop calls them with ``in_thread``.
    """

    def __init__(
        self,
        name: str,
        process: subprocess.Popen[bytes],
        stderr: IO[bytes] | None,
        stderr_from: int,
    ) -> None:
        """Wrap a process.

        ``stderr`` is the file that it appends to from that offset on, None if it has ours.
        """
        self.name = name
        self._process = process
        self._stderr = stderr
        self._stderr_from = stderr_from
        self._first_line: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._output = process.stdout
        self._output_lock = threading.Lock()
        self._stopped_for: ChildFailedError | None = None

    @classmethod
    def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        stderr: IO[bytes] | None = None,
        pass_fds: Sequence[int] = (),
        dies_with_parent: bool = False,
    ) -> Self:
        """Start a program in a session of its own, so that Ctrl+C reaches the parent alone.

        Args:
            name: What messages call it, such as "the forwarder".
            argv: Program and arguments.
            environment: Its whole environment.
            stderr: File for its stderr; None: it shares ours.
            pass_fds: File descriptors that it inherits.
            dies_with_parent: Let the kernel end it with the thread that starts it (Linux). Only
                from the main thread and before other threads exist: the code that runs between
                fork and exec is not safe beside them. Other children need a lifeline
                (``common.locks``).

        Raises:
            ChildFailedError: the program cannot be started.
        """
        # Before it starts: the offset is shared, and moves with all that the program prints.
        stderr_from = 0 if stderr is None else stderr.tell()
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(environment),
                pass_fds=pass_fds,
                start_new_session=True,
                preexec_fn=_die_with_parent() if dies_with_parent else None,  # noqa: PLW1509
            )
        except OSError as error:
            msg = f"cannot start {name}: {argv[0]}: {error.strerror}"
            raise ChildFailedError(msg) from error
        return cls(name, process, stderr, stderr_from)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def ready(self, within_s: float = READY_WITHIN_S) -> dict[str, Any]:
        """Wait for the ready line and return it; later output is discarded.

        Raises:
            ChildFailedError: it ended first, printed something else or took too long; it is
                stopped then.
        """
        self._start_reading()
        try:
            line = self._first_line.get(timeout=within_s)
        except queue.Empty:
            msg = f"{self.name} was not ready within {within_s:g} s: try again, or see its log"
            raise self._stop_for(msg) from None
        if not line:
            raise self.failure()
        try:
            ready = json.loads(line)
        except ValueError:
            ready = None
        if not isinstance(ready, dict) or ready.get("ready") is not True:
            msg = f"{self.name} printed {line.strip()[:80]!r} instead of a ready line"
            raise self._stop_for(msg)
        return ready

    def wait(self) -> int:
        """Wait until it ends; return its exit code, negative for a signal."""
        return self._process.wait()

    def failure(self) -> ChildFailedError:
        """Stop it if it still runs; return the error that says why or how it ended."""
        self.stop()
        if self._stopped_for is not None:
            return self._stopped_for
        code = self._process.returncode
        return ChildFailedError(self._last_error() or self._end(code), max(code, EXIT_FAILURE))

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """Send SIGTERM, then SIGKILL; return once it has ended. Repeating it is harmless."""
        stop_process(self._process, within_s)
        self._close_output()

    def terminate(self) -> None:
        """Send SIGTERM; returns at once."""
        self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL; return once it has ended."""
        self._process.kill()
        self._process.wait()
        self._close_output()

    def detach(self) -> None:
        """Let it outlive the ``with`` block and this object."""
        self._close_stderr()
        self._close_output()
        # Popen warns of a child that still runs when it is collected; this one is meant to.
        self._process.returncode = self._process.returncode or 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        self._close_stderr()

    def _stop_for(self, text: str) -> ChildFailedError:
        # Noted first: a thread that waits for the end must find the reason, not the SIGTERM.
        self._stopped_for = ChildFailedError(text)
        self.stop()
        return self._stopped_for

    def _start_reading(self) -> None:
        """Read its output in a thread, for good: a full pipe would block its next print."""
        with self._output_lock:
            output, self._output = self._output, None
        if output is not None:
            threading.Thread(
                target=self._read, args=(output,), name="child output", daemon=True
            ).start()

    def _read(self, output: IO[bytes]) -> None:
        with output:
            data = b""
            while b"\n" not in data and len(data) < _LINE_BYTES_MAX:
                chunk = os.read(output.fileno(), _CHUNK_BYTES)
                if not chunk:
                    break
                data += chunk
            self._first_line.put(data.partition(b"\n")[0])
            while os.read(output.fileno(), _CHUNK_BYTES):
                pass

    def _close_output(self) -> None:
        """Close the pipe, unless the reading thread has it: that closes it at its end."""
        with self._output_lock:
            output, self._output = self._output, None
        if output is not None:
            output.close()

    def _close_stderr(self) -> None:
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None

    def _last_error(self) -> str | None:
        """The one-line error that it printed, else its last line; None if there is none."""
        if self._stderr is None:
            return None
        descriptor = self._stderr.fileno()
        start_at = max(self._stderr_from, os.fstat(descriptor).st_size - _ERROR_BYTES_MAX)
        data = os.pread(descriptor, _ERROR_BYTES_MAX, start_at)
        lines = data.decode("utf-8", "replace").splitlines()
        for line in reversed(lines):
            if line.startswith(ERROR_PREFIX):
                return line.removeprefix(ERROR_PREFIX)
        return f"{self.name}: {lines[-1]}" if lines else None

    def _end(self, code: int) -> str:
        if code < 0:
            try:
                return f"{self.name} was ended by {signal.Signals(-code).name}"
            except ValueError:
                return f"{self.name} was ended by signal {-code}"
        hint = "; its error is printed above" if self._stderr is None else " and printed no error"
        return f"{self.name} ended with exit code {code}{hint}"


def start_gapless(name: str, arguments: Sequence[str], *, log: Path | None = None) -> ChildProcess:
    """Start ``gapless ARGUMENTS``; its stderr is appended to ``log``, or to an unnamed file.

    Raises:
        GaplessError: the log cannot be written, or the program not started.
    """
    stderr = _open_log(log)
    argv = [sys.executable, "-m", "gapless", *arguments]
    try:
        return ChildProcess.start(
            name, argv, environment=child_environment(os.environ), stderr=stderr
        )
    except BaseException:
        stderr.close()
        raise


def stop_process(process: subprocess.Popen[bytes], within_s: float = STOP_WITHIN_S) -> None:
    """Send SIGTERM, then SIGKILL; return once the process has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def child_environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for a command of ours: without settings, its arguments say it all.

    The directory that this package was imported from comes first, so that a module in the
    current directory is never taken for one of our packages.
    """
    kept = {
        name: value
        for name, value in ours.items()
        if not name.startswith("GAPLESS_") or name == STATE_DIR_VARIABLE
    }
    home = str(HOME)
    known = kept.get("PYTHONPATH")
    kept["PYTHONPATH"] = f"{home}{os.pathsep}{known}" if known else home
    kept["PYTHONSAFEPATH"] = "1"
    kept["GAPLESS_CONFIG"] = os.devnull
    return kept


def _open_log(path: Path | None) -> IO[bytes]:
    try:
        if path is None:
            return tempfile.TemporaryFile()
        log = os.fdopen(open_regular(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666), "a+b")
    except OSError as error:
        msg = f"cannot write {path or 'a temporary file'} ({error.strerror}): free some space"
        raise GaplessError(msg) from error
    if log.tell() > _LOG_BYTES_MAX:
        log.truncate(0)
        log.seek(0)
    return log


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died before the kernel knew of the tie

    return tie


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """The C library's ``malloc_trim``; None: it has none, as on macOS and Alpine Linux."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
    trim.argtypes, trim.restype = [ctypes.c_size_t], ctypes.c_int
    return lambda spare: int(trim(spare))


def return_free_memory() -> None:
    """Collect garbage and return freed memory to the system; takes some ten milliseconds.

    The C library returns by itself only what is freed at the end of its heap, and what ended, such
    as a log group's feed, is in cycles that the collector looks at rarely.
    """
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)
