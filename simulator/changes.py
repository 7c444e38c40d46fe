"""A number that grows with every change of the simulator, and a way to wait until it does."""

from __future__ import annotations

import threading


class Changes:
    """Counts changes; used from any thread."""

    def __init__(self) -> None:
        """Nothing has changed yet."""
        self._seq = 0
        self._changed = threading.Condition()

    @property
    def seq(self) -> int:
        """How often something has changed."""
        return self._seq

    def announce(self) -> None:
        """Something has changed."""
        with self._changed:
            self._seq += 1
            self._changed.notify_all()

    def wait(self, after: int, timeout_s: float) -> int:
        """The number, once it is not ``after`` any more, or when the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._seq != after, timeout_s)
            return self._seq
