"""An in-memory engine of replicated logs, with faults: the model of a ``Log``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Literal

from forwarder.cluster.log import (
    EMPTY,
    Entry,
    Fenced,
    Head,
    Lease,
    News,
    StoredStatus,
    Trimmed,
    Unavailable,
    Unknown,
    digest_of,
)

Fault = Literal["refused", "lost_request", "lost_answer", "in_flight"]
"""What happens to a change: not done and known; not done, or done, and not known; done later."""


@dataclass
class _Group:
    """One log, with its lease and status."""

    entries: list[Entry] = field(default_factory=list)
    token: int | None = None
    until_ms: int = 0
    status: tuple[int, bytes, int] = (0, b"", 0)
    wants: dict[str, tuple[bytes, int]] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        if not self.entries:
            return EMPTY
        last = self.entries[-1]
        return Head(last.position, digest_of(last.index))

    def copy(self) -> _Group:
        return replace(self, entries=list(self.entries), wants=dict(self.wants))


class MemoryEngine:
    """The logs of several journals, durable unless ``set_back`` restores an earlier state."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """Create an engine without logs; ``clock`` is its own, in ms."""
        self.clock = clock
        self.groups: dict[tuple[str, str], _Group] = {}
        self.in_flight: list[Callable[[], object]] = []
        """Changes that were sent and have not arrived."""
        self.checks_position = True
        """A log must refuse an append at another position than its end; a test may break it."""
        self.checks_trims = True
        """The same of a removal of entries."""
        self.trims_newest_first = True
        """A log must remove the newest of several entries first; likewise."""
        self._tokens = count(1)

    def log(self, group: str, pattern: str = "") -> MemoryLog:
        """A client's log."""
        self.groups.setdefault((group, pattern), _Group())
        return MemoryLog(self, (group, pattern))

    def make_token(self) -> int:
        """A token that was never used; it does not go back with the state."""
        return next(self._tokens)

    def deliver(self) -> None:
        """Let the changes arrive that are in flight."""
        sent, self.in_flight = self.in_flight, []
        for change in sent:
            change()

    def state(self) -> dict[tuple[str, str], _Group]:
        """A copy of the state, for ``set_back``."""
        return {key: group.copy() for key, group in self.groups.items()}

    def set_back(self, state: dict[tuple[str, str], _Group]) -> None:
        """Return to an earlier state, as after a restore from a backup."""
        for key, group in state.items():
            self.groups[key] = group.copy()


class MemoryLog:
    """A ``Log`` of one client, whose calls can fail."""

    def __init__(self, engine: MemoryEngine, key: tuple[str, str]) -> None:
        self._engine = engine
        self._key = key
        self.is_down = False
        """Whether this client can't reach the engine."""
        self.faults: list[Fault] = []
        """Faults of the next appends and trims, in order."""

    def acquire(self, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free or expired."""
        group, now_ms = self._group(), self._engine.clock()
        if group.token is not None and now_ms < group.until_ms:
            return None
        group.token = self._engine.make_token()
        group.until_ms = now_ms + ttl_ms
        return Lease(group.token, ttl_ms)

    def renew(self, lease: Lease, status: bytes, at: int) -> bool:
        """Extend the lease and replace the status."""
        group, now_ms = self._group(), self._engine.clock()
        if group.token != lease.token or group.head.position != at:
            return False
        group.until_ms = now_ms + lease.ttl_ms
        group.status = at, status, now_ms
        return True

    def release(self, lease: Lease) -> None:
        """Give the lease back."""
        group = self._group()
        if group.token == lease.token:
            group.token = None

    def append(self, lease: Lease, expected: int, index: bytes, bodies: bytes | None) -> None:
        """Write an entry at ``expected + 1``."""
        self._group()
        fault = self.faults.pop(0) if self.faults else None
        if fault == "refused":
            raise Unavailable(fault)
        if fault == "in_flight":
            self._engine.in_flight.append(lambda: self._commit(lease, expected, index, bodies))
        if fault in ("lost_request", "in_flight"):
            raise Unknown(fault)
        is_done = self._commit(lease, expected, index, bodies)
        if fault == "lost_answer":
            raise Unknown(fault)
        if not is_done:
            msg = f"another forwarder has taken over {self._key[0]}"
            raise Fenced(msg)

    def _commit(self, lease: Lease, expected: int, index: bytes, bodies: bytes | None) -> bool:
        group = self._engine.groups[self._key]
        position = group.head.position
        if group.token != lease.token:
            return False
        if position != expected and self._engine.checks_position:
            return False
        group.entries.append(Entry(position + 1, index, bodies))
        return True

    def read(self, after: int, limit: int) -> list[Entry]:
        """The entries that follow a position."""
        entries = self._group().entries
        first = bisect_right(entries, after, key=lambda one: one.position)
        return entries[first : first + limit]

    def head(self) -> Head:
        """The present end."""
        return self._group().head

    def wait(self, after: int, timeout_ms: int) -> None:
        """Return at once: time does not pass here."""
        del after, timeout_ms
        self._group()

    def drop_bodies(self, lease: Lease, through: int, limit: int) -> int:
        """Remove the bodies of the oldest entries with any, up to a position."""
        group, dropped = self._group(), 0
        if group.token != lease.token:
            return 0
        for number, one in enumerate(group.entries):
            if one.position > through or dropped == limit:
                break
            if one.bodies is not None:
                group.entries[number] = Entry(one.position, one.index, None)
                dropped += 1
        return dropped

    def trim(self, lease: Lease, at: int, below: int, limit: int) -> Trimmed:
        """Remove the newest entries below a position."""
        self._group()
        fault = self.faults.pop(0) if self.faults else None
        if fault == "in_flight":
            self._engine.in_flight.append(lambda: self._remove(lease, at, below, limit))
        if fault in ("refused", "lost_request", "in_flight"):
            raise Unavailable(fault)
        done = self._remove(lease, at, below, limit)
        if fault == "lost_answer":
            raise Unavailable(fault)
        return done

    def _remove(self, lease: Lease, at: int, below: int, limit: int) -> Trimmed:
        engine, group = self._engine, self._engine.groups[self._key]
        is_held = group.token == lease.token and group.head.position == at
        old = [one.position for one in group.entries if one.position < below]
        chosen = old[-limit:] if engine.trims_newest_first else old[:limit]
        if not chosen or not (is_held or not engine.checks_trims):
            return Trimmed(0, 0)
        group.entries[:] = [one for one in group.entries if one.position not in set(chosen)]
        return Trimmed(len(chosen), chosen[0])

    def look(self, after: int, limit: int) -> News:
        """What ``read``, ``head`` and ``status`` return."""
        return News(self.read(after, limit), self.head(), self.status())

    def status(self) -> StoredStatus:
        """The latest status."""
        return StoredStatus(*self._group().status, self._engine.clock())

    def want(self, server: str, wants: bytes, ttl_ms: int) -> None:
        """Leave what a server needs from the owner."""
        self._group().wants[server] = wants, self._engine.clock() + ttl_ms

    def wants(self) -> dict[str, bytes]:
        """What the servers need."""
        now_ms = self._engine.clock()
        wants = self._group().wants.items()
        return {server: content for server, (content, until_ms) in wants if now_ms < until_ms}

    def _group(self) -> _Group:
        if self.is_down:
            msg = "the engine is away"
            raise Unavailable(msg)
        return self._engine.groups[self._key]
