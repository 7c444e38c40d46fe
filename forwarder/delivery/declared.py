"""What is declared about one viewer's range: gaps, and texts that changed under their ids. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from common.ranges import RangeSet
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import concerns
from forwarder.records import AlteredEvent, GapRecord
from wire.limits import TIMESTAMP_MAX
from wire.messages import AlteredText, DeclaredBody, DeclaredGap, Lost, Upstream
from wire.query import Filter

TEXT_CHARS_MAX: Final = 100_000
"""Characters of other texts in one response: a polling client gets them all with each round."""


LOST_GAPS_MAX: Final = 100
"""Gaps of one connection for events found lost after ``welcome``; more widen the nearest, which
declares more than is lost: otherwise both sides would keep one for each event."""

LOST_APART_MS: Final = 1_000
"""Lost events at most this far apart share a gap."""


class LostGaps:
    """The gaps of one connection for events that were found lost after ``welcome``."""

    def __init__(self, known: Iterable[Lost]) -> None:
        """Begin with the ranges that ``welcome`` declared."""
        self._known = RangeSet((one.from_, one.through) for one in known)
        self._gaps: list[GapRecord] = []

    def undeclared(self, times: Iterable[int]) -> list[int]:
        """The times that no range declares yet."""
        return [at for at in times if at not in self._known]

    def declare(self, lost: Lost) -> GapRecord:
        """Add a range; returns its gap, a new one or a wider one."""

        def distance(gap: GapRecord) -> int:
            return max(0, gap.from_ - lost.through, lost.from_ - gap.through)

        same = [gap for gap in self._gaps if gap.reason == lost.reason]
        near = min(same, key=distance, default=None)
        is_room = len(self._gaps) < LOST_GAPS_MAX
        if near is None or (distance(near) > LOST_APART_MS and is_room):
            gap = lost_gap(lost)
        else:
            self._gaps.remove(near)
            from_, through = min(near.from_, lost.from_), max(near.through, lost.through)
            gap = replace(near, from_=from_, through=through)
        self._gaps.append(gap)
        self._known.add(gap.from_, gap.through)
        return gap


def lost_gap(lost: Lost) -> GapRecord:
    """A lost range as a gap that nothing repairs."""
    name = f"lost.{lost.from_}.{lost.through}"
    return GapRecord(name, lost.from_, lost.through, "unrecoverable", lost.reason, 0)


def is_declared_to(gap: GapRecord, filter_: Filter, since: int) -> bool:
    """Whether a gap concerns a viewer."""
    return gap.through >= since and gap.matches(filter_) and concerns(gap.reason, since)


def altered_text(event: AlteredEvent) -> AlteredText:
    """The other text of an event, as the protocol sends it."""
    return AlteredText(event.id, event.timestamp, event.message, event.length)


def declared_to(group: LogGroup, filter_: Filter, since: int, upstream: Upstream) -> DeclaredBody:
    """Everything that is declared to a viewer now; of the other texts the newest that fit."""
    texts, room = [], TEXT_CHARS_MAX
    for event in reversed(group.alterations.texts()):
        if event.timestamp < since or not filter_.matches(event.stream):
            continue
        room -= len(event.message or "")
        if room < 0:
            break
        texts.append(altered_text(event))
    texts.reverse()
    lost = group.journal.lost(since, TIMESTAMP_MAX, filter_)
    records = [gap for gap in group.gaps() if is_declared_to(gap, filter_, since)]
    gaps = [
        DeclaredGap(gap.id, gap.from_, gap.through, gap.state, gap.reason, gap.recovered)
        for gap in [*records, *map(lost_gap, lost)]
    ]
    count = group.alterations.count(filter_, since)
    return DeclaredBody(group.epoch, gaps, texts, count, upstream)
