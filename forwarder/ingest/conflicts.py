"""Events that an answer of CloudWatch brings and the journal must not take in. Pure.

Two kinds: events that the protocol can't carry, and events that contradict the journal, because a
known id comes with another timestamp or log stream [17]. Such an answer is inconsistent, or the log
group was recreated: its creation time decides, and until then nothing is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from common.ranges import Range
from forwarder.ingest.scan import Scan
from forwarder.records import KnownRow, LogEvent, UnreadableEvent
from wire.limits import ID_DIGITS_MAX, TIMESTAMP_MAX

WRONG_ID: Final = f"its id is not a decimal number of 1 to {ID_DIGITS_MAX} digits"
WRONG_TIMESTAMP: Final = "its timestamp is not in milliseconds since 1970"
"""Why the protocol can't carry an event."""

JOIN_MS: Final = 60_000
"""Positions in doubt that are at most this far apart become one gap."""

SETTLED_SCANS: Final = 10
SETTLED_MS: Final = 60_000
"""Whole scans in a row, and the time between the first and the last, that must contradict a row
before it is left as it is and the contradiction is declared for good."""

REMEMBERED_MAX: Final = 10_000
"""Unreadable or conflicting events that are remembered; the same for each kind."""

_TEXT_MAX: Final = 40


def sort_out(events: Sequence[LogEvent]) -> tuple[Sequence[LogEvent], list[UnreadableEvent]]:
    """Separate the events that the protocol can carry from the others.

    Leading zeros are stripped from the ids of the former.
    """
    ids = [event.id for event in events]
    digits = "".join(ids)
    # Whole lists at once: this runs for every event that a scan returns again.
    if not events or (
        digits.isdecimal()
        and digits.isascii()
        and min(ids) >= "1"
        and max(map(len, ids)) <= ID_DIGITS_MAX
        and min(event.timestamp for event in events) >= 0
        and max(event.timestamp for event in events) <= TIMESTAMP_MAX
    ):
        return events, []
    good: list[LogEvent] = []
    bad: list[UnreadableEvent] = []
    for event in events:
        why = _why_unreadable(event)
        if why is not None:
            bad.append(UnreadableEvent(repr(event.id[:_TEXT_MAX]), event.timestamp, why))
        elif event.id[0] == "0":
            good.append(replace(event, id=event.id.lstrip("0") or "0"))
        else:
            good.append(event)
    return good, bad


def _why_unreadable(event: LogEvent) -> str | None:
    one = event.id
    if not (one.isascii() and one.isdecimal() and len(one) <= ID_DIGITS_MAX):
        return WRONG_ID
    return None if 0 <= event.timestamp <= TIMESTAMP_MAX else WRONG_TIMESTAMP


class UnreadableEvents:
    """The unreadable events of a chain that were declared: each is declared once."""

    def __init__(self) -> None:
        self._declared: set[UnreadableEvent] = set()

    def undeclared(self, events: Iterable[UnreadableEvent]) -> list[UnreadableEvent]:
        """Those of these events that were not declared yet."""
        return [one for one in events if one not in self._declared]

    def note_declared(self, events: Sequence[UnreadableEvent]) -> None:
        """Remember that these events were declared."""
        if len(self._declared) + len(events) > REMEMBERED_MAX:
            self._declared.clear()  # declared again, which joins the same gap
        self._declared.update(events[:REMEMBERED_MAX])


def position_of(event: UnreadableEvent, scan: Scan) -> int:
    """Where to declare an unreadable event of a scan, ms.

    A timestamp outside of the scan's range is clipped to it: CloudWatch returned the event as part
    of that range, and viewers are shown gaps of their own time only.
    """
    if event.timestamp is None or event.timestamp < scan.from_:
        return scan.from_
    if event.timestamp > scan.top:
        return max(scan.from_, scan.covered)
    return event.timestamp


class Conflicts:
    """Events that contradict the rows of one chain, and whether the log group was recreated."""

    def __init__(self) -> None:
        self._is_seen = False
        self._is_answered = False
        self._created_ms: int | None = None
        self._ingested_ms: int | None = None
        self._pending: dict[str, tuple[int, int]] = {}
        self._settled: set[str] = set()

    def is_settled(self, event_id: str) -> bool:
        """Whether a contradiction has lasted so long that the row in the journal stands."""
        return event_id in self._settled

    def add(self, ingested_ms: int | None) -> None:
        """Note a conflict with a row that was ingested at that time, by AWS's clock, if known."""
        self._is_seen = True
        if not self._pending:
            self._is_answered = False
        if ingested_ms is not None:
            before = self._ingested_ms
            self._ingested_ms = ingested_ms if before is None else min(before, ingested_ms)

    def retract(self, ids: Iterable[str]) -> None:
        """Start counting over for ids that came as the journal has them."""
        if self._pending:
            for one in ids:
                self._pending.pop(one, None)

    def lasting(self, ids: Iterable[str], begun_ms: int) -> list[str]:
        """Count the ids that a whole scan contradicted; returns those that did so long enough.

        Only once CloudWatch was asked for the log group's age, or denied the answer: until then
        the log group may have been recreated.
        """
        found = []
        for one in ids:
            scans, first_ms = self._pending.get(one, (0, begun_ms))
            if scans or len(self._pending) < REMEMBERED_MAX:
                self._pending[one] = scans + 1, first_ms
            is_long = scans + 1 >= SETTLED_SCANS and begun_ms - first_ms >= SETTLED_MS
            if is_long and self._is_answered:
                found.append(one)
        return found

    def settle(self, ids: Iterable[str]) -> None:
        """Let the rows in the journal stand: what contradicts them was declared."""
        for one in ids:
            self._pending.pop(one, None)
            if len(self._settled) < REMEMBERED_MAX:
                self._settled.add(one)

    def note_answer(self) -> None:
        """Note that it was asked whether the log group was recreated, or can't be found out."""
        self._is_answered = True

    def is_recreated(self, created_ms: int) -> bool:
        """Whether a creation time confirms that the conflicting rows are of a deleted log group.

        It is newer than one of the rows, or than the one that this chain began with.
        """
        before = self._created_ms
        if before is None:
            self._created_ms = before = created_ms
        if not self._is_seen:
            return False
        ingested_ms = self._ingested_ms
        return before < created_ms or (ingested_ms is not None and ingested_ms < created_ms)


class Batch(NamedTuple):
    """Events compared with the rows that have their ids.

    Attributes:
        fresh: new events, by id.
        returned: rows that came again.
        bodiless: events whose rows have no body.
        conflicts: events that contradict a row, or another event of the batch.
        held: how many events must not be taken in.
        plain: the events that contradict nothing.
    """

    fresh: dict[str, LogEvent]
    returned: list[KnownRow]
    bodiless: list[tuple[LogEvent, KnownRow]]
    conflicts: list[tuple[LogEvent, KnownRow | LogEvent]]
    held: int
    plain: Sequence[LogEvent]


def compare_with_rows(
    events: Sequence[LogEvent],
    found: Mapping[str, KnownRow],
    is_reused: Callable[[KnownRow | LogEvent, LogEvent], bool],
    known_conflicts: Conflicts,
) -> Batch:
    """Separate new events, known ones, and those that contradict the journal or each other.

    Of an event that contradicts a row for good only the row counts: as returned.
    """
    fresh: dict[str, LogEvent] = {}
    returned: list[KnownRow] = []
    bodiless: list[tuple[LogEvent, KnownRow]] = []
    contradicting: list[tuple[LogEvent, KnownRow | LogEvent]] = []
    for event in events:
        known = found.get(event.id)
        other = fresh.setdefault(event.id, event) if known is None else known
        if is_reused(other, event):
            contradicting.append((event, other))
        elif known is not None:
            returned.append(known)
            if not known.has_body:
                bodiless.append((event, known))
    if not contradicting:
        return Batch(fresh, returned, bodiless, [], 0, events)
    conflicts = []
    held = 0
    for event, other in contradicting:
        if not known_conflicts.is_settled(event.id):
            conflicts.append((event, other))
            # Two places of one new id: nothing says which of them is right.
            held += 1 + (isinstance(other, LogEvent) and fresh.pop(event.id, None) is not None)
        elif isinstance(other, KnownRow):
            returned.append(other)
    ids = {event.id for event, _ in contradicting}
    plain = [event for event in events if event.id not in ids]
    return Batch(fresh, returned, bodiless, conflicts, held, plain)


def join_positions(positions: Iterable[int], apart_ms: int = JOIN_MS) -> list[Range]:
    """Join positions that are close to each other into ranges, ascending."""
    ranges: list[Range] = []
    for position in sorted(positions):
        if ranges and position - ranges[-1][1] <= apart_ms:
            ranges[-1] = ranges[-1][0], position
        else:
            ranges.append((position, position))
    return ranges
