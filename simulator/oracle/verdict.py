"""Pure: what a viewer displays, judged by what CloudWatch accepted.

PutLogEvents returns no ids, so an event is known by (log stream, timestamp, message), and equal
ones are counted. The order that must hold is the display order, (timestamp, int(id)).

Pure: which marks lied.

A mark says (PROTOCOL.md) that every event of its range which a whole scan begun at ``scanned_at``
returned had been delivered when the mark came. CloudWatch returns to such a scan whatever was
visible when it began and stays. Hence a mark lied if such an event

- is not displayed at all; or
- is displayed with a seq above the mark's: the forwarder discovered it only after it had said
  that nothing was missing, however soon. This is seen in a record of long after.

What only became visible after the scan had begun is late news, whatever its timestamp, and makes
nobody a liar. Seqs are compared within one chain of epochs alone: what the record does not call
confirmed, and what several forwarders have numbered, is taken to have been there in time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from simulator.acceptance import NEVER
from simulator.oracle.record import Claim, Identity, LedgerEvent, Record, Shown, read_record

_BLOCK: Final = 512
"""Displayed events that are passed over at once where none of them came after a mark."""


def lies(
    claims: Sequence[Claim],
    record: Record,
    accepted: Sequence[LedgerEvent],
    missing: Iterable[LedgerEvent],
    copies: Mapping[Identity, int],
) -> list[Identity]:
    """Of each of the claims that is not true one event that shows it, in the claims' order.

    Args:
        claims: marks that were found equal, with the moments of their scans by a right clock.
        record: what is displayed; its events may stand in any order.
        accepted: all that CloudWatch accepted.
        missing: those of them that should be displayed and are not.
        copies: how many equal events are displayed, each id once.

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
        never = (
            event.identity for event in missing[low:high] if event.is_owed_by(claim.scanned_at)
        )
        too_late = _not_in_time(claim, late, known, copies)
        for identity in (*_first(claim, record, never), *_first(claim, record, too_late)):
            found.append(identity)
            break
    return found


def _first(claim: Claim, record: Record, identities: Iterable[Identity]) -> list[Identity]:
    """The first that the claim is about, if there is one."""
    covered = (one for one in identities if record.covers(claim, one[0]))
    return [one for one in [next(covered, None)] if one is not None]


def _not_in_time(
    claim: Claim,
    late: Mapping[Identity, int],
    known: Mapping[Identity, Sequence[LedgerEvent]],
    copies: Mapping[Identity, int],
) -> Iterator[Identity]:
    """Events of which fewer were there with the mark than its scan must have returned.

    Equal events can't be told apart: of as many as were there by then each may be the one that
    was visible.
    """
    for identity, count in late.items():
        owed = sum(event.is_owed_by(claim.scanned_at) for event in known[identity])
        if owed > copies[identity] - count:
            yield identity


class _Discoveries:
    """What is displayed, by timestamp, with the seq under which the forwarder discovered it."""

    def __init__(self, shown: Iterable[Shown]) -> None:
        self._rows = sorted(shown, key=lambda one: one.timestamp)
        self._times = [one.timestamp for one in self._rows]
        self._newest = [
            max(one.seq for one in self._rows[at : at + _BLOCK])
            for at in range(0, len(self._rows), _BLOCK)
        ]

    def after(self, claim: Claim) -> Counter[Identity]:
        """What a claim is about and was discovered after it."""
        low = bisect_left(self._times, claim.from_)
        high = bisect_right(self._times, claim.through)
        late: dict[str, Identity] = {}
        for block in range(low // _BLOCK, -(-high // _BLOCK)):
            if self._newest[block] > claim.seq:
                begin, end = max(low, block * _BLOCK), min(high, (block + 1) * _BLOCK)
                rows = self._rows[begin:end]
                late |= {one.id: one.identity for one in rows if one.seq > claim.seq}
        return Counter(late.values())


__all__ = ["LedgerEvent", "Verdict", "judge"]

EXAMPLES_MAX: Final = 5
"""Events of each kind that a verdict names."""

CORRECTED_MS: Final = 1_000
"""A clock may be ahead by so much still where its forwarder corrects it by CloudWatch's answers,
whose ``Date`` has whole seconds."""

_EXAMPLE_CHARS_MAX: Final = 120


class Verdict(msgspec.Struct, kw_only=True):
    """Counts of events, and of marks in the last two lines.

    ``lost`` was accepted and is owed but not shown; ``undeclared`` is the part of it that lies in
    no range which the viewer itself calls missing. ``expired`` was taken by CloudWatch's retention
    and is declared, ``vanished`` went with a log group that was made anew, without a trace that
    anybody could find: neither is shown, and neither is lost by the viewer. ``pending`` is not
    shown, but nobody could have shown it yet. ``altered`` is shown with another stream, timestamp
    or message (and then neither lost nor unexpected). ``duplicated`` counts what is shown too
    often, ``misordered`` what stands below an event that comes after it, ``unexpected`` what was
    never accepted. Of the marks that lied ``simulator.oracle.verdict`` tells.
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
        """Whether nothing is wrong; showing nothing is wrong if there was something to show."""
        return self.honest and self.lost == 0

    @property
    def honest(self) -> bool:
        """Whether nothing is wrong but losses that the viewer itself declares."""
        faults = (
            self.undeclared,
            self.duplicated,
            self.misordered,
            self.unexpected,
            self.altered,
            self.marks_lied,
        )
        return not any(faults) and (self.shown > 0 or self.accepted == 0)

    def report(self) -> dict[str, Any]:
        """As JSON has it, with ``clean`` and ``honest``."""
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
        ledger_events: what CloudWatch accepted.
        record_lines: the record, NDJSON.
        in_flight: events that may have been accepted, since the answer is still to come.
        expected_before_ms: what became visible at this moment or later and is not shown is
            pending, not lost; None = everything should have been shown.
        unsteady: a scan that began in one of these ranges (first and last ms) may rightly have
            missed anything: CloudWatch itself hid what it had shown or taken.
        clocks: from when until when the forwarder's clock may have been how many ms ahead; marks
            say by that clock when their scans began. Where several moments are possible, the
            first counts; a mark of none claims nothing. None given: it is right.

    Raises:
        SimulatorError: the lines are not a record.

    """
    record = read_record(record_lines)
    verdict = Verdict(
        accepted=len(ledger_events), owed=0, shown=len(record.shown), marks=len(record.claims)
    )
    examples = _Examples()
    verdict.misordered = _misordered(record.shown, examples)
    have: Counter[Identity] = Counter()
    ids: set[str] = set()
    for one in record.shown:
        if one.id in ids:
            verdict.duplicated += 1
            examples.add("duplicated", (one.stream, one.timestamp, one.message))
        else:
            ids.add(one.id)
            have[one.stream, one.timestamp, one.message] += 1
    known, missing = _match(ledger_events, have, record, verdict)
    strange = _strangers(have, known, Counter(in_flight), verdict, examples)
    claims = [
        claim
        for claim in (_righted(one, clocks) for one in record.claims)
        if not any(low <= claim.scanned_at <= high for low, high in unsteady)
    ]
    for identity in lies(claims, record, ledger_events, missing, have):
        verdict.marks_lied += 1
        examples.add("marks_lied", identity)
    missing = _pair_altered(missing, strange, verdict, examples)
    _weigh_losses(missing, record, expected_before_ms, verdict, examples)
    verdict.examples = examples.by_kind
    return verdict


class _Examples:
    """A few events of each kind, to begin a search with."""

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
            examples.add("misordered", (one.stream, one.timestamp, one.message))
        highest = max(highest, one.key)
    return count


def _match(
    events: Sequence[LedgerEvent], have: Counter[Identity], record: Record, verdict: Verdict
) -> tuple[Counter[Identity], list[LedgerEvent]]:
    """What was accepted, counted; and what of it is owed but not shown."""
    known: Counter[Identity] = Counter()
    missing: list[LedgerEvent] = []
    # Of equal events those count as missing that are gone, or became visible last: no mark is
    # called a liar that may have told the truth.
    for event in sorted(events, key=lambda one: (-one.gone_ms, one.visible_ms)):
        known[event.identity] += 1
        if record.owes(event.log_stream, event.timestamp):
            verdict.owed += 1
            if known[event.identity] > have[event.identity]:
                missing.append(event)
    return known, missing


def _strangers(
    have: Counter[Identity],
    known: Counter[Identity],
    in_flight: Counter[Identity],
    verdict: Verdict,
    examples: _Examples,
) -> list[Identity]:
    """Count what is shown more often than it was accepted; return what never was."""
    strange: list[Identity] = []
    for identity, count in have.items():
        surplus = count - known[identity] - in_flight[identity]
        if surplus <= 0:
            continue
        if identity in known or identity in in_flight:
            verdict.duplicated += surplus
            examples.add("duplicated", identity)
        else:
            strange += [identity] * surplus
    return strange


def _pair_altered(
    missing: list[LedgerEvent], strange: list[Identity], verdict: Verdict, examples: _Examples
) -> list[LedgerEvent]:
    """Count pairs of a stranger and a missing event that differ in one field; the rest of both."""
    for field in range(3):
        places: defaultdict[tuple[str | int, ...], list[int]] = defaultdict(list)
        for place, event in enumerate(missing):
            places[_without(event.identity, field)].append(place)
        found: set[int] = set()
        unpaired: list[Identity] = []
        for identity in strange:
            candidates = places.get(_without(identity, field))
            if candidates:
                found.add(candidates.pop())
                verdict.altered += 1
                examples.add("altered", identity)
            else:
                unpaired.append(identity)
        missing = [event for place, event in enumerate(missing) if place not in found]
        strange = unpaired
    verdict.unexpected = len(strange)
    for identity in strange:
        examples.add("unexpected", identity)
    return missing


def _without(identity: Identity, field: int) -> tuple[str | int, ...]:
    # The message first: it is what gets altered; then timestamp, then stream.
    stream, timestamp, message = identity
    return ((stream, timestamp), (stream, message), (timestamp, message))[field]


def _weigh_losses(
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


def _righted(claim: Claim, clocks: Sequence[tuple[int, int, int]]) -> Claim:
    """The claim with the moment of its scan by a clock that is right."""
    if not clocks:
        return claim
    possible = [
        moment
        for low, high, ahead_ms in clocks
        for moment in (claim.scanned_at - ahead_ms, claim.scanned_at - min(ahead_ms, CORRECTED_MS))
        if low <= moment <= high
    ]
    return msgspec.structs.replace(claim, scanned_at=min(possible, default=-NEVER))
