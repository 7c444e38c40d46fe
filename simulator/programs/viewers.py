"""The viewers that were registered to be killed by faults."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from pathlib import Path
from random import Random
from typing import Final

from simulator.errors import ConflictError, NoTargetError, NotFoundError

VIEWERS_MAX: Final = 100
_PID_MAX: Final = (1 << 31) - 1
_STARTS_WITHIN_S: Final = 5.0
"""Longest wait for the command line of a process that is just starting."""
_LOOK_MS: Final = 5


class Viewers:
    """Viewer processes that were registered to be killed by faults; used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptors: dict[int, int] = {}

    def add(self, pid: int) -> None:
        """Register a viewer by its process id.

        Raises:
            ConflictError: it is no viewer of gapless, or there are too many.
        """
        try:
            # A descriptor stays with this process, even when its id is reused for another one.
            descriptor = os.pidfd_open(pid) if 0 < pid <= _PID_MAX else -1
        except (AttributeError, OSError):
            descriptor = -1
        if descriptor < 0 or not _is_viewer(pid, descriptor):
            if descriptor >= 0:
                os.close(descriptor)
            msg = f"process {pid} is no viewer: only a running 'gapless tail' can be registered"
            raise ConflictError(msg)
        with self._lock:
            self._forget(pid)
            for other, theirs in tuple(self._descriptors.items()):
                if _has_ended(theirs):
                    self._forget(other)
            if len(self._descriptors) >= VIEWERS_MAX:
                os.close(descriptor)
                msg = f"{VIEWERS_MAX} viewers are registered, the most there may be: remove some"
                raise ConflictError(msg)
            self._descriptors[pid] = descriptor

    def remove(self, pid: int) -> None:
        """Unregister a viewer.

        Raises:
            NotFoundError: it is not registered.
        """
        with self._lock:
            if pid not in self._descriptors:
                msg = f"no viewer {pid} is registered"
                raise NotFoundError(msg)
            self._forget(pid)

    def pids(self) -> list[int]:
        """Process ids of the registered viewers; killed ones are no longer among them."""
        with self._lock:
            return list(self._descriptors)

    def kill(self, share: float, seed: int) -> int:
        """Kill that share (0..1) of the registered viewers with SIGKILL, and return how many.

        Raises:
            NoTargetError: none is registered.
        """
        rng = Random(seed)  # noqa: S311 - a simulation
        killed = 0
        with self._lock:
            if not self._descriptors:
                msg = "no viewer is registered: this fault needs a scenario, which starts viewers"
                raise NoTargetError(msg)
            for pid, descriptor in tuple(self._descriptors.items()):
                if rng.random() >= share:
                    continue
                try:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass  # it has ended already
                self._forget(pid)
        return killed

    def close(self) -> None:
        """Unregister all viewers."""
        with self._lock:
            for pid in tuple(self._descriptors):
                self._forget(pid)

    def _forget(self, pid: int) -> None:
        descriptor = self._descriptors.pop(pid, None)
        if descriptor is not None:
            os.close(descriptor)


def _is_viewer(pid: int, descriptor: int) -> bool:
    """Whether the process is a ``gapless tail``; a request must not get anything else killed."""
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not (words := _command_line(pid)):
        # Popen returns a moment before the kernel shows the new program's command line.
        if _has_ended(descriptor, _LOOK_MS) or time.monotonic() > deadline:
            return False
    return b"tail" in words and any(b"gapless" in word for word in words[: words.index(b"tail")])


def _has_ended(descriptor: int, within_ms: int = 0) -> bool:
    """Whether a process has ended, or ends within that time."""
    looking = select.poll()
    looking.register(descriptor, select.POLLIN)  # as a process's descriptor is once it has ended
    return bool(looking.poll(within_ms))


def _command_line(pid: int) -> list[bytes]:
    """Program and arguments of a process; empty if it has none, or has ended."""
    try:
        return [word for word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") if word]
    except OSError:
        return []
