"""Events whose text changed under their id, as scans find them. Pure except for the journal.

AWS masks sensitive data when events are read, so a policy or a permission changes what scans
return. The journal keeps the first text and its digest, which viewers hold and marks count. A mark
alone would cover the change silently, so the time of an altered event is declared as an
unrecoverable gap, once, until a scan returns the first text again. Only scans are compared: the
subscription's texts are judged by ``Agreement``.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from common.ranges import RangeSet
from forwarder.ingest.gaps import Gaps
from forwarder.ingest.scan import Scan, SeqSet
from forwarder.journal.contract import Journal
from forwarder.records import AlteredEvent, GapRecord, KnownRow, LogEvent
from wire.digest import event_digest, event_digests
from wire.limits import ALTERED_CHARS_MAX, ALTERED_TEXTS_MAX
from wire.query import Filter

ALTERED: Final = "altered: CloudWatch now returns another text"
"""Reason of the gaps. Journals hold it and it is compared, so the text must stay as it is."""

ALTERED_LOST: Final = "altered: CloudWatch Logs has only another text by now"
"""Reason of a lost body: retention removed the first text, and CloudWatch returns another."""

GAPS_MAX: Final = 100
"""Gaps of altered events; beyond this the nearest is widened, which declares more."""

NEAR_MS: Final = 1_000
"""Altered events at most this far apart share a gap."""

STREAMS_MAX: Final = 100
"""Log streams that a gap names; one with more concerns every viewer."""

_CHUNK_BITS: Final = 12
_CHUNK_MASK: Final = (1 << _CHUNK_BITS) - 1
_CHUNKS_MAX: Final = 512
"""Chunks of hashes that are kept: two million texts, 16 MB."""

_NO_HASHES: Final = array("q", [-1]) * (1 << _CHUNK_BITS)
"""A chunk of unknown hashes: no text has the hash -1."""


def has_first_text(event: LogEvent, row: KnownRow) -> bool:
    """Whether an event's text is the one that the journal numbered."""
    return event_digest(event.id, event.timestamp, event.stream, event.message) == row.digest


class KnownTexts:
    """Finds differing texts fast: a text's hash is compared first, its digest only if that fails.

    Python's 64-bit hash takes a tenth of the digest's time, and most events are read many times.
    The hashes are held in chunks by seq, since neighbours in a scan mostly are neighbours there.
    """

    def __init__(self) -> None:
        self._chunks: dict[int, array[int]] = {}

    def add(self, first_seq: int, events: Iterable[LogEvent]) -> None:
        """Add new rows, numbered from ``first_seq`` on."""
        self._add_all((seq, event.message) for seq, event in enumerate(events, first_seq))

    def differing(
        self, events: Sequence[LogEvent], rows: Sequence[KnownRow]
    ) -> list[tuple[LogEvent, KnownRow]]:
        """Return the events whose text is not that of their rows, which stand at the same place."""
        chunk_of = self._chunks.get
        unsure = [
            (event, row)
            for event, row in zip(events, rows, strict=True)
            if chunk_of(row.seq >> _CHUNK_BITS, _NO_HASHES)[row.seq & _CHUNK_MASK]
            != hash(event.message)
        ]
        if not unsure:
            return []
        digests = event_digests([event for event, _ in unsure])
        judged = list(zip(unsure, digests, strict=True))
        self._add_all((row.seq, one.message) for (one, row), own in judged if own == row.digest)
        return [pair for pair, own in judged if own != pair[1].digest]

    def _add_all(self, texts: Iterable[tuple[int, str]]) -> None:
        chunks = self._chunks
        for seq, message in texts:
            try:
                chunks[seq >> _CHUNK_BITS][seq & _CHUNK_MASK] = hash(message)
            except KeyError:
                chunk = chunks[seq >> _CHUNK_BITS] = array("q", _NO_HASHES)
                chunk[seq & _CHUNK_MASK] = hash(message)
                if len(chunks) > _CHUNKS_MAX:
                    del chunks[next(iter(chunks))]


class _AlteredGap(msgspec.Struct):
    """A declared gap, and how many of its events are altered as far as this process knows.

    ``declared_at`` is the number of scans begun when the last one was found: an earlier scan may
    have read the first text before the change. An ``is_inherited`` gap is of an earlier process,
    so that only whole scans say which of its events are altered; ``confirmed`` is the time that
    they have read, as one alone may never reach both the past and what is stamped ahead.
    """

    record: GapRecord
    count: int = 0
    declared_at: int = 0
    is_inherited: bool = False
    confirmed: RangeSet = msgspec.field(default_factory=RangeSet)


class Alterations:
    """The altered events of one chain, and their gaps, which never overlap."""

    def __init__(self, journal: Journal, gaps: Gaps) -> None:
        """Continue the gaps that an earlier process declared; ``gaps`` writes them."""
        self._gaps = gaps
        inherited = [gap for gap in journal.gaps() if gap.reason == ALTERED]
        self._open = [_AlteredGap(gap, is_inherited=True) for gap in inherited]
        self._unsaved: dict[str, GapRecord] = {}
        self._seqs = SeqSet()
        self._texts: dict[int, AlteredEvent] = {}
        self._count = 0

    def gaps(self, gaps: Iterable[GapRecord]) -> list[GapRecord]:
        """These gaps of the journal, with the log streams that its file does not keep."""
        named = {gap.record.id: gap.record for gap in self._open}
        return [named.get(gap.id, gap) for gap in gaps]

    def texts(self) -> list[AlteredEvent]:
        """The altered events whose second text is kept."""
        return list(self._texts.values())

    def is_altered(self, seq: int) -> bool:
        """Whether the last scan that returned this event returned another text."""
        return self._count > 0 and seq in self._seqs

    def count(self, filter_: Filter, since: int) -> int:
        """How many altered events concern a viewer; at most, if not all texts are kept."""
        others = sum(
            one.timestamp < since or not filter_.matches(one.stream) for one in self._texts.values()
        )
        return self._count - others

    def add_page(
        self,
        scan: Scan,
        rows: Sequence[KnownRow],
        differing: Sequence[tuple[LogEvent, KnownRow]],
        scans_begun: int,
    ) -> tuple[list[AlteredEvent], int]:
        """Add what a scan returned of known rows; ``differing`` of them had another text.

        Returns:
            The events whose text has changed, and how many were not altered before.

        Raises:
            JournalError: the gaps can't be written; ``save`` does that later.
        """
        changed: list[AlteredEvent] = []
        if self._count:
            altered = {row.seq for _, row in differing}
            for row in rows:
                if row.seq in self._seqs and row.seq not in altered:
                    self._restore(row, scan, changed)
        new = 0
        for event, row in differing:
            new += self._add(event, row, scans_begun, changed)
        self.save()
        return changed, new

    def replace_texts(self, events: Iterable[AlteredEvent]) -> list[AlteredEvent]:
        """Replace all altered events, as another forwarder found them; return what changed."""
        texts = {one.seq: one for one in events}
        changed = [one for seq, one in texts.items() if self._texts.get(seq) != one]
        changed += [
            replace(one, message=None, length=0)
            for seq, one in self._texts.items()
            if seq not in texts
        ]
        self._texts, self._count = texts, len(texts)
        return changed

    def confirm_whole(self, scan: Scan, from_: int) -> None:
        """Repair the inherited gaps in which whole scans found nothing altered.

        They must have returned every row from ``from_`` on: one that has expired proves nothing.
        """
        low = max(from_, scan.from_)
        for gap in list(self._open):
            if gap.is_inherited and scan.number > gap.declared_at:
                gap.confirmed.add(low, scan.top)
                if gap.confirmed.covers(gap.record.from_, gap.record.through):
                    gap.is_inherited = False
                    self._close_if_clear(gap)
        self.save()

    def save(self) -> None:
        """Write the gaps that could not be written yet.

        Raises:
            JournalError: they can't be written.
        """
        for gap in list(self._unsaved.values()):
            self._gaps.put(gap)
            del self._unsaved[gap.id]

    def _add(
        self, event: LogEvent, row: KnownRow, scans_begun: int, changed: list[AlteredEvent]
    ) -> bool:
        kept = event.message[:ALTERED_CHARS_MAX]
        length = len(event.message)
        text = AlteredEvent(row.seq, event.id, event.timestamp, event.stream, kept, length)
        is_new = row.seq not in self._seqs
        if not is_new and self._texts.get(row.seq, text) == text:
            return False
        gap = self._gap_for(row)
        gap.declared_at = scans_begun
        if is_new:
            self._seqs.add_all([row.seq])
            self._count += 1
            gap.count += 1
        if row.seq in self._texts or len(self._texts) < ALTERED_TEXTS_MAX:
            self._texts[row.seq] = text
            changed.append(text)
        return is_new

    def _restore(self, row: KnownRow, scan: Scan, changed: list[AlteredEvent]) -> None:
        gap = self._open[self._index(row.timestamp)]
        if scan.number <= gap.declared_at:
            return
        self._seqs.discard(row.seq)
        self._count -= 1
        gap.count -= 1
        text = self._texts.pop(row.seq, None)
        if text is not None:
            changed.append(replace(text, message=None, length=0))
        self._close_if_clear(gap)

    def _close_if_clear(self, gap: _AlteredGap) -> None:
        if not gap.count and not gap.is_inherited:
            self._open.remove(gap)
            self._unsaved[gap.record.id] = replace(gap.record, state="repaired")

    def _index(self, timestamp: int) -> int:
        """Index of the last gap that begins by then; -1 if there is none."""
        return bisect_right(self._open, timestamp, key=lambda gap: gap.record.from_) - 1

    def _gap_for(self, row: KnownRow) -> _AlteredGap:
        """Find, widen or create the gap of an altered row."""
        moment, index = row.timestamp, self._index(row.timestamp)
        around = [self._open[at] for at in (index, index + 1) if 0 <= at < len(self._open)]

        def distance(gap: _AlteredGap) -> int:
            return max(0, gap.record.from_ - moment, moment - gap.record.through)

        gap = min(around, key=distance, default=None)
        if gap is None or (distance(gap) > NEAR_MS and len(self._open) < GAPS_MAX):
            streams = frozenset((row.stream,))
            record = GapRecord(
                self._gaps.next_id(), moment, moment, "unrecoverable", ALTERED, 0, streams
            )
            gap = _AlteredGap(record)
            self._open.insert(index + 1, gap)
        else:
            record = _widened(gap.record, row)
        if record != gap.record or not gap.count:
            self._unsaved[record.id] = gap.record = record
        return gap


def _widened(gap: GapRecord, row: KnownRow) -> GapRecord:
    streams = gap.streams
    if streams is not None and row.stream not in streams:
        streams = streams | {row.stream} if len(streams) < STREAMS_MAX else None
    return replace(
        gap,
        from_=min(gap.from_, row.timestamp),
        through=max(gap.through, row.timestamp),
        streams=streams,
    )
