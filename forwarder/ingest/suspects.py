"""Events that scans failed to return although the journal holds them [8]. Pure.

Most often their log stream was deleted, which can be asked. What nothing explains holds marks
back for as long as it lasts; after a few scans that is declared, so that everybody sees why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from common.ranges import Range
from forwarder.ingest.gaps import WITHHELD
from forwarder.records import Row

SCANS_MIN: Final = 3
"""Whole scans that lack the same events before it is declared: one may just flap."""

PENDING_MAX: Final = 100
"""Ranges that are counted; the oldest beyond them begin anew when they are lacked again."""


class Suspects:
    """What one log group's scans lack."""

    def __init__(self) -> None:
        """Nothing."""
        self._streams: set[str] = set()
        self._ingested: dict[str, int] = {}
        self._pending: list[tuple[int, int, int]] = []

    def suspect(self, stream: str, ingested_ms: int | None) -> None:
        """A log stream may have been deleted: an event ingested by then is not returned."""
        self._streams.add(stream)
        if ingested_ms is not None:
            before = self._ingested.get(stream, ingested_ms)
            self._ingested[stream] = min(before, ingested_ms)

    def lacked(self, rows: Sequence[Row]) -> Range | None:
        """A whole scan lacked these rows; the range to declare, once it was lacked often."""
        for row in rows:
            self.suspect(row.stream, row.ingestion_time)
        from_ = min(row.timestamp for row in rows)
        through = max(row.timestamp for row in rows)
        scans = 1
        kept = []
        for one in self._pending:
            if one[0] <= through and from_ <= one[1]:
                from_, through = min(from_, one[0]), max(through, one[1])
                scans = max(scans, one[2] + 1)
            else:
                kept.append(one)
        self._pending = [*kept, (from_, through, scans)][-PENDING_MAX:]
        return (from_, through) if scans >= SCANS_MIN else None

    def returned_all(self, from_: int, through: int) -> None:
        """A whole scan of that range lacked nothing."""
        if self._pending:
            self._pending = [
                one for one in self._pending if not (from_ <= one[0] and one[1] <= through)
            ]

    def take_streams(self) -> set[str]:
        """Log streams of which a scan lacked something, since this was last asked."""
        streams, self._streams = self._streams, set()
        return streams

    def lacks_older(self, created_ms: int, stream: str | None = None) -> bool:
        """Whether events are lacked that were ingested before their place was made.

        Args:
            created_ms: when the log stream was made, or the log group.
            stream: which log stream; None: any.

        """
        if stream is not None:
            ingested = self._ingested.get(stream)
            return ingested is not None and ingested < created_ms
        return any(ingested < created_ms for ingested in self._ingested.values())

    def lacks_before(self, timestamp: int) -> bool:
        """Whether an event that is older is lacked."""
        return any(from_ < timestamp for from_, _, _ in self._pending)

    def is_deleted(self, stream: str) -> None:
        """The log stream is no more: what it lacks is explained."""
        self._ingested.pop(stream, None)


def why_withheld(rows: Sequence[Row]) -> str:
    """The reason of a gap that is declared for rows which scans go on lacking."""
    stream = rows[0].stream
    return f"{WITHHELD} (log stream {stream}); nothing there can be proved until it does"
