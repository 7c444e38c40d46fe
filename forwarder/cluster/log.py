"""The interface of a replicated log, which orders the changes of one journal for all forwarders.

An engine (PostgreSQL; in the tests, one in memory) keeps the log. Only the holder of the lease
appends, and only at the position that it expects; everybody reads. All times are the engine's.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

import msgspec

from forwarder.errors import JournalError, JournalFullError

DIGEST_BYTES: Final = 8
"""Length of an entry's digest: enough to recognise a log that was set back and rewritten."""

NO_DIGEST: Final = bytes(DIGEST_BYTES)
"""The digest before the first entry."""


class Fenced(JournalError):  # noqa: N818 - an outcome; so named where the log is described
    """Refused: another forwarder holds the lease, or has appended. Certainly not done."""


class Unavailable(JournalFullError):  # noqa: N818 - likewise
    """The engine can't be used now. Certainly not done. Transient."""


class Unknown(JournalError):  # noqa: N818 - likewise
    """The append may have been done: its answer did not come."""


class NotAllowedError(JournalError):
    """The engine does not let this forwarder do it. Certainly not done; the journal is well."""


class Head(NamedTuple):
    """The end of a log."""

    position: int
    """Position of the last entry; 0 in an empty log."""
    digest: bytes
    """Its digest: two logs that are equal there are equal up to there."""


EMPTY: Final = Head(0, NO_DIGEST)


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One change of a journal, encoded."""

    position: int
    """Dense, from 1."""
    index: bytes
    """What stays as long as the log."""
    bodies: bytes | None
    """Messages, which retention may remove; None where there are none, or none any more."""


class Lease(msgspec.Struct, frozen=True):
    """The right to append to one log, until it expires or another forwarder takes it."""

    token: int
    """Random, hence never used again, not even after the engine was restored from a backup."""
    ttl_ms: int
    """Time from one renewal to the expiry."""


class Trimmed(NamedTuple):
    """What one call of ``trim`` removed."""

    removed: int
    """Number of entries; 0: there is nothing more to remove."""
    lowest: int
    """Position of the oldest of them."""


class StoredStatus(NamedTuple):
    """The owner's latest status, as the log keeps it."""

    at: int
    """Position that must be applied before it is valid."""
    content: bytes
    """Empty before the first status."""
    written_ms: int
    """When the owner wrote it, by the engine's clock."""
    now_ms: int
    """When it was read, by the same clock."""


class News(NamedTuple):
    """What a follower needs to know of a log: one moment's entries, end and status."""

    entries: list[Entry]
    head: Head
    status: StoredStatus


PRESENCE: Final = ""
"""The log that has no entries, but the names of the forwarders that ingest, as its wants."""


class StoredGroup(msgspec.Struct, frozen=True):
    """One journal, as the engine describes it; times by its clock."""

    name: str
    pattern: str
    head: int
    owner: str | None
    """Name of the forwarder that holds the lease; None: it is free."""
    lease_left_ms: int
    """Time until the lease expires; 0: it has expired, or is free."""
    status_age_ms: int | None
    """Age of the owner's last status; None: there is none."""
    stored: int
    """Entries that are stored; the others of ``head`` were trimmed."""
    size_bytes: int
    """Bytes of the entries and their bodies, without what the engine adds to each."""


def digest_of(index: bytes) -> bytes:
    """The digest of an entry, which contains that of the entry before."""
    return blake2b(index, digest_size=DIGEST_BYTES).digest()


class Log(Protocol):
    """One journal's log. Calls block, and come from one thread.

    Positions are dense, but for the entries that ``trim`` has removed: they lie between the oldest
    ones and one that begins a chain. Every call may raise ``Unavailable``, or another
    ``JournalError`` where an engine can't be used at all; only ``append`` raises ``Fenced`` and
    ``Unknown``.
    """

    def acquire(self, ttl_ms: int) -> Lease | None:
        """Take the lease if it is free or expired, which invalidates every earlier one."""

    def renew(self, lease: Lease, status: bytes, at: int) -> bool:
        """Extend the lease and replace the status; whether the owner may go on.

        It may not where the lease is lost, or the log does not end at ``at``: after a restore from
        a backup, the status would speak of entries that the log does not have any more. Readers
        take the status for valid once they have applied ``at``.
        """

    def release(self, lease: Lease) -> None:
        """Give the lease back, so that another forwarder need not wait for its expiry."""

    def append(self, lease: Lease, expected: int, index: bytes, bodies: bytes | None) -> None:
        """Write an entry at position ``expected + 1``, durably.

        Raises:
            Fenced: The lease is lost, or the log does not end at ``expected``.
            Unavailable: Certainly not done.
            Unknown: May have been done, or may still be.
        """

    def read(self, after: int, limit: int) -> list[Entry]:
        """The entries that follow a position, at most ``limit``."""

    def look(self, after: int, limit: int) -> News:
        """What ``read``, ``head`` and ``status`` return at one moment, in one round trip."""

    def head(self) -> Head:
        """The present end: every append that was acknowledged before the call is included."""

    def wait(self, after: int, timeout_ms: int) -> None:
        """Wait until there may be entries after a position."""

    def drop_bodies(self, lease: Lease, through: int, limit: int) -> int:
        """Remove the bodies of the oldest entries with any, up to a position; at most ``limit``.

        Returns how many had some; 0: there is nothing more to remove. Without the lease, does
        nothing.
        """

    def trim(self, lease: Lease, at: int, below: int, limit: int) -> Trimmed:
        """Remove the newest entries below a position, with their bodies; at most ``limit``.

        The newest first, so that what remains is always a prefix of the log, and what follows from
        ``below`` on, which is where a chain begins or what was trimmed before. Does nothing
        without the lease, or where the log does not end at ``at``: after a restore from a backup,
        other entries may have these positions.

        Raises:
            NotAllowedError: The engine does not let this forwarder remove entries.
        """

    def status(self) -> StoredStatus:
        """The latest status."""

    def want(self, server: str, wants: bytes, ttl_ms: int) -> None:
        """Leave what a server needs from the owner, in place of what it left before."""

    def wants(self) -> dict[str, bytes]:
        """What the servers need, by their names; expired ones are left out."""
