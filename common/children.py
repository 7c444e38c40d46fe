"""Child processes that never outlive the simulator, however it ends.

Two nets under each other: the kernel ends a child when its parent dies (Linux), and a child that
is given a lifeline (``common.lifeline``) ends with the last one who holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from simulator.errors import SimulatorError

READY_TIMEOUT_S: Final = 120.0
"""How long a child may take until its ready line; seconds, and far more on a busy machine."""

STOP_TIMEOUT_S: Final = 5.0
"""How long a child may take to end after SIGTERM, before SIGKILL."""

_PR_SET_PDEATHSIG: Final = 1
_LINE_BYTES_MAX: Final = 65_536


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
