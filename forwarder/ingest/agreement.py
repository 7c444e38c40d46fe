"""Are a live path's events those that scans return, with the same ids? Pure: time is an argument.

That a subscription's ``id`` is FilterLogEvents' ``eventId`` is documented nowhere. So records are
hints at first; once scans have returned some of their events with the same log stream, timestamp,
message and id, and none with another, they are rows. Each row is still watched until a scan has
returned it: what no scan returns within minutes, or returns otherwise, refutes the live path, and
what it brought must go.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from forwarder.ingest.scan import Scan
from forwarder.live.contract import Source
from forwarder.records import LogEvent, Row

AGREED_MIN: Final = 3
"""Events that must have come both ways: counters that both begin at 0 agree once by chance."""

SOURCES_MAX: Final = 16
"""Accounts and filters that are told apart; who else writes to the stream only hints."""

HINTS_MAX: Final = 10_000
"""Events that are remembered for the comparison while none is a row."""

ROWS_MAX: Final = 100_000
"""Rows that no scan has returned yet: beyond this the live path waits for the scans."""

OTHER_ID_MS: Final = 10_000
"""How long a hint is waited for whose like was returned with another id: it may have twins."""

ROW_OTHER_ID_MS: Final = 60_000
"""The same of a row, for which more is at stake: the journal begins anew."""

PHANTOM_MS: Final = 600_000
"""A row that whole scans have not returned for so long, CloudWatch does not have."""

SUSPECT_MS: Final = 10_000
"""After so long it is asked whether the row's log stream was deleted."""

ARRIVALS_MAX: Final = 250_000
"""Rows of which it is remembered when they arrived, 16 bytes each."""

OTHER_IDS: Final = "its ids are not those that scans return"
OTHER_TEXT: Final = "it has other events under the same ids"
PHANTOM: Final = "it brought events that CloudWatch does not return"


class _Awaited:
    """An event of the live path that no scan has returned yet; a row if it has a seq."""

    __slots__ = ("arrived_ms", "heard_ms", "print", "seq", "source", "stream", "timestamp")

    def __init__(self, event: LogEvent, source: Source | None, heard_ms: int) -> None:
        self.stream = event.stream
        self.timestamp = event.timestamp
        self.print = fingerprint(event)
        self.source = source
        self.heard_ms = heard_ms
        self.arrived_ms: int | None = None
        self.seq: int | None = None


class Unseen(msgspec.Struct, frozen=True):
    """A row that no scan has returned yet; ``arrived_ms`` is by the clock of AWS."""

    seq: int
    timestamp: int
    stream: str
    is_late: bool
    arrived_ms: int | None


class _Standing:
    """What is known of one source."""

    __slots__ = ("agreed", "refuted")

    def __init__(self) -> None:
        self.agreed: set[str] = set()
        self.refuted: str | None = None

    @property
    def is_same(self) -> bool:
        """Whether its events are rows."""
        return self.refuted is None and len(self.agreed) >= AGREED_MIN


def fingerprint(event: LogEvent | Row) -> int:
    """What must be the same both ways; only compared within the process."""
    return hash((event.stream, event.timestamp, event.message))


class Agreement:
    """The comparison for one log group."""

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self._sources: dict[Source, _Standing] = {}
        self._awaited: dict[str, _Awaited] = {}
        self._moments: Counter[int] = Counter()
        self._prints: Counter[int] = Counter()
        self._likes: dict[int, set[int]] = {}
        self._rows = 0
        self._clock_set_at = 0
        self._seqs = array("q")
        self._arrivals = array("q")
        self.refuted: str | None = None
        """Why rows of the live path must go; None while all is well. ``forgotten`` clears it."""
        self.returned_count = 0
        """Events of the live path that scans have returned as they were."""

    # Who may

    def admits(self, source: Source) -> bool:
        """Whether a source's events are rows, and not only hints."""
        standing = self._sources.get(source)
        return standing is not None and standing.is_same and self._rows < ROWS_MAX

    @property
    def is_same(self) -> bool:
        """Whether the events of some source are rows."""
        return any(one.is_same for one in self._sources.values())

    @property
    def differs(self) -> str | None:
        """Why the events of every source that was heard of are no rows for good; else None."""
        reasons = [one.refuted for one in self._sources.values()]
        return next((why for why in reasons if why), None) if reasons and all(reasons) else None

    # What the live path brings

    def hinted(self, source: Source, events: Iterable[LogEvent], now_ms: int) -> None:
        """Events that are not (yet) rows: remembered, to be compared with what scans return."""
        standing = self._sources.get(source)
        if standing is None:
            if len(self._sources) >= SOURCES_MAX:
                return
            standing = self._sources[source] = _Standing()
        if standing.refuted is not None:
            return
        for event in events:
            if len(self._awaited) - self._rows >= HINTS_MAX:
                return
            if event.id not in self._awaited:
                self._await(event.id, _Awaited(event, source, now_ms))

    def appended(
        self,
        source: Source,
        events: Sequence[LogEvent],
        first_seq: int,
        now_ms: int,
        arrived_ms: int | None,
    ) -> None:
        """Events became rows with consecutive seqs; a scan has yet to return them."""
        for seq, event in enumerate(events, first_seq):
            self._forget(event.id)
            awaited = _Awaited(event, source, now_ms)
            awaited.seq, awaited.arrived_ms = seq, arrived_ms
            self._await(event.id, awaited)
            self._rows += 1
        if arrived_ms is not None:
            self._seqs.extend(range(first_seq, first_seq + len(events)))
            self._arrivals.extend([arrived_ms] * len(events))
        if len(self._seqs) > ARRIVALS_MAX:
            del self._seqs[: ARRIVALS_MAX // 2]
            del self._arrivals[: ARRIVALS_MAX // 2]

    def arrived_ms(self, seq: int) -> int | None:
        """When a row arrived, by the clock of AWS: it was ingested by then; None: not known."""
        place = bisect_left(self._seqs, seq)
        is_there = place < len(self._seqs) and self._seqs[place] == seq
        return self._arrivals[place] if is_there else None

    def adopted(self, rows: Iterable[Row], now_ms: int) -> None:
        """Rows that came by a live path once, and that a scan did not return.

        One may have returned them before, in an earlier process for all that is known, so they
        are no ``unseen`` ones: scans are held to them. But they go, too, if none returns them.
        """
        for row in rows:
            is_live = row.ingestion_time is None and row.message is not None
            if is_live and row.id not in self._awaited and self._rows < ROWS_MAX:
                assert row.message is not None
                event = LogEvent(row.id, row.timestamp, None, row.stream, row.message)
                awaited = _Awaited(event, None, now_ms)
                awaited.seq = row.seq
                self._await(row.id, awaited)
                self._rows += 1

    # What scans return

    def returned(self, scan: Scan, events: Iterable[LogEvent]) -> None:
        """A scan has returned a page."""
        awaited, moments = self._awaited, self._moments
        if not awaited:
            return
        for event in events:
            one = awaited.get(event.id)
            if one is not None:
                self._forget(event.id)
                if one.print == fingerprint(event):
                    self._agreed(event.id, one)
                else:
                    self._refute(one, OTHER_TEXT)
            elif event.timestamp in moments and (like := fingerprint(event)) in self._prints:
                self._likes.setdefault(scan.number, set()).add(like)

    def finished(self, scan: Scan, floor_ms: int) -> None:
        """A scan was whole: what should it have returned? Older than ``floor_ms`` has expired."""
        likes = self._likes.pop(scan.number, set())
        if scan.number <= self._clock_set_at:
            return
        for event_id, one in list(self._awaited.items()):
            age_ms = scan.begun_ms - one.heard_ms
            if one.timestamp < floor_ms:
                self._forget(event_id)
            elif not scan.from_ <= one.timestamp <= scan.top:
                if one.seq is None and age_ms > PHANTOM_MS:
                    self._forget(event_id)
            elif one.print in likes and age_ms >= (
                OTHER_ID_MS if one.seq is None else ROW_OTHER_ID_MS
            ):
                self._forget(event_id)
                self._refute(one, OTHER_IDS)
            elif age_ms >= PHANTOM_MS:
                self._forget(event_id)
                if one.seq is not None:
                    self._refute(one, PHANTOM)

    def abandoned(self, scan: Scan) -> None:
        """A scan broke off: what it did not return says nothing."""
        self._likes.pop(scan.number, None)

    def unseen(self, scan: Scan) -> list[Unseen]:
        """The rows that a scan might have returned, and that neither it nor another one did."""
        if not self._rows:
            return []
        return [
            Unseen(
                one.seq,
                one.timestamp,
                one.stream,
                scan.begun_ms - one.heard_ms >= SUSPECT_MS,
                one.arrived_ms,
            )
            for one in self._awaited.values()
            if one.seq is not None
            and one.source is not None
            and one.seq <= scan.head_seq
            and scan.from_ <= one.timestamp <= scan.top
        ]

    # What else happens

    def stream_deleted(self, stream: str) -> None:
        """CloudWatch has deleted a log stream: no scan will return its events."""
        for event_id in [key for key, one in self._awaited.items() if one.stream == stream]:
            self._forget(event_id)

    def clock_set(self, by_ms: int, now_ms: int, scans_begun: int) -> None:
        """The wall clock was set: nothing became older by it.

        Scans that had begun by then tell nothing of ages.
        """
        self._clock_set_at = scans_begun
        for one in self._awaited.values():
            if by_ms < 0:
                one.heard_ms = min(one.heard_ms, now_ms)
            elif one.heard_ms <= now_ms - by_ms:  # others were heard since
                one.heard_ms += by_ms

    def forgotten(self) -> None:
        """The journal began anew: there are no rows any more."""
        self.refuted = None
        self._awaited.clear()
        self._moments.clear()
        self._prints.clear()
        self._likes.clear()
        del self._seqs[:], self._arrivals[:]
        self._rows = 0

    def _agreed(self, event_id: str, one: _Awaited) -> None:
        self.returned_count += 1
        standing = None if one.source is None else self._sources.get(one.source)
        if standing is not None and len(standing.agreed) < AGREED_MIN:
            standing.agreed.add(event_id)

    def _refute(self, one: _Awaited, why: str) -> None:
        if one.source is not None:
            self._sources[one.source].refuted = why
        if one.seq is not None:
            self.refuted = why

    def _await(self, event_id: str, one: _Awaited) -> None:
        self._awaited[event_id] = one
        self._moments[one.timestamp] += 1
        self._prints[one.print] += 1

    def _forget(self, event_id: str) -> None:
        one = self._awaited.pop(event_id, None)
        if one is None:
            return
        self._rows -= one.seq is not None
        for counter, key in ((self._moments, one.timestamp), (self._prints, one.print)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
