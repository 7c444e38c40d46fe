"""Lines that the reader marked, by their keys, so that they stay on them whatever comes. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable
from typing import Final

BOOKMARKS_MAX: Final = 500
"""More than anybody finds again in a list."""


class Bookmarks:
    """A sorted set of keys.

    Args:
        keys: Those of an earlier run, in any order; beyond the bound the newest are taken.

    """

    def __init__(self, keys: Iterable[int] = ()) -> None:
        """Begin with some."""
        self._keys = sorted(set(keys))[-BOOKMARKS_MAX:]
        self._set = set(self._keys)

    def __contains__(self, key: int) -> bool:
        """Whether a line is marked."""
        return key in self._set

    def __len__(self) -> int:
        """How many there are."""
        return len(self._keys)

    @property
    def keys(self) -> tuple[int, ...]:
        """All of them, ascending."""
        return tuple(self._keys)

    @property
    def is_full(self) -> bool:
        """Whether no further one can be set."""
        return len(self._keys) >= BOOKMARKS_MAX

    def toggle(self, key: int) -> bool:
        """Set or take off; whether it is set now."""
        if key in self._set:
            self._set.remove(key)
            del self._keys[bisect_left(self._keys, key)]
            return False
        assert not self.is_full, "whoever sets one asks before"
        self._set.add(key)
        insort(self._keys, key)
        return True

    def after(self, key: int) -> list[int]:
        """All of them, beginning with the first above ``key`` and going round at the end."""
        at = bisect_right(self._keys, key)
        return [*self._keys[at:], *self._keys[:at]]
