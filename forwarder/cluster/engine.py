"""The engine that keeps all logs, and a thread in which an event loop's calls to it run."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from forwarder.cluster.log import Log, StoredGroup

_T = TypeVar("_T")


class Engine(Protocol):
    """A database of logs, over one connection; for one thread at a time."""

    name: str
    """This forwarder, as others see it."""

    def log(self, group: str, pattern: str = "") -> Log:
        """The log of a feed's journal; makes no call."""

    def groups(self) -> list[StoredGroup]:
        """All journals, by name.

        Raises:
            Unavailable: The engine can't be used now.
            JournalError: The database can't be used.
        """

    def close(self) -> None:
        """Close the connection."""


EngineMaker = Callable[[], Engine]
"""Makes an engine with a connection of its own; makes no call."""


class EngineClock:
    """The engine's clock, from its answers and this machine's wall clock. Pure.

    Servers judge by it what the owner has covered: their own clocks may differ by minutes.
    """

    def __init__(self, wall_ms: Callable[[], int]) -> None:
        """Believe the wall clock until the engine has answered."""
        self._wall_ms = wall_ms
        self._ahead_ms = 0

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return self._wall_ms() + self._ahead_ms

    def note(self, asked_ms: int, answered_ms: int, engine_ms: int) -> None:
        """Note the engine's time, which was read between two moments of the wall clock."""
        # Within these bounds nothing says that the estimate is wrong.
        lowest, highest = engine_ms - answered_ms, engine_ms - asked_ms
        self._ahead_ms = min(max(self._ahead_ms, lowest), highest)


def open_engine(url: str, name: str) -> Engine:
    """Prepare to use the engine of a URL; the first call of a log connects.

    Raises:
        ConfigError: The URL is invalid, or its driver is not installed.
    """
    from forwarder.cluster.postgres import PostgresEngine  # noqa: PLC0415 - an extra

    return PostgresEngine(url, name)


class EngineThread:
    """Runs the calls to one engine in a thread of its own, one after the other."""

    def __init__(self, engine: Engine) -> None:
        """Take over an engine: from now on only the thread uses it."""
        self.engine = engine
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A daemon, since a call may take until its timeout, and SIGTERM must not wait for it.
        threading.Thread(target=self._work, name="journal engine", daemon=True).start()

    async def run(self, call: Callable[[], _T]) -> _T:
        """Run a blocking call and return its result; its exception is raised here."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def settle(deliver: Callable[[Any], None], outcome: object) -> None:
            if not answer.done():
                deliver(outcome)

        def work() -> None:
            deliver: Callable[[Any], None]
            outcome: object
            try:
                outcome, deliver = call(), answer.set_result
            except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
                outcome, deliver = error, answer.set_exception
            # The loop may be closed by now: then nothing waits for the answer either.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, deliver, outcome)

        self._calls.put(work)
        return await answer

    def close(self) -> None:
        """Close the engine once the running call has ended; does not wait for it."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
        self.engine.close()
