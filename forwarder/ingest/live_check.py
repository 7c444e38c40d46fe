"""Checks a subscription's events against scans: are its event ids right, and is it in time? Pure.

That a subscription record's ``id`` is FilterLogEvents' ``eventId`` is documented nowhere.
``Agreement`` compares the two: a subscription's events are hints at first, and become rows of the
journal only once scans have returned some of them with the same id, log stream, timestamp and
message. Each row is watched until a scan has returned it. A row that no scan returns within
minutes, or that a scan returns differently, refutes the subscription: its rows must be removed.

``Punctuality`` gives the subscription some time to deliver what a scan found first. After a miss
polls take its place until it has been on time for a while.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from typing import Final, Self

import msgspec

from forwarder.ingest.scan import Scan
from forwarder.records import LiveSource, LogEvent, Row
from wire.messages import Origin

AGREED_MIN: Final = 3
"""Matching events before a source is trusted: two counters from 0 agree once by chance."""

SOURCES_MAX: Final = 16
"""Sources that are compared; events of any further source stay hints."""

HINTS_MAX: Final = 10_000
"""Hints that are remembered for the comparison."""

ROWS_MAX: Final = 100_000
"""Rows that no scan has returned yet; beyond this, new events are only hints."""

OTHER_ID_MS: Final = 10_000
"""Age at which a hint whose content was scanned under another id counts as different.

Before, the scan may have returned a twin: another event with the same content.
"""

ROW_OTHER_ID_MS: Final = 60_000
"""The same for a row: longer, because the journal is reset."""

PHANTOM_MS: Final = 600_000
"""Age at which a row that no whole scan of its time has returned counts as not in CloudWatch."""

SUSPECT_MS: Final = 10_000
"""Age at which a row that no scan has returned makes its log stream suspected of deletion."""

ARRIVALS_MAX: Final = 250_000
"""Rows whose arrival time is remembered, 16 bytes each."""

OTHER_IDS: Final = "its event ids are not those that scans return"
OTHER_TEXT: Final = "it delivers other events under the same ids"
PHANTOM: Final = "it delivered events that CloudWatch Logs does not return"


class _Awaited(msgspec.Struct, eq=False):
    """An event of the subscription that no scan has returned yet; a row if it has a seq."""

    stream: str
    timestamp: int
    fingerprint: int
    source: LiveSource | None
    delivered_ms: int
    arrived_ms: int | None = None
    seq: int | None = None

    @classmethod
    def of(cls, event: LogEvent, source: LiveSource | None, delivered_ms: int) -> Self:
        return cls(event.stream, event.timestamp, fingerprint(event), source, delivered_ms)


class UnscannedRow(msgspec.Struct, frozen=True):
    """A row that no scan has returned yet; ``arrived_ms`` is by AWS's clock."""

    seq: int
    timestamp: int
    stream: str
    is_overdue: bool
    arrived_ms: int | None


class _Standing(msgspec.Struct):
    """What the comparison has shown of one source."""

    agreed: set[str] = set()
    refuted: str | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether the source's events become rows of the journal."""
        return self.refuted is None and len(self.agreed) >= AGREED_MIN


def fingerprint(event: LogEvent | Row) -> int:
    """Hash of the content that a record and a scan must share; valid in this process only."""
    return hash((event.stream, event.timestamp, event.message))


class Agreement:
    """Compares a log group's subscription with scans: the same events under the same ids?"""

    def __init__(self) -> None:
        self._sources: dict[LiveSource, _Standing] = {}
        self._awaited: dict[str, _Awaited] = {}
        self._timestamps: Counter[int] = Counter()
        self._fingerprints: Counter[int] = Counter()
        self._same_content: dict[int, set[int]] = {}
        self._rows = 0
        self._clock_shifted_at = 0
        self._seqs = array("q")
        self._arrivals = array("q")
        self.refuted: str | None = None
        """Why rows of the subscription must be removed; None while none is refuted."""
        self.returned_count = 0
        """Events of the subscription that scans have returned unchanged."""

    # What may become a row

    def admits(self, source: LiveSource) -> bool:
        """Whether a source's events may become rows at present."""
        standing = self._sources.get(source)
        return standing is not None and standing.is_trusted and self._rows < ROWS_MAX

    @property
    def is_trusted(self) -> bool:
        """Whether the events of at least one source become rows."""
        return any(one.is_trusted for one in self._sources.values())

    @property
    def difference(self) -> str | None:
        """Why every source is refuted for good; None while one may still be trusted."""
        reasons = [one.refuted for one in self._sources.values()]
        return next((why for why in reasons if why), None) if reasons and all(reasons) else None

    # What the subscription delivers

    def add_hints(self, source: LiveSource, events: Iterable[LogEvent], now_ms: int) -> None:
        """Remember delivered events that are not in the journal, to compare them with scans."""
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
                self._await(event.id, _Awaited.of(event, source, now_ms))

    def add_rows(
        self,
        source: LiveSource,
        events: Sequence[LogEvent],
        first_seq: int,
        now_ms: int,
        arrived_ms: int | None,
    ) -> None:
        """Watch events that became rows with consecutive seqs until a scan returns them."""
        for seq, event in enumerate(events, first_seq):
            self._forget(event.id)
            awaited = _Awaited.of(event, source, now_ms)
            awaited.seq, awaited.arrived_ms = seq, arrived_ms
            self._await(event.id, awaited)
            self._rows += 1
        if arrived_ms is not None:
            self._seqs.extend(range(first_seq, first_seq + len(events)))
            self._arrivals.extend([arrived_ms] * len(events))
        if len(self._seqs) > ARRIVALS_MAX:
            del self._seqs[: ARRIVALS_MAX // 2]
            del self._arrivals[: ARRIVALS_MAX // 2]

    def ingested_ms(self, row: Row) -> int | None:
        """Latest time at which a row was ingested, by AWS's clock; None: unknown."""
        if row.ingestion_time is not None:
            return row.ingestion_time
        place = bisect_left(self._seqs, row.seq)
        is_there = place < len(self._seqs) and self._seqs[place] == row.seq
        return self._arrivals[place] if is_there else None

    def adopt_rows(self, rows: Iterable[Row], now_ms: int) -> None:
        """Watch a subscription's rows of an earlier process that a scan did not return.

        An earlier scan may have returned them, so they are not ``unscanned_rows`` and scans must
        return them. A row that none returns refutes the subscription all the same.
        """
        for row in rows:
            is_live = row.ingestion_time is None and row.message is not None
            if is_live and row.id not in self._awaited and self._rows < ROWS_MAX:
                assert row.message is not None
                event = LogEvent(row.id, row.timestamp, None, row.stream, row.message)
                awaited = _Awaited.of(event, None, now_ms)
                awaited.seq = row.seq
                self._await(row.id, awaited)
                self._rows += 1

    # What scans return

    def compare_page(self, scan: Scan, events: Iterable[LogEvent]) -> None:
        """Compare a page that a scan has returned with the events awaited."""
        awaited, timestamps = self._awaited, self._timestamps
        if not awaited:
            return
        for event in events:
            one = awaited.get(event.id)
            if one is not None:
                self._forget(event.id)
                if one.fingerprint == fingerprint(event):
                    self._agree(event.id, one)
                else:
                    self._refute(one, OTHER_TEXT)
            elif (
                event.timestamp in timestamps
                and (content := fingerprint(event)) in self._fingerprints
            ):
                self._same_content.setdefault(scan.number, set()).add(content)

    def finish_scan(self, scan: Scan, floor_ms: int) -> None:
        """Judge the awaited events that a whole scan should have returned.

        Events with a timestamp before ``floor_ms`` have expired, and are no longer awaited.
        """
        same_content = self._same_content.pop(scan.number, set())
        if scan.number <= self._clock_shifted_at:
            return
        for event_id, one in list(self._awaited.items()):
            age_ms = scan.begun_ms - one.delivered_ms
            if one.timestamp < floor_ms:
                self._forget(event_id)
            elif not scan.from_ <= one.timestamp <= scan.top:
                if one.seq is None and age_ms > PHANTOM_MS:
                    self._forget(event_id)
            elif one.fingerprint in same_content and age_ms >= (
                OTHER_ID_MS if one.seq is None else ROW_OTHER_ID_MS
            ):
                self._forget(event_id)
                self._refute(one, OTHER_IDS)
            elif age_ms >= PHANTOM_MS:
                self._forget(event_id)
                if one.seq is not None:
                    self._refute(one, PHANTOM)

    def abandon_scan(self, scan: Scan) -> None:
        """Drop what a scan that broke off has shown: an event missing from it proves nothing."""
        self._same_content.pop(scan.number, None)

    def awaits_row(self, event_id: str) -> bool:
        """Whether an event became a row that no scan has returned yet."""
        one = self._awaited.get(event_id)
        return one is not None and one.seq is not None

    def unscanned_rows(self, scan: Scan) -> list[UnscannedRow]:
        """Rows that a scan might have returned, and that no scan has returned yet.

        CloudWatch may not show them yet, so they do not count against the scan [8]; but the scan
        does not complete their time.
        """
        if not self._rows:
            return []
        return [
            UnscannedRow(
                one.seq,
                one.timestamp,
                one.stream,
                scan.begun_ms - one.delivered_ms >= SUSPECT_MS,
                one.arrived_ms,
            )
            for one in self._awaited.values()
            if one.seq is not None
            and one.source is not None
            and one.seq <= scan.head_seq
            and scan.from_ <= one.timestamp <= scan.top
        ]

    # Other changes

    def forget_stream(self, stream: str) -> None:
        """Await no more events of a deleted log stream: no scan will return them."""
        for event_id in [key for key, one in self._awaited.items() if one.stream == stream]:
            self._forget(event_id)

    def shift_clock(self, by_ms: int, now_ms: int, scans_begun: int) -> None:
        """Adjust ages to a wall clock that was set; scans begun so far can't judge ages."""
        self._clock_shifted_at = scans_begun
        for one in self._awaited.values():
            if by_ms < 0:
                one.delivered_ms = min(one.delivered_ms, now_ms)
            elif one.delivered_ms <= now_ms - by_ms:  # others were delivered since
                one.delivered_ms += by_ms

    def reset(self) -> None:
        """Forget rows and hints, because the journal began a new chain; trust stays."""
        self.refuted = None
        self._awaited.clear()
        self._timestamps.clear()
        self._fingerprints.clear()
        self._same_content.clear()
        del self._seqs[:], self._arrivals[:]
        self._rows = 0

    def _agree(self, event_id: str, one: _Awaited) -> None:
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
        self._timestamps[one.timestamp] += 1
        self._fingerprints[one.fingerprint] += 1

    def _forget(self, event_id: str) -> None:
        one = self._awaited.pop(event_id, None)
        if one is None:
            return
        self._rows -= one.seq is not None
        for counter, key in (
            (self._timestamps, one.timestamp),
            (self._fingerprints, one.fingerprint),
        ):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


CHANCE_MS: Final = 3_000
"""Time for the subscription to deliver an event: it takes a second or two, and shards add some."""

PROBATION_MS: Final = 30_000
"""Time without a miss, with something delivered, before the subscription is relied on again."""

SETTLING_MS: Final = 3_000
"""Events ingested this soon after reading began may lie before the position that it began at."""

BEHIND_MAX_MS: Final = 5_000
"""A subscription further behind than this delivers later than polls would."""

EXPECTED_MAX: Final = 50_000
"""Events that are expected at once; of more, nothing is concluded."""


class Punctuality:
    """Whether a log group's subscription delivers in time what scans find."""

    def __init__(self) -> None:
        self.missed_count = 0
        """Events that scans found and the subscription did not deliver in time."""
        self.repaired_count = 0
        """Events found by polls after the subscription, while relied on, had time to deliver."""
        self._is_relied_on = False
        self._since_ms: int | None = None
        self._behind_ms = 0
        self._read_ms = 0
        self._found: dict[str, None] = {}
        self._expected: dict[str, int] = {}
        self._order: deque[tuple[int, str]] = deque()
        self._missed_ms: int | None = None
        self._delivered_ms: int | None = None

    def rely(self, *, on_live_path: bool) -> None:
        """Set whether polls leave new events to the subscription."""
        self._is_relied_on = on_live_path

    def note_read(self, behind_ms: int, now_ms: int) -> None:
        """Note that the subscription was read, and how far behind its end that was."""
        if self._since_ms is None:
            self._since_ms = now_ms
        self._behind_ms = behind_ms
        self._read_ms = now_ms

    def note_failure(self) -> None:
        """Note that the subscription can't be read; what it should have delivered is excused."""
        self._since_ms = None
        self._found.clear()
        self._expected.clear()
        self._order.clear()

    def note_delivered(self, ids: Iterable[str], now_ms: int) -> None:
        """Note events that the subscription delivered, new or known."""
        expected, found = self._expected, self._found
        for one in ids:
            # Most come between the scan that found them and the next look at the clock.
            found.pop(one, None)
            expected.pop(one, None)
        self._delivered_ms = now_ms

    def expect(self, events: Iterable[tuple[str, int | None]]) -> None:
        """Expect the subscription to deliver events, (id, ingestion time), that a scan found."""
        since_ms = self._since_ms
        if since_ms is None:
            return
        room = EXPECTED_MAX - len(self._found) - len(self._expected)
        soon = (one for one, ingested in events if ingested and ingested >= since_ms + SETTLING_MS)
        self._found.update((one, None) for one, _ in zip(soon, range(room), strict=False))

    def count_missed(self, now_ms: int) -> int:
        """Count the expected events whose time ran out; return those since the last call."""
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

    def is_late(self, now_ms: int) -> bool:
        """Whether polls are as fast: the subscription is behind, or lately missed events."""
        if now_ms - self._read_ms + self._behind_ms > BEHIND_MAX_MS:
            return True
        missed_ms, delivered_ms = self._missed_ms, self._delivered_ms
        if missed_ms is None:
            return False
        was_good = delivered_ms is not None and delivered_ms > missed_ms
        return not was_good or now_ms - missed_ms < PROBATION_MS

    def had_time(self, ingested_ms: int | None, begun_ms: int) -> bool:
        """Whether an event ingested at one time should have been delivered before a scan began."""
        since_ms = self._since_ms
        return (
            since_ms is not None
            and ingested_ms is not None
            and since_ms + SETTLING_MS <= ingested_ms <= begun_ms - CHANCE_MS
        )

    def classify(self, event: LogEvent, scan: Scan) -> Origin:
        """Return the origin of an event that a poll found first, and count it if it is a repair.

        A poll is a live path, too. But where the subscription is relied on, an event that it had
        time to deliver is a repair.
        """
        is_missed = self._is_relied_on and self.had_time(event.ingestion_time, scan.begun_ms)
        self.repaired_count += is_missed
        return "repair" if is_missed else "live"
