"""The fault log: what was switched and when, and when each fault was really on. Bounded."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

ENTRIES_MAX: Final = 10_000
"""Newest entries kept: a fault that recurs every second fills them in more than an hour."""

Happening = Literal["requested", "began", "ended", "healed"]
"""requested: someone or a scenario switched it on; healed: someone or a scenario healed it. began
and ended: its harm came into force, and no longer is, once for each turn of its cycle."""


class FaultEntry(msgspec.Struct, frozen=True):
    """One entry; ``at_ms`` is the wall clock, ms since the Unix epoch."""

    at_ms: int
    event: Happening
    name: str
    type: str
    request: dict[str, Any] | None = None
    """The request of the control API, for ``requested`` alone."""
    affected: int | None = None
    """How much the turn affected, for ``ended`` alone; the fault's type says what is counted."""


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


class FaultLog:
    """The newest entries, oldest first; the board adds them, one thread at a time."""

    def __init__(self, now_ms: Callable[[], int] = _wall_ms) -> None:
        self._now_ms = now_ms
        self._entries: deque[FaultEntry] = deque(maxlen=ENTRIES_MAX)
        self.dropped = 0
        """How many older entries are no longer here."""
        self.started_ms = now_ms()

    @property
    def newest_ms(self) -> int | None:
        """The moment of the newest entry; None before the first."""
        return self._entries[-1].at_ms if self._entries else None

    def now_ms(self) -> int:
        """Return the present moment, as entries have it."""
        return self._now_ms()

    def add(
        self,
        event: Happening,
        name: str,
        kind: str,
        request: dict[str, Any] | None = None,
        *,
        at_ms: int | None = None,
        affected: int | None = None,
    ) -> FaultEntry:
        """Add an entry, of this moment unless ``at_ms`` is given, and return it."""
        at_ms = self._now_ms() if at_ms is None else at_ms
        entry = FaultEntry(at_ms, event, name, kind, request, affected)
        self.dropped += len(self._entries) == ENTRIES_MAX
        self._entries.append(entry)
        return entry

    def withdraw(self, entry: FaultEntry) -> None:
        """Remove an entry and all after it: what did not happen after all."""
        kept = list(self._entries)
        kept = kept[: next((at for at, one in enumerate(kept) if one is entry), len(kept))]
        self._entries = deque(kept, maxlen=ENTRIES_MAX)

    def describe(self) -> dict[str, Any]:
        """The log as the control API shows it."""
        return {
            "started_ms": self.started_ms,
            "now_ms": self._now_ms(),
            "dropped": self.dropped,
            # A copy first: another thread may add an entry meanwhile.
            "entries": [msgspec.to_builtins(one) for one in tuple(self._entries)],
        }
