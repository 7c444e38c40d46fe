"""The forwarder's wall clock, which faults set wrong."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

_BYTES: Final = 8


class SkewedClock:
    """The error of the forwarder's wall clock, in a file; used from any thread.

    The forwarder adds the number in that file to its clock whenever it reads it: eight bytes, a
    signed number of milliseconds, least significant byte first.
    """

    def __init__(self, path: Path) -> None:
        """Write the file, with no error.

        Raises:
            OSError: it can't be written.
        """
        self._path = path
        self._offsets_ms: dict[str, int] = {}
        self._lock = threading.Lock()
        path.write_bytes(bytes(_BYTES))

    @property
    def offset_ms(self) -> int:
        """How far the clock is ahead; negative: behind."""
        return sum(self._offsets_ms.values())

    def set(self, owner: str, offset_ms: int) -> None:
        """Set the owner's part of the error, which is the sum over all owners; 0 removes it."""
        with self._lock:
            self._offsets_ms.pop(owner, None)
            if offset_ms:
                self._offsets_ms[owner] = offset_ms
            # In place and at once, so that the forwarder reads the old number or the new one.
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, self.offset_ms.to_bytes(_BYTES, "little", signed=True), 0)
            finally:
                os.close(descriptor)
