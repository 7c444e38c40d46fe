"""The ledger: every event that CloudWatch accepted, by which a viewer is judged.

One thread writes it, any thread reads it. Events that CloudWatch may accept are *in flight* until
it has answered, so that a viewer that shows one of them in that instant has not invented it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec.structs import replace

from simulator.acceptance import NEVER, NewEvent, Visibility
from simulator.cloudwatch.altered_texts import Alteration, masked
from simulator.errors import SimulatorError
from simulator.oracle.record import SCAN_MS, LedgerEvent
from simulator.oracle.verdict import Verdict, judge, release

LEDGER_EVENTS_MAX: Final = 2_000_000
"""About 1 GB with moto's own copy; a day of the default workload."""


class Entry(NamedTuple):
    """An accepted event; it was ingested between ``sent_ms`` and ``accepted_ms``."""

    event: NewEvent
    sent_ms: int
    accepted_ms: int


class Ledger:
    """Every event that CloudWatch accepted since the simulator started, and how it can be read.

    Attributes:
        visibility: When events become visible to readers; a copy of the stand-in's.
    """

    def __init__(self) -> None:
        self.visibility = Visibility()
        self._entries: list[Entry] = []
        self._in_flight: tuple[NewEvent, ...] = ()
        self._lock = threading.Lock()
        self._recreated_ms = -1
        self._retentions: tuple[tuple[int, int], ...] = ()
        """From when on (ms), and for how many ms, events are kept."""
        self._clocks: tuple[tuple[int, int, int], ...] = ((-NEVER, NEVER, 0),)
        """Between which moments (ms) the forwarder's clock may have been how many ms ahead."""
        self._alterations: tuple[Alteration, ...] = ()
        self._flaps: dict[str, list[tuple[int, int]]] = {}
        """Between which moments (ms) a scan may rightly miss events, by the fault's name."""

    def __len__(self) -> int:
        return len(self._entries)

    def offer(self, events: Iterable[NewEvent]) -> None:
        """Note events that are about to be sent to CloudWatch.

        Raises:
            SimulatorError: the ledger is full.
        """
        offered = tuple(events)
        if len(self._entries) + len(offered) > LEDGER_EVENTS_MAX:
            msg = f"the ledger is full ({LEDGER_EVENTS_MAX} events): restart the simulator"
            raise SimulatorError(msg)
        with self._lock:
            self._in_flight = offered

    def accept(self, events: Iterable[NewEvent], *, sent_ms: int, accepted_ms: int) -> None:
        """Note which of the offered events CloudWatch accepted."""
        with self._lock:
            self._entries += [Entry(event, sent_ms, accepted_ms) for event in events]
            self._in_flight = ()

    def note_recreation(self, by_ms: int) -> None:
        """Note that the log group was recreated by ``by_ms``: earlier events may be gone."""
        self._recreated_ms = max(self._recreated_ms, by_ms)

    def note_retention(self, by_ms: int, keep_ms: int) -> None:
        """Note that from ``by_ms`` on the retention deletes events older than ``keep_ms``."""
        self._retentions += ((by_ms, keep_ms),)

    def note_clock(self, ahead_ms: int, *, after_ms: int, before_ms: int) -> None:
        """Note that the forwarder's clock was set to be ahead, between two moments."""
        *earlier, (low, _, ahead) = self._clocks
        self._clocks = (*earlier, (low, before_ms, ahead), (after_ms, NEVER, ahead_ms))

    def note_flapping(self, owner: str, from_ms: int) -> None:
        """Note that from ``from_ms`` on CloudWatch may hide events that it has shown.

        A scan that was running by then may miss them as well.
        """
        self._flaps.setdefault(owner, []).append((from_ms - SCAN_MS, NEVER))

    def note_alteration(self, alteration: Alteration) -> None:
        """Note that CloudWatch returns other texts of some events, until the fault is healed."""
        self._alterations += (alteration,)

    def note_healing(self, owner: str, released_ms: int, now_ms: int) -> None:
        """Note that a fault no longer delays, hides or alters events, from ``released_ms`` on."""
        self.visibility.heal(owner, released_ms)
        flaps = self._flaps.get(owner, [])
        flaps[:] = [(low, min(high, now_ms)) for low, high in flaps]
        self._alterations = tuple(
            replace(one, end_ms=min(one.end_ms, now_ms)) if one.name == owner else one
            for one in self._alterations
        )

    def events(self) -> Iterator[LedgerEvent]:
        """The events accepted by now, in the order of writing."""
        return (self._judged(entry) for entry in self._entries[: len(self._entries)])

    def verdict(
        self, record_lines: Iterable[str | bytes], *, expected_before_ms: int | None = None
    ) -> Verdict:
        """Judge a viewer's record by the events accepted by now; see ``judge``.

        Raises:
            SimulatorError: the lines are not a record.
        """
        with self._lock:
            entries, in_flight = self._entries[:], self._in_flight
        unsteady = [one for flaps in tuple(self._flaps.values()) for one in flaps]
        events = [self._judged(entry, expected_before_ms) for entry in entries]
        verdict = judge(
            events,
            record_lines,
            in_flight=in_flight,
            expected_before_ms=expected_before_ms,
            unsteady=unsteady,
            clocks=self._clocks,
        )
        release(events)
        return verdict

    def _judged(self, entry: Entry, now_ms: int | None = None) -> LedgerEvent:
        """Add to an entry the moments from which on a scan must, and can no longer, find it."""
        stream, timestamp, message = entry.event
        # CloudWatch does not say when it ingested the event: the latest moment that is possible.
        visible_ms = max(
            entry.accepted_ms,
            self.visibility.visible_ms(stream, timestamp, message, entry.sent_ms),
            self.visibility.visible_ms(stream, timestamp, message, entry.accepted_ms),
        )
        vanished_ms = self._recreated_ms if entry.sent_ms <= self._recreated_ms else NEVER
        expired_ms = NEVER
        for set_ms, keep_ms in self._retentions:
            if timestamp + keep_ms < max(set_ms, now_ms or 0):
                expired_ms = min(expired_ms, max(set_ms, timestamp + keep_ms))
        altered = [
            one
            for one in self._alterations
            if entry.sent_ms <= one.ingested_until_ms and one.hits(stream, timestamp, message)
        ]
        return LedgerEvent(
            stream,
            timestamp,
            message,
            entry.accepted_ms,
            visible_ms,
            vanished_ms,
            expired_ms,
            masked(message) if altered else None,
            tuple(altered),
        )


def as_line(event: LedgerEvent) -> bytes:
    """One line of ``GET /simulator/ledger``."""
    fields = {
        "log_stream": event.log_stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "accepted_ms": event.accepted_ms,
        "visible_ms": event.visible_ms,
    }
    if event.other_text is not None:
        fields["other_text"] = event.other_text
    try:
        return _ENCODER.encode(fields) + b"\n"
    except UnicodeEncodeError:  # a message may hold lone surrogates
        return json.dumps(fields).encode() + b"\n"


_ENCODER: Final = msgspec.json.Encoder()
