"""A file that says by how much a forwarder's wall clock is to be wrong.

Eight bytes: a whole number of milliseconds, signed, least significant byte first. The forwarder
adds it to its clock whenever it looks at it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

_BYTES: Final = 8


class SkewedClock:
    """How wrong the clock is; used from any thread."""

    def __init__(self, path: Path) -> None:
        """It is right.

        Raises:
            OSError: the file can't be made.

        """
        self._path = path
        self._offsets_ms: dict[str, int] = {}
        self._lock = threading.Lock()
        path.write_bytes(bytes(_BYTES))

    @property
    def offset_ms(self) -> int:
        """How far it is ahead."""
        return sum(self._offsets_ms.values())

    def set(self, owner: str, offset_ms: int) -> None:
        """Let it be ahead by that much, besides what others did to it; below 0 = behind."""
        with self._lock:
            self._offsets_ms[owner] = offset_ms
            self._write()

    def right(self, owner: str) -> None:
        """Take back what the owner did to it."""
        with self._lock:
            self._offsets_ms.pop(owner, None)
            self._write()

    def _write(self) -> None:
        # In place and at once: whoever reads sees the old number or the new one.
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, self.offset_ms.to_bytes(_BYTES, "little", signed=True), 0)
        finally:
            os.close(descriptor)
