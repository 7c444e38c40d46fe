"""A forwarder process, kept running over one journal, and what faults do to it.

A forwarder that ends without having been killed ends the simulation, unless a fault explains it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from common.concurrency import in_thread
from common.errors import GaplessError
from common.processes import ChildProcess
from simulator.errors import SimulatorError
from simulator.faults.base import Journal

JOURNAL_COPY_BYTES_MAX: Final = 1 << 30
"""A larger journal is not copied: the forwarder would be stopped for too long meanwhile."""

CANNOT_CONNECT: Final = 3
"""The exit code of a forwarder that cannot reach CloudWatch or a shared journal at its start."""

RESTART_S: Final = 0.5
"""Pause before such a forwarder is started again, as a service manager does."""

STOP_WITHIN_S: Final = 5.0
"""How long a program may take to end after SIGTERM, before SIGKILL."""

_SUFFIXES: Final = ("", "-wal", "-shm")
"""Of the journal's file and of SQLite's files beside it."""


class _Plan(NamedTuple):
    """A planned kill: the task that waits for its moment, and an event that makes it happen now."""

    task: asyncio.Task[None]
    hurry: asyncio.Event


class JournalFiles:
    """The files of the forwarder's journal, and one earlier copy of them."""

    def __init__(self, path: Path) -> None:
        """``path`` is the journal itself; SQLite has more files beside it."""
        self._files = [path.with_name(path.name + suffix) for suffix in _SUFFIXES]
        self._earlier = path.with_name("journal-earlier")

    def largest_bytes(self) -> int:
        """Size of the largest file; 0 without files."""
        return max((path.stat().st_size for path in self._existing()), default=0)

    def copy(self) -> None:
        """Copy the journal, and replace an earlier copy.

        Raises:
            SimulatorError: they are too large.
        """
        existing = self._existing()
        if sum(path.stat().st_size for path in existing) > JOURNAL_COPY_BYTES_MAX:
            size = f"{JOURNAL_COPY_BYTES_MAX >> 20} MiB"
            msg = f"the journal is larger than {size} and can't be copied: restart the simulator"
            raise SimulatorError(msg)
        self.discard_copy()
        self._earlier.mkdir()
        for path in existing:
            shutil.copyfile(path, self._earlier / path.name)

    def restore(self) -> None:
        """Replace the journal by the earlier copy."""
        self.remove()
        for path in self._files:
            earlier = self._earlier / path.name
            if earlier.exists():
                shutil.copyfile(earlier, path)

    def remove(self) -> None:
        """Delete the journal; the copy stays."""
        for path in self._files:
            path.unlink(missing_ok=True)

    def discard_copy(self) -> None:
        """Delete the earlier copy."""
        shutil.rmtree(self._earlier, ignore_errors=True)

    def _existing(self) -> list[Path]:
        return [path for path in self._files if path.exists()]


class ForwarderProcess:
    """Keeps one forwarder running over one journal; used from one event loop.

    Attributes:
        starts: How often a forwarder process was started.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        journal: Path | None,
        *,
        moved: Callable[[int], None],
        failed: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        """Start no process before ``start``.

        Args:
            argv: The forwarder's command.
            environment: Its environment.
            journal: The file of its journal; None where faults may not touch it.
            moved: Called with the port of a forwarder that was started again.
            failed: Called with one line on why the simulation can't go on.
            changed: Called when the forwarder comes up or goes down.
        """
        self._argv = argv
        self._environment = environment
        self._journal = None if journal is None else JournalFiles(journal)
        self._moved = moved
        self._failed = failed
        self._changed = changed
        self._child: ChildProcess | None = None
        self._plans: dict[str, _Plan] = {}
        self._kept_down_by: set[str] = set()
        """The owners of the crashes that keep it down."""
        self._disk: dict[str, int] = {}
        """Size in bytes that no file may exceed, by the owner of each full disk."""
        self._without_disk: ChildProcess | None = None
        """The last process with a full disk; its end may be noticed only after ``free_disk``."""
        self._paused: dict[str, ChildProcess] = {}
        """The process that each owner has stopped."""
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self.starts = 0

    @property
    def is_up(self) -> bool:
        """Whether the forwarder's process runs."""
        return self._child is not None

    @property
    def pid(self) -> int | None:
        """Process id of the forwarder; None while it is down."""
        return None if self._child is None else self._child.pid

    def start(self, *, is_tied: bool = True) -> ChildProcess:
        """Start the first process; the caller waits for its ready line.

        ``is_tied``: the kernel ends it with this process; only before there are other threads.

        Raises:
            GaplessError: it can't be started.
        """
        return self._spawn(is_tied=is_tied)

    async def stop(self) -> None:
        """End the forwarder, and start it no more."""
        self._is_stopping = True
        for owner in tuple(self._paused):
            self.go_on(owner)
        tasks = [*(plan.task for plan in self._plans.values()), *self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        child, self._child = self._child, None
        if child is not None:
            await in_thread(partial(child.stop, STOP_WITHIN_S))
        if self._journal is not None:
            self._journal.discard_copy()

    async def crash(self, owner: str, after_ms: int, journal: Journal) -> None:
        """Kill the forwarder in ``after_ms`` (SIGKILL); it stays down until ``restart(owner)``.

        ``lost`` deletes the journal then, ``rolled_back`` restores the journal of now.

        Raises:
            SimulatorError: the journal can't be touched.
        """
        if journal != "kept" and self._journal is None:
            msg = "the forwarder's journal is no file here: use one forwarder of 'gapless simulate'"
            raise SimulatorError(msg)
        await self.restart(owner)
        if self._journal is not None and journal == "rolled_back":
            async with self._turn:
                await self._copy(self._journal)
        hurry = asyncio.Event()
        task = asyncio.create_task(self._crash(owner, after_ms, hurry, journal))
        self._plans[owner] = _Plan(task, hurry)
        if not after_ms:
            # A caller that times out must not call the kill off.
            await asyncio.shield(task)

    async def restart(self, owner: str, *, is_called_off: bool = True) -> None:
        """Restart the forwarder unless another owner keeps it down; returns before it is ready.

        A kill whose moment has not come is called off, or else done now: on a busy machine the
        copy of a journal may take longer than the time until the restart is due.
        """
        plan = self._plans.get(owner)
        if plan is None:
            return
        if not is_called_off:
            plan.hurry.set()
        elif owner not in self._kept_down_by:
            plan.task.cancel()
        # A caller that times out here may call again.
        await asyncio.wait([plan.task])
        self._plans.pop(owner, None)
        self._kept_down_by.discard(owner)
        self._revive_soon()
        if not plan.task.cancelled() and (error := plan.task.exception()):
            self._failed(f"the forwarder's journal could not be touched: {error}")

    def pause(self, owner: str) -> None:
        """Stop the process (SIGSTOP) until ``go_on(owner)``; one that is down stays down."""
        self.go_on(owner)
        if self._child is not None:
            self._paused[owner] = self._child
            self._signal(self._child, signal.SIGSTOP)

    def go_on(self, owner: str) -> None:
        """Let the process that the owner has stopped go on, unless another owner has stopped it."""
        child = self._paused.pop(owner, None)
        if child is not None and child not in self._paused.values():
            self._signal(child, signal.SIGCONT)

    @staticmethod
    def _signal(child: ChildProcess, number: signal.Signals) -> None:
        if child.is_running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)

    async def fill_disk(self, owner: str, room_bytes: int) -> None:
        """Fail the forwarder's writes to files beyond a size, until ``free_disk(owner)``.

        ``room_bytes`` is how much the largest file of the journal may still grow; 0 = no write
        succeeds at all.

        Raises:
            SimulatorError: this system can't limit another process.
        """
        if not hasattr(resource, "prlimit"):
            msg = "a full disk needs Linux: elsewhere the forwarder's writes can't be limited"
            raise SimulatorError(msg)
        largest = 0 if self._journal is None else self._journal.largest_bytes()
        self._disk[owner] = largest + room_bytes if room_bytes else 0
        self._limit(self._child)

    async def free_disk(self, owner: str) -> None:
        """Let the forwarder write again, and restart it if the full disk has ended it."""
        if self._disk.pop(owner, None) is not None:
            self._limit(self._child)
            self._revive_soon()

    async def _crash(
        self, owner: str, after_ms: int, hurry: asyncio.Event, journal: Journal
    ) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_ms / 1_000):
                await hurry.wait()
        self._kept_down_by.add(owner)
        async with self._turn:
            child, self._child = self._child, None
            if child is not None:
                await in_thread(child.kill)
                self._changed()
            if self._journal is not None and journal == "lost":
                await asyncio.to_thread(self._journal.remove)
            elif self._journal is not None and journal == "rolled_back":
                await asyncio.to_thread(self._journal.restore)

    def _revive_soon(self) -> None:
        self._run(self._revive())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _revive(self) -> None:
        """Restart the forwarder if no fault keeps it down."""
        async with self._turn:
            if self._kept_down_by or self.is_up or self._is_stopping:
                return
            try:
                child = self._spawn(is_tied=False)
            except GaplessError as error:
                self._failed(str(error))
                return
        try:
            ready = await in_thread(child.ready)
        except GaplessError as error:
            # A kill in the meantime or a full disk explains this; then it is no failure.
            if self._child is child and not (
                self._lacked_disk(child) or self._lacked_cloudwatch(child)
            ):
                self._failed(str(error))
            return
        port = urlsplit(str(ready.get("http"))).port
        if port is not None and self._child is child:
            self._moved(port)
        self._changed()

    def _spawn(self, *, is_tied: bool) -> ChildProcess:
        # A restarted process ends by its lifeline alone: tying a child to its parent takes code
        # between fork and exec, which is not safe beside threads.
        child = ChildProcess.start(
            "the forwarder", self._argv, environment=self._environment, dies_with_parent=is_tied
        )
        self.starts += 1
        self._child = child
        self._limit(child)
        self._run(self._watch(child))
        return child

    def _lacked_cloudwatch(self, child: ChildProcess) -> bool:
        """Whether a restarted forwarder ended because CloudWatch could not be read."""
        return self.starts > 1 and child.exit_code == CANNOT_CONNECT

    async def _watch(self, child: ChildProcess) -> None:
        await in_thread(child.wait)
        if self._child is not child or self._is_stopping:
            return
        if self._lacked_cloudwatch(child):
            self._child = None
            self._changed()
            await asyncio.sleep(RESTART_S)
            self._revive_soon()
            return
        self._child = None
        if not self._lacked_disk(child):
            self._failed(str(child.failure()))
            return
        self._changed()
        if not self._disk:
            self._revive_soon()

    def _lacked_disk(self, child: ChildProcess) -> bool:
        """Whether the forwarder may have ended because of a full disk."""
        return bool(self._disk) or self._without_disk is child

    def _limit(self, child: ChildProcess | None) -> None:
        if child is None or not hasattr(resource, "prlimit"):
            return
        if self._disk:
            self._without_disk = child
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(child.pid, resource.RLIMIT_FSIZE)
            soft = min(self._disk.values(), default=hard)
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (soft, hard))

    async def _copy(self, journal: JournalFiles) -> None:
        """Copy the journal as a power cut would leave it now.

        Raises:
            SimulatorError: it is too large.
        """
        pid = self.pid
        with contextlib.suppress(ProcessLookupError):
            if pid is not None:
                # Stopped between two writes, its files are as a kill would leave them.
                os.kill(pid, signal.SIGSTOP)
            try:
                await asyncio.to_thread(journal.copy)
            finally:
                if pid is not None:
                    os.kill(pid, signal.SIGCONT)

    def describe(self) -> dict[str, Any]:
        """The forwarder's state, as the control API shows it."""
        return {"up": self.is_up, "starts": self.starts, "pid": self.pid}
