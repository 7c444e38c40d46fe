"""The verdict: what a viewer shows, judged by what CloudWatch accepted. Pure.

PutLogEvents returns no ids, so an event is known by (log stream, timestamp, message), and equal
events are counted. The required order is the display order, (timestamp, int(id)).

A mark says (PROTOCOL.md) that every event of its range which a full scan begun at ``scanned_at``
returned had been delivered when the mark arrived. CloudWatch returns to such a scan every event
that was visible when it began and stays so. Hence a mark is false if such an event

- is not shown at all; or
- is shown with a seq above the mark's: the forwarder discovered it only after it had declared the
  range complete, however soon. A record shows this long afterwards; or
- is shown with a text that CloudWatch did not return at that time, although it did at another, and
  the record declares no altered text there. Either of the two texts may be shown.

An event that became visible only after the scan had begun is a late event, whatever its timestamp,
and makes no mark false. Seqs are compared within one chain of epochs only. Events that the record
does not call confirmed, or that several forwarders have numbered, count as delivered in time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from simulator.acceptance import NEVER
from simulator.oracle.record import Identity, LedgerEvent, Record, Shown, read_record
from wire.record import Mark

_BLOCK: Final = 512
"""Shown events that are skipped at once where none of them was discovered after a mark."""


def find_false_marks(
    claims: Sequence[Mark],
    record: Record,
    accepted: Sequence[LedgerEvent],
    missing: Iterable[LedgerEvent],
    copies: Mapping[Identity, int],
) -> list[Identity]:
    """One event for each false mark that proves it false, in the order of the marks.

    Args:
        claims: Marks that were found equal, with the moments of their scans by a correct clock.
        record: The viewer's record; its events may be in any order.
        accepted: The events that CloudWatch accepted.
        missing: Those of them that should be shown and are not.
        copies: How many equal events are shown, each id counted once.
    """
    missing = sorted(missing, key=lambda event: event.timestamp)
    times = [event.timestamp for event in missing]
    discovered = _Discoveries(record.shown if len(record.targets) <= 1 else ())
    after = [discovered.after(claim) for claim in claims]
    wanted = {identity for late in after for identity in late}
    known: dict[Identity, list[LedgerEvent]] = {identity: [] for identity in wanted}
    for event in accepted if wanted else ():
        if event.identity in known:
            known[event.identity].append(event)
    found: list[Identity] = []
    for claim, late in zip(claims, after, strict=True):
        low, high = bisect_left(times, claim.from_), bisect_right(times, claim.through)
        not_shown = (
            event.identity for event in missing[low:high] if event.is_found_by(claim.scanned_at)
        )
        too_late = _not_in_time(claim, late, known, copies)
        proofs = chain(not_shown, too_late)
        found += islice((one for one in proofs if record.covers(claim, one[0], one[2])), 1)
    return found


def _not_in_time(
    claim: Mark,
    late: Mapping[Identity, int],
    known: Mapping[Identity, Sequence[LedgerEvent]],
    copies: Mapping[Identity, int],
) -> Iterator[Identity]:
    """Events of which fewer were delivered with the mark than its scan must have returned.

    Equal events can't be distinguished, so only their numbers are compared.
    """
    for identity, count in late.items():
        returned = sum(event.is_found_by(claim.scanned_at) for event in known[identity])
        if returned > copies[identity] - count:
            yield identity


class _Discoveries:
    """The shown events by timestamp, with the seqs under which the forwarder discovered them."""

    def __init__(self, shown: Iterable[Shown]) -> None:
        self._rows = sorted(shown, key=lambda one: one.timestamp)
        self._times = [one.timestamp for one in self._rows]
        self._newest = [
            max(one.seq for one in self._rows[at : at + _BLOCK])
            for at in range(0, len(self._rows), _BLOCK)
        ]

    def after(self, claim: Mark) -> Counter[Identity]:
        """Events in a claim's range that were discovered after it."""
        low = bisect_left(self._times, claim.from_)
        high = bisect_right(self._times, claim.through)
        late: dict[str, Identity] = {}
        for block in range(low // _BLOCK, -(-high // _BLOCK)):
            if self._newest[block] > claim.seq:
                begin, end = max(low, block * _BLOCK), min(high, (block + 1) * _BLOCK)
                rows = self._rows[begin:end]
                late |= {one.id: one.identity for one in rows if one.seq > claim.seq}
        return Counter(late.values())


EXAMPLES_MAX: Final = 5
"""Most events of each kind that a verdict lists."""

CORRECTED_MS: Final = 1_000
"""How far a clock may still be ahead that its forwarder corrects by CloudWatch's ``Date`` headers,
which have whole seconds."""

_EXAMPLE_CHARS_MAX: Final = 120


class Verdict(msgspec.Struct, kw_only=True):
    """How far a viewer's record agrees with what CloudWatch accepted, in counts.

    Attributes:
        accepted: Events that CloudWatch accepted.
        owed: Those of them that the viewer requested.
        shown: Events that the viewer shows.
        lost: Owed and not shown.
        undeclared: Lost, in no range that the viewer declares missing.
        pending: Not shown, but not visible for long enough yet.
        expired: Deleted by CloudWatch's retention, and declared by the viewer.
        vanished: Gone with a recreated log group, or visible too briefly to be read.
        duplicated: Shown too often.
        misordered: Shown below an event that belongs after it.
        unexpected: Shown, but never accepted.
        altered: Shown with another stream, timestamp or message; neither lost nor unexpected.
        marks: Marks that the viewer found equal.
        marks_lied: False marks, as in this module's description.
        examples: Some events of each kind of error.
    """

    accepted: int
    owed: int
    shown: int
    lost: int = 0
    undeclared: int = 0
    pending: int = 0
    expired: int = 0
    vanished: int = 0
    duplicated: int = 0
    misordered: int = 0
    unexpected: int = 0
    altered: int = 0
    marks: int = 0
    marks_lied: int = 0
    examples: dict[str, list[str]] = {}

    @property
    def clean(self) -> bool:
        """Whether the record has no error; showing no event is one if any was accepted."""
        return self.honest and self.lost == 0

    @property
    def honest(self) -> bool:
        """Whether the record has no error except losses that the viewer itself declares."""
        wrong = self.undeclared + self.duplicated + self.misordered + self.unexpected
        return not (wrong + self.altered + self.marks_lied) and (
            self.shown > 0 or self.accepted == 0
        )

    def report(self) -> dict[str, Any]:
        """The verdict as JSON, with ``clean`` and ``honest``."""
        fields: dict[str, Any] = msgspec.to_builtins(self)
        return {"clean": self.clean, "honest": self.honest, **fields}


def judge(
    ledger_events: Sequence[LedgerEvent],
    record_lines: Iterable[str | bytes],
    *,
    in_flight: Iterable[Identity] = (),
    expected_before_ms: int | None = None,
    unsteady: Sequence[tuple[int, int]] = (),
    clocks: Sequence[tuple[int, int, int]] = (),
) -> Verdict:
    """Compare a viewer's record with the ledger.

    Args:
        ledger_events: The events that CloudWatch accepted.
        record_lines: The record, NDJSON.
        in_flight: Events that CloudWatch may have accepted but has not acknowledged yet.
        expected_before_ms: An event that became visible at this moment or later and is not shown
            is pending, not lost; None = every event should have been shown.
        unsteady: Ranges (first and last ms); a scan that began in one may rightly have missed any
            event, because CloudWatch itself hid or deleted events that it had shown.
        clocks: From when until when (ms) the forwarder's clock may have been how many ms ahead;
            marks say by that clock when their scans began. Where several moments are possible,
            the earliest counts; a mark without a possible moment claims nothing. Empty: the clock
            is correct.

    Raises:
        SimulatorError: the lines are not a record.
    """
    record = read_record(record_lines)
    record.shown, altered = _recognise_altered(record.shown, ledger_events)
    verdict = Verdict(
        accepted=len(ledger_events), owed=0, shown=len(record.shown), marks=len(record.claims)
    )
    examples = _Examples()
    verdict.misordered = _misordered(record.shown, examples)
    have = Counter(_distinct(record.shown, verdict, examples))
    known, missing = _match(ledger_events, have, record, verdict)
    unknown = _count_surplus(have, known, Counter(in_flight), verdict, examples)
    claims = [
        claim
        for claim in (_at_true_time(one, clocks) for one in record.claims)
        if not any(low <= claim.scanned_at <= high for low, high in unsteady)
    ]
    for identity in find_false_marks(claims, record, ledger_events, missing, have):
        verdict.marks_lied += 1
        examples.add("marks_lied", identity)
    for identity in _find_silent_marks(claims, record, altered):
        verdict.marks_lied += 1
        examples.add("marks_lied", identity)
    missing = _pair_altered(missing, unknown, verdict, examples)
    _count_losses(missing, record, expected_before_ms, verdict, examples)
    verdict.examples = examples.by_kind
    release(record.shown)
    return verdict


def release(rows: list[Any]) -> None:
    """Empty a list piece by piece.

    A million rows that are freed at once hold up every other thread for a tenth of a second.
    """
    while rows:
        del rows[-_BLOCK:]


def _distinct(shown: Iterable[Shown], verdict: Verdict, examples: _Examples) -> Iterator[Identity]:
    """Each shown event once; counts those whose id is shown again."""
    ids: set[str] = set()
    for one in shown:
        if one.id in ids:
            verdict.duplicated += 1
            examples.add("duplicated", one.identity)
        else:
            ids.add(one.id)
            yield one.identity


class _AlteredEvent(NamedTuple):
    """A shown event that CloudWatch returned with two texts, and what the ledger has like it."""

    shown: Shown
    events: list[LedgerEvent]


def _recognise_altered(
    shown: list[Shown], events: Sequence[LedgerEvent]
) -> tuple[list[Shown], list[_AlteredEvent]]:
    """Give shown events their first text back; returns also those that had two, as shown."""
    alterable: defaultdict[Identity, list[LedgerEvent]] = defaultdict(list)
    others: defaultdict[Identity, list[Identity]] = defaultdict(list)
    for event in events:
        if event.other_text is not None:
            alterable[event.identity].append(event)
            others[event.log_stream, event.timestamp, event.other_text].append(event.identity)
    if not alterable:
        return shown, []
    room = Counter(event.identity for event in events)
    firsts: list[Shown] = []
    unknown: list[int] = []
    for one in shown:
        if room[one.identity] > 0:
            room[one.identity] -= 1
        else:
            unknown.append(len(firsts))
        firsts.append(one)
    for at in unknown:
        candidates = others.get(shown[at].identity)
        if candidates:
            first = next((one for one in candidates if room[one] > 0), candidates[0])
            room[first] -= 1
            firsts[at] = msgspec.structs.replace(shown[at], message=first[2])
    found = zip(shown, firsts, strict=True)
    return firsts, [
        _AlteredEvent(one, alterable[first.identity])
        for one, first in found
        if first.identity in alterable
    ]


def _find_silent_marks(
    claims: Iterable[Mark], record: Record, altered: Iterable[_AlteredEvent]
) -> Iterator[Identity]:
    """One event for each mark that covers an altered event without saying so."""
    silent = [one for one in altered if not record.declares_altered(one.shown.timestamp)]
    for claim in claims if silent and len(record.targets) <= 1 else ():
        for shown, events in silent:
            is_covered = claim.from_ <= shown.timestamp <= claim.through
            # Only what the forwarder had numbered by then was in its count and its digest.
            if (
                is_covered
                and claim.seq != NEVER
                and 0 < shown.seq <= claim.seq
                and record.covers(claim, shown.stream, events[0].message)
                and not any(one.may_return(shown.message, claim.scanned_at) for one in events)
                and any(one.is_found_by(claim.scanned_at) for one in events)
            ):
                yield shown.identity
                break


class _Examples:
    """The first events of each kind of error."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[str]] = {}

    def add(self, kind: str, identity: Identity) -> None:
        named = self.by_kind.setdefault(kind, [])
        if len(named) < EXAMPLES_MAX:
            stream, timestamp, message = identity
            named.append(f"{timestamp} {stream} {message[:_EXAMPLE_CHARS_MAX]}")


def _misordered(shown: Sequence[Shown], examples: _Examples) -> int:
    count, highest = 0, -1
    for one in shown:
        if one.key < highest:
            count += 1
            examples.add("misordered", one.identity)
        highest = max(highest, one.key)
    return count


def _match(
    events: Sequence[LedgerEvent], have: Counter[Identity], record: Record, verdict: Verdict
) -> tuple[Counter[Identity], list[LedgerEvent]]:
    """Count the accepted events; return the counts, and the events that are owed but not shown."""
    known: Counter[Identity] = Counter()
    missing: list[LedgerEvent] = []
    # Of equal events those count as missing that are deleted or became visible last, so that no
    # mark is called false that may have been true. Two sorts by numbers, of which most are in
    # order already: one by pairs would hold up every other thread for half a second.
    ordered = sorted(events, key=attrgetter("visible_ms"))
    ordered.sort(key=attrgetter("removed_ms"), reverse=True)
    for event in ordered:
        identity = event.identity
        known[identity] = count = known.get(identity, 0) + 1
        if record.requests(*identity):
            verdict.owed += 1
            if count > have[identity]:
                missing.append(event)
    return known, missing


def _count_surplus(
    have: Counter[Identity],
    known: Counter[Identity],
    in_flight: Counter[Identity],
    verdict: Verdict,
    examples: _Examples,
) -> list[Identity]:
    """Count events shown more often than accepted; return those that were never accepted."""
    unknown: list[Identity] = []
    for identity, count in have.items():
        surplus = count - known.get(identity, 0) - in_flight.get(identity, 0)
        if surplus <= 0:
            continue
        if identity in known or identity in in_flight:
            verdict.duplicated += surplus
            examples.add("duplicated", identity)
        else:
            unknown += [identity] * surplus
    return unknown


def _pair_altered(
    missing: list[LedgerEvent], unknown: list[Identity], verdict: Verdict, examples: _Examples
) -> list[LedgerEvent]:
    """Count pairs of an unknown and a missing event that differ in one field.

    Counts the other unknown events as unexpected, and returns the other missing ones.
    """
    for field in range(3):
        places: defaultdict[tuple[str | int, ...], list[int]] = defaultdict(list)
        for place, event in enumerate(missing):
            places[_without(event.identity, field)].append(place)
        found: set[int] = set()
        unpaired: list[Identity] = []
        for identity in unknown:
            candidates = places.get(_without(identity, field))
            if candidates:
                found.add(candidates.pop())
                verdict.altered += 1
                examples.add("altered", identity)
            else:
                unpaired.append(identity)
        missing = [event for place, event in enumerate(missing) if place not in found]
        unknown = unpaired
    verdict.unexpected = len(unknown)
    for identity in unknown:
        examples.add("unexpected", identity)
    return missing


def _without(identity: Identity, field: int) -> tuple[str | int, ...]:
    # The message first, as the most likely to be altered; then the timestamp, then the stream.
    stream, timestamp, message = identity
    return ((stream, timestamp), (stream, message), (timestamp, message))[field]


def _count_losses(
    missing: list[LedgerEvent],
    record: Record,
    expected_before_ms: int | None,
    verdict: Verdict,
    examples: _Examples,
) -> None:
    for event in missing:
        if event.vanished_ms != NEVER:
            verdict.vanished += 1
            continue
        if event.expired_ms != NEVER and record.declares(event.timestamp):
            verdict.expired += 1
            continue
        if event.was_brief:
            verdict.vanished += 1
            continue
        if expected_before_ms is not None and event.visible_ms >= expected_before_ms:
            verdict.pending += 1
            continue
        verdict.lost += 1
        examples.add("lost", event.identity)
        if not record.declares(event.timestamp):
            verdict.undeclared += 1
            examples.add("undeclared", event.identity)


def _at_true_time(claim: Mark, clocks: Sequence[tuple[int, int, int]]) -> Mark:
    """The claim with the moment of its scan by a correct clock."""
    if not clocks:
        return claim
    possible = [
        moment
        for low, high, ahead_ms in clocks
        for moment in (claim.scanned_at - ahead_ms, claim.scanned_at - min(ahead_ms, CORRECTED_MS))
        if low <= moment <= high
    ]
    return msgspec.structs.replace(claim, scanned_at=min(possible, default=-NEVER))
