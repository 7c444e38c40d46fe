"""What a log group's scans say of its live path: is it right, and is it in time? Pure.

Are a live path's events those that scans return, with the same ids? Pure: time is an argument.

That a subscription's ``id`` is FilterLogEvents' ``eventId`` is documented nowhere. So records are
hints at first; once scans have returned some of their events with the same log stream, timestamp,
message and id, and none with another, they are rows. Each row is still watched until a scan has
returned it: what no scan returns within minutes, or returns otherwise, refutes the live path, and
what it brought must go.

Does a live path bring what scans find, and in time? Pure: time is an argument.

What a scan finds first the live path is given some time for. What it does not bring by then it
has missed, and polls take its place until it has been on time for a while.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec

from forwarder.ingest.scan import Scan
from forwarder.records import LiveSource, LogEvent, Row
from wire.messages import Origin

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

    def __init__(self, event: LogEvent, source: LiveSource | None, heard_ms: int) -> None:
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
        self._sources: dict[LiveSource, _Standing] = {}
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

    def admits(self, source: LiveSource) -> bool:
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

    def hinted(self, source: LiveSource, events: Iterable[LogEvent], now_ms: int) -> None:
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
        source: LiveSource,
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


CHANCE_MS: Final = 3_000
"""How long the live path is given: subscriptions take a second or two, the shard's pace more."""

PROBATION_MS: Final = 30_000
"""How long it must have missed nothing, and brought something, to be relied on again."""

SETTLING_MS: Final = 3_000
"""What was ingested so soon after the path began to be read may lie before its begin."""

BEHIND_MAX_MS: Final = 5_000
"""Further behind than this, polls are sooner."""

EXPECTED_MAX: Final = 50_000
"""Events that are waited for at once; of more nothing is concluded."""


class Punctuality:
    """One log group's."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.missed_count = 0
        """Events that scans found, and the live path did not bring in time."""
        self._since_ms: int | None = None
        self._behind_ms = 0
        self._heard_ms = 0
        self._found: list[str] = []
        self._expected: dict[str, int] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._missed_ms: int | None = None
        self._brought_ms: int | None = None

    # What happens

    def heard(self, behind_ms: int, now_ms: int) -> None:
        """The path was read just now, so far behind its end."""
        if self._since_ms is None:
            self._since_ms = now_ms
        self._behind_ms = behind_ms
        self._heard_ms = now_ms

    def broken(self) -> None:
        """The path can't be read; what it should have brought meanwhile is not held against it."""
        self._since_ms = None
        self._forget()

    def brought(self, ids: Iterable[str], now_ms: int) -> None:
        """The live path brought events, rows or not, known or not."""
        expected = self._expected
        for one in ids:
            expected.pop(one, None)
        self._brought_ms = now_ms

    def found(self, events: Iterable[tuple[str, int | None]]) -> None:
        """A scan was the first to return events: (id, ingestion time)."""
        since_ms = self._since_ms
        if since_ms is None:
            return
        room = EXPECTED_MAX - len(self._found) - len(self._expected)
        soon = (one for one, ingested in events if ingested and ingested >= since_ms + SETTLING_MS)
        self._found += [one for one, _ in zip(soon, range(room), strict=False)]

    def tick(self, now_ms: int) -> int:
        """Time has passed; how many events turned out to have been missed."""
        for one in self._found:
            self._expected[one] = now_ms + CHANCE_MS
            self._order.append((now_ms + CHANCE_MS, one))
        self._found.clear()
        missed = 0
        while self._order and self._order[0][0] <= now_ms:
            missed += self._expected.pop(self._order.popleft()[1], None) is not None
        if missed:
            self.missed_count += missed
            self._missed_ms = now_ms
        return missed

    # What follows from it

    def is_late(self, now_ms: int) -> bool:
        """Whether polls are as good: it is behind, or has missed something lately."""
        if now_ms - self._heard_ms + self._behind_ms > BEHIND_MAX_MS:
            return True
        missed_ms, brought_ms = self._missed_ms, self._brought_ms
        if missed_ms is None:
            return False
        was_good = brought_ms is not None and brought_ms > missed_ms
        return not was_good or now_ms - missed_ms < PROBATION_MS

    def had_its_chance(self, ingested_ms: int | None, begun_ms: int) -> bool:
        """Whether a scan begun then finds late what was ingested then: a gap, and a repair."""
        since_ms = self._since_ms
        return (
            since_ms is not None
            and ingested_ms is not None
            and since_ms + SETTLING_MS <= ingested_ms <= begun_ms - CHANCE_MS
        )

    def _forget(self) -> None:
        self._found.clear()
        self._expected.clear()
        self._order.clear()


class Witness:
    """The two comparisons of one log group, told by its door of everything that scans return.

    Without a live path neither has anything to compare, and nothing is different.
    """

    def __init__(self) -> None:
        """Nothing was heard yet."""
        self.agreement = Agreement()
        self.punctuality = Punctuality()
        self.is_relied_on = False
        """Whether polls leave it to the live path to bring what is new."""
        self.repaired_count = 0
        """Events that polls found although the live path had been given its time."""

    # What the door tells

    def returned(self, scan: Scan, events: Sequence[LogEvent]) -> None:
        """A scan has returned a page."""
        self.agreement.returned(scan, events)

    def appended(self, events: Collection[LogEvent]) -> None:
        """A scan was the first to return these."""
        self.punctuality.found((one.id, one.ingestion_time) for one in events)

    def origin(self, event: LogEvent, scan: Scan) -> Origin:
        """Of an event that a poll is the first to return.

        A poll is a live path, too; where another one is relied on, what that had its chance to
        bring is a repair.
        """
        had_chance = self.is_relied_on and self.punctuality.had_its_chance(
            event.ingestion_time, scan.begun_ms
        )
        self.repaired_count += had_chance
        return "repair" if had_chance else "live"

    def abandoned(self, scan: Scan) -> None:
        """A scan broke off."""
        self.agreement.abandoned(scan)

    def finished(self, scan: Scan, floor_ms: int) -> str | None:
        """A scan was whole; why the live path's rows must go, if it shows that they must."""
        self.agreement.finished(scan, floor_ms)
        return self.agreement.refuted

    def unseen(self, scan: Scan) -> list[Unseen]:
        """Rows that no scan has returned yet, and this one might have.

        They may not be visible yet, so they do not count against the scan [8]; it proves nothing
        of their time, though.
        """
        return self.agreement.unseen(scan)

    def adopted(self, rows: Sequence[Row], now_ms: int) -> None:
        """Rows that a scan did not return; those that a live path has brought are watched."""
        self.agreement.adopted(rows, now_ms)

    def ingested_ms(self, row: Row) -> int | None:
        """When a row had been ingested at the latest; None: not known."""
        known = row.ingestion_time
        return self.agreement.arrived_ms(row.seq) if known is None else known

    def stream_deleted(self, stream: str) -> None:
        """CloudWatch has no such log stream any more."""
        self.agreement.stream_deleted(stream)

    def clock_set(self, by_ms: int, now_ms: int, scans_begun: int) -> None:
        """The wall clock was set by so much; so many scans had begun."""
        self.agreement.clock_set(by_ms, now_ms, scans_begun)

    def began_anew(self) -> None:
        """The journal began a new chain: there are no rows any more."""
        self.agreement.forgotten()
