"""The viewers that whoever started them has handed over, to be killed by a fault."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from random import Random
from typing import Final

from simulator.errors import NobodyError, NotFoundError, SimulatorError

VIEWERS_MAX: Final = 100
_PID_MAX: Final = (1 << 31) - 1


class Viewers:
    """Processes by their id, each held by a descriptor; used from any thread."""

    def __init__(self) -> None:
        """Nobody was handed over."""
        self._lock = threading.Lock()
        self._descriptors: dict[int, int] = {}

    def add(self, pid: int) -> None:
        """Hand a viewer over.

        Raises:
            SimulatorError: it is no viewer of gapless, or there are too many.

        """
        try:
            # A descriptor means this process alone, also when its id is given to another one.
            descriptor = os.pidfd_open(pid) if 0 < pid <= _PID_MAX else -1
        except (AttributeError, OSError):
            descriptor = -1
        if descriptor < 0 or not _is_viewer(pid):
            if descriptor >= 0:
                os.close(descriptor)
            msg = f"process {pid} is no viewer: only a running 'gapless tail' can be handed over"
            raise SimulatorError(msg)
        with self._lock:
            self._forget(pid)
            if len(self._descriptors) >= VIEWERS_MAX:
                os.close(descriptor)
                msg = f"{VIEWERS_MAX} viewers were handed over, the most there may be"
                raise SimulatorError(msg)
            self._descriptors[pid] = descriptor

    def remove(self, pid: int) -> None:
        """Take a viewer back.

        Raises:
            NotFoundError: it was not handed over.

        """
        with self._lock:
            if pid not in self._descriptors:
                msg = f"no viewer {pid} was handed over"
                raise NotFoundError(msg)
            self._forget(pid)

    def pids(self) -> list[int]:
        """Those that were handed over and were not killed."""
        with self._lock:
            return list(self._descriptors)

    def kill(self, share: float, seed: int) -> int:
        """SIGKILL that share (0..1) of them; how many.

        Raises:
            NobodyError: there are none.

        """
        rng = Random(seed)  # noqa: S311 - a simulation
        killed = 0
        with self._lock:
            if not self._descriptors:
                msg = "no viewer was handed over: this fault is for scenarios, which start theirs"
                raise NobodyError(msg)
            for pid, descriptor in tuple(self._descriptors.items()):
                if rng.random() >= share:
                    continue
                try:
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass  # it had ended by itself
                self._forget(pid)
        return killed

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            for pid in tuple(self._descriptors):
                self._forget(pid)

    def _forget(self, pid: int) -> None:
        descriptor = self._descriptors.pop(pid, None)
        if descriptor is not None:
            os.close(descriptor)


def _is_viewer(pid: int) -> bool:
    """Whether the process is a ``gapless tail``: nothing else is killed on anybody's word."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"tail" in words and any(b"gapless" in word for word in words[: words.index(b"tail")])
