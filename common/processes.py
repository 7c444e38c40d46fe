"""The parts as processes: started, read until ready, and ended by their process id.

Child processes that never outlive the simulator, however it ends.

Two nets under each other: the kernel ends a child when its parent dies (Linux), and a child that
is given a lifeline (``common.locks``) ends with the last one who holds it.

``asyncio.run`` for commands: a signal to end reaches them wherever the loop is at work.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self, TypeVar

from common.errors import EXIT_FAILURE, EndedBySignalError, GaplessError, SimulatorError
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

HOME = Path(__file__).resolve().parents[1]
"""The directory that holds our packages; children import them from there."""


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
    home = str(HOME)
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


READY_TIMEOUT_S: Final = 120.0
"""How long a child may take until its ready line; seconds, and far more on a busy machine."""

STOP_TIMEOUT_S: Final = 5.0
"""How long a child may take to end after SIGTERM, before SIGKILL."""

_PR_SET_PDEATHSIG: Final = 1


def _prepare_death_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def die_with_parent() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # it died before the wish was heard

    return die_with_parent


class Child:
    """A child process that says one JSON line on standard output once it is ready."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Made by ``start``."""
        self.name = name
        self._process = process
        self._drain: asyncio.Task[None] | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        is_tied: bool = True,
    ) -> Child:
        """Start ``argv``, in a session of its own, so that Ctrl+C reaches the simulator alone.

        One that ``is_tied`` by the kernel must be started from the main thread before any other
        is: what runs between fork and exec is not safe beside threads, and the tie is to the
        thread that forks. Any other needs a lifeline.

        Raises:
            SimulatorError: the program can't be started.

        """
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                env=dict(environment),
                pass_fds=pass_fds,
                start_new_session=True,
                limit=_LINE_BYTES_MAX,
                preexec_fn=_prepare_death_with_parent() if is_tied else None,
            )
        except OSError as error:
            msg = f"{name} can't be started: {argv[0]}: {error.strerror}"
            raise SimulatorError(msg) from error
        return cls(name, process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode

    async def ready(self) -> dict[str, Any]:
        """What its ready line says.

        Raises:
            SimulatorError: it ended before, took too long, or said something else.

        """
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                line = await self._process.stdout.readline()
                if not line:
                    raise SimulatorError(self.epitaph(await self._process.wait()))
        except TimeoutError as error:
            msg = f"{self.name} was not ready within {READY_TIMEOUT_S:.0f} s"
            raise SimulatorError(msg) from error
        self._drain = asyncio.create_task(self._drain_output())
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict) or said.get("ready") is not True:
            msg = f"{self.name} said {line.strip()[:80]!r} instead of a ready line"
            raise SimulatorError(msg)
        return said

    async def _drain_output(self) -> None:
        # A full pipe would stop the child in its next print.
        assert self._process.stdout is not None
        while await self._process.stdout.read(_LINE_BYTES_MAX):
            pass

    async def ended(self) -> int:
        """Its exit code, once it has ended; negative for a signal."""
        return await self._process.wait()

    def epitaph(self, code: int) -> str:
        """One line on how it ended."""
        if code >= 0:
            return f"{self.name} ended with exit code {code}; what it said stands above"
        with contextlib.suppress(ValueError):
            return f"{self.name} was ended by {signal.Signals(-code).name}"
        return f"{self.name} was ended by signal {-code}"

    async def kill(self) -> None:
        """SIGKILL; returns once it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self.stop()

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns once it has ended."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        if self._drain is not None:
            self._drain.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._drain


ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Result = TypeVar("Result")


def heard() -> tuple[signal.Signals, ...]:
    """The signals that end a command: a hangup does not where it was started with ``nohup``."""
    is_deaf = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(one for one in ENDING if not (is_deaf and one is signal.SIGHUP))


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end, or until a signal asks the command to end; then it is cancelled.

    An exception that a signal's handler raises would end whatever task or callback happens to
    run, and the loop would go on: the signal would be lost. A loop's own handler is also called
    where the system gives the signal to another thread than the one that waits.

    Raises:
        EndedBySignalError: by a signal, if nobody else has taken charge of it meanwhile.

    """
    if threading.current_thread() is not threading.main_thread():
        return asyncio.run(work)
    before = {number: signal.getsignal(number) for number in heard()}
    caught: list[int] = []

    async def until_signalled() -> Result:
        task = asyncio.current_task()
        assert task is not None, "this is a coroutine of a task"
        loop = asyncio.get_running_loop()

        def end(number: int) -> None:
            caught.append(number)
            task.cancel()

        for number in before:
            loop.add_signal_handler(number, end, number)
        try:
            return await work
        finally:
            for number, handler in before.items():
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    try:
        return asyncio.run(until_signalled())
    except asyncio.CancelledError:
        if not caught:
            raise
        raise EndedBySignalError(caught[0]) from None
