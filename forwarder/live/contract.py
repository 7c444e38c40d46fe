"""What a live path hands over, and what it hands it to. Times are ms since the Unix epoch."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from forwarder.records import LogEvent

LiveState = Literal["poll", "hints", "live", "late", "down"]
"""How a log group's news come in.

- ``poll``: there is no live path; polls bring them.
- ``hints``: one is read, but its ids are not known to be those of scans: its records say "scan
  now" and are no rows.
- ``live``: its records are rows, and in time.
- ``late``: they are rows, but it has missed something lately, or is behind.
- ``down``: it can't be read at present.
"""


class Source(msgspec.Struct, frozen=True):
    """Who sent a record: the account, and the subscription filters that it matched.

    A log group of that name in another account, or another filter of the same group (on
    transformed events, for one), is another source, with ids of its own to be compared.
    """

    owner: str
    filters: tuple[str, ...]


class Delivery(msgspec.Struct, frozen=True):
    """The events of one record."""

    group: str
    source: Source
    events: list[LogEvent]
    refused: int = 0
    """Events of it that the protocol has no place for."""
    arrived_ms: int | None = None
    """When it reached the path, by the clock of AWS: by then its events were ingested."""


class Inlet(Protocol):
    """Where one log group's records go."""

    async def take(self, delivery: Delivery) -> None:
        """Take in a record.

        Raises:
            JournalError: the journal can't be written.

        """
        ...

    def hint(self) -> None:
        """A record came that can't be read: something may be new."""
        ...

    def heard(self, behind_ms: int) -> None:
        """The path was read just now; it is so far behind."""
        ...

    def broken(self, why: str) -> None:
        """The path can't be read; ``why`` is one line for a person."""
        ...


class LivePath(Protocol):
    """One live path, which may serve several log groups."""

    counts: Counts

    async def run(self, inlets: dict[str, Inlet]) -> None:
        """Read until cancelled, and hand everything to the inlet of its log group.

        Raises:
            JournalError: a journal can't be written. What ails the path is never raised.

        """
        ...


class Counts(msgspec.Struct):
    """What a live path has read and what it could not use."""

    records: int = 0
    malformed: int = 0
    too_large: int = 0
    control: int = 0
    foreign: int = 0
    """Records of log groups that are not served here."""
    throttled: int = 0
    errors: int = 0


Decoded = Delivery | Literal["control", "malformed", "too large"]

"""What became of a record's bytes."""
