"""From where a viewer goes on: the cursor, alone and as it is saved between runs. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from wire.order import Interval
from wire.query import Filter

NOTHING_HELD: Final = Interval(0, 0)
"""``held`` where none of the past has come yet: without ``held`` none would be owed [1]."""


class Cursor(msgspec.Struct, frozen=True):
    """From where a connection goes on: epoch, the seq last stored, and the past held."""

    epoch: str
    after: int
    held: Interval


class Subject(msgspec.Struct, frozen=True):
    """What a cursor is about; with any other one it means nothing [7]."""

    target: str
    """What names it from run to run: a forwarder's URL, or what its own forwarder is found by."""
    group: str | None
    filter: Filter
    since: int


class Seen(msgspec.Struct, frozen=True):
    """What a viewer had when it was left, for the next one to fetch."""

    left_ms: int
    """When it was left: its own wall clock, ms."""
    newest_ms: int
    """The time of its newest event."""
    context_ms: int
    """The time of the event ``CONTEXT_LINES`` before that."""
    older: int
    """Events before ``context_ms``, about."""


CONTEXT_LINES: Final = 1_000
"""Lines that are shown again when a viewer goes on."""


class SavedCursor(msgspec.Struct, frozen=True):
    """A cursor with what it is about: saved and read as one."""

    subject: Subject
    cursor: Cursor
    seen: Seen | None = None
