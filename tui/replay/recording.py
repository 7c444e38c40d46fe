"""What a file contains once it was read: rows in time, and what each target went through. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from tui.client.status import (
    ConnectionEntry,
    ConnectionOutage,
    EndStatus,
    MarkStatus,
    StateChange,
)
from tui.client.target import LineSource
from tui.replay.tape import Tape
from wire.messages import AlteredText
from wire.record import AlteredLines, Detail, SecondEntry, Upstream, Verified

Kind = Literal["record", "log"]
"""``record``: written by a viewer; ``log``: another tool's lines, about which nothing is known."""


class RecordedTarget(msgspec.Struct):
    """What one target was, and what happened to it; all lists are in order of time."""

    name: str
    url: str = ""
    group: str | None = None
    since_ms: int | None = None
    pattern: str = ""
    states: list[StateChange] = []
    verified: list[Verified] = []
    upstream: list[Upstream] = []
    details: list[Detail] = []
    altered: list[AlteredLines] = []
    seconds: list[SecondEntry] = []
    marks: list[MarkStatus] = []
    connections: list[ConnectionEntry] = []
    outages: list[ConnectionOutage] = []
    ends: list[EndStatus] = []

    @property
    def source(self) -> LineSource:
        """Where its lines come from, as the screen names it."""
        return LineSource(self.name or self.group or self.url, self.group)


class Problems(msgspec.Struct):
    """What of a file could not be used.

    Attributes:
        unusable: Lines that were shown as they are, since nothing could be read from them.
        first: Number and reason of the first of them, for a message.
        unknown: Entries of kinds that this version does not know.
        evicted: Lines that the record does not contain, but names.
        is_truncated: Whether the end is missing.
    """

    unusable: int = 0
    first: str = ""
    unknown: int = 0
    evicted: int = 0
    is_truncated: bool = False


class Recording(msgspec.Struct):
    """A file that was read.

    Attributes:
        tape: The rows.
        began_ms: Where a replay starts, ms since the Unix epoch.
        ended_ms: Where it ends.
        altered: The other texts of altered lines, by target and id.
        problems: What could not be used.
    """

    kind: Kind
    targets: list[RecordedTarget]
    tape: Tape
    began_ms: int
    ended_ms: int
    altered: dict[tuple[int, str], AlteredText] = {}
    problems: Problems = msgspec.field(default_factory=Problems)
