"""The sort keys of the lines that a consumer printed last, in a file of their own. A shell.

Regions state what was printed by the numbers of one journal. Where another journal numbers the
events anew, only their keys say which of them were printed. The file holds a marker and then keys
of equal size, in the order of printing, and is only appended to until it holds twice the bound.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from common.files import open_regular, read_regular, replace_file

KEYS_MAX: Final = 100_000
"""Printed lines that are remembered: a file of 3 to 6 MB, read only after another journal."""

_KEY_BYTES: Final = 32
_WHOLE: Final = bytes(_KEY_BYTES)
_PART: Final = b"\xff" * _KEY_BYTES
"""Markers: the file has the keys of all lines that were printed, or only of the last ones."""


class PrintedKeys:
    """Remembers which lines were printed; the consumer's lock makes this the only writer.

    Args:
        path: The file.
        is_new: Whether nothing was printed yet, whatever the file says.
    """

    def __init__(self, path: Path, *, is_new: bool) -> None:
        self._path = path
        self._is_new = is_new
        self._unsaved = bytearray()
        self._known: set[bytes] | None = None
        self._is_whole: bool | None = True if is_new else None

    @property
    def is_whole(self) -> bool:
        """Whether every line that was printed is remembered."""
        if self._is_whole is None:
            self._is_whole = self._read(_KEY_BYTES) == _WHOLE
        return self._is_whole

    def add(self, keys: Iterable[int]) -> None:
        """Add printed lines; ``save`` writes them."""
        for key in keys:
            self._unsaved += key.to_bytes(_KEY_BYTES, "big")
        if len(self._unsaved) > KEYS_MAX * _KEY_BYTES:  # a full disk: not without bounds
            del self._unsaved[: -KEYS_MAX * _KEY_BYTES]
            self._is_whole = False

    def __contains__(self, key: object) -> bool:
        """Whether a line is remembered; an unreadable file remembers nothing.

        Lines that are added after the first call are not: a run recognises its own.
        """
        if self._known is None:
            added = bytes(self._unsaved)  # first: ``save`` may move it to the file meanwhile
            data = (_PART if self._is_new else self._read()) + added
            whole = len(data) - len(data) % _KEY_BYTES
            places = range(_KEY_BYTES, whole, _KEY_BYTES)
            self._known = {data[at : at + _KEY_BYTES] for at in places}
        return isinstance(key, int) and key.to_bytes(_KEY_BYTES, "big") in self._known

    def save(self) -> None:
        """Write what was added.

        Raises:
            OSError: It can't be written; the next call tries again.
        """
        added = bytes(self._unsaved)
        if not added and not self._is_new:
            return
        marker = _WHOLE if self.is_whole else _PART
        size = 0 if self._is_new else self._size()
        if size < _KEY_BYTES or size + len(added) > (2 * KEYS_MAX + 1) * _KEY_BYTES:
            self._replace(marker, added)
        else:
            self._append(size, added)
        self._is_new = False
        del self._unsaved[: len(added)]

    def _append(self, size: int, added: bytes) -> None:
        with open(self._path, "r+b", opener=open_regular) as file:
            # A kill may have left a part of a key.
            file.seek(size - size % _KEY_BYTES)
            file.write(added)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())

    def _replace(self, marker: bytes, added: bytes) -> None:
        before = b"" if self._is_new else self._read()[_KEY_BYTES:]
        keys = before[: len(before) - len(before) % _KEY_BYTES] + added
        dropped = len(keys) - KEYS_MAX * _KEY_BYTES
        with replace_file(self._path, sync=True) as file:
            file.write(_PART if dropped > 0 else marker)
            file.write(keys[max(0, dropped) :])
        if dropped > 0:
            self._is_whole = False

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _read(self, size: int = -1) -> bytes:
        try:
            return read_regular(self._path, size)
        except OSError:
            return b""
