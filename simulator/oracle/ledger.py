"""What CloudWatch accepted, event by event: the ground on which a viewer is judged.

One thread writes, any thread reads. What may be accepted is *in flight* until CloudWatch has
answered, so that an event which a viewer shows in that instant is not called invented.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from simulator.acceptance import NEVER, NewEvent
from simulator.errors import SimulatorError
from simulator.oracle.record import SCAN_MS, LedgerEvent
from simulator.oracle.verdict import Verdict, judge

__all__ = ["Entry", "Ledger", "LedgerEvent", "Verdict", "judge"]

LEDGER_EVENTS_MAX: Final = 2_000_000
"""Events that are kept, about 1 GB with moto's own copy; a day of the default workload."""

VisibleMs = Callable[[str, int, str, int], int]
"""When (stream, timestamp, message), ingested at the fourth, can be seen."""


class Entry(NamedTuple):
    """An accepted event; it was ingested between ``sent_ms`` and ``accepted_ms``."""

    event: NewEvent
    sent_ms: int
    accepted_ms: int


class Ledger:
    """Everything that CloudWatch accepted since the simulator was started."""

    def __init__(self, visible_ms: VisibleMs) -> None:
        """An empty ledger."""
        self._visible_ms = visible_ms
        self._entries: list[Entry] = []
        self._in_flight: tuple[NewEvent, ...] = ()
        self._lock = threading.Lock()
        self._vanished_ms = -1
        self._retentions: tuple[tuple[int, int], ...] = ()
        """Since when, and for how many ms, events are kept."""
        self._clocks: tuple[tuple[int, int, int], ...] = ((-NEVER, NEVER, 0),)
        self._flaps: dict[str, list[tuple[int, int]]] = {}

    def __len__(self) -> int:
        """The number of accepted events."""
        return len(self._entries)

    def offer(self, events: Iterable[NewEvent]) -> None:
        """The events are about to be sent to CloudWatch.

        Raises:
            SimulatorError: there is no room for more.

        """
        offered = tuple(events)
        if len(self._entries) + len(offered) > LEDGER_EVENTS_MAX:
            msg = f"{LEDGER_EVENTS_MAX} events were written, the most that is kept; start anew"
            raise SimulatorError(msg)
        with self._lock:
            self._in_flight = offered

    def accept(self, events: Iterable[NewEvent], *, sent_ms: int, accepted_ms: int) -> None:
        """CloudWatch answered: of what was offered it took these."""
        with self._lock:
            self._entries += [Entry(event, sent_ms, accepted_ms) for event in events]
            self._in_flight = ()

    def vanish(self, now_ms: int) -> None:
        """The log group was made anew by ``now_ms``: what was sent until then may be gone."""
        self._vanished_ms = max(self._vanished_ms, now_ms)

    def expire(self, now_ms: int, keep_ms: int) -> None:
        """The retention was set by ``now_ms``: what is older than ``keep_ms`` may be gone."""
        self._retentions += ((now_ms, keep_ms),)

    def clock_was_set(self, ahead_ms: int, *, after_ms: int, before_ms: int) -> None:
        """Between two moments the forwarder's clock was set to be that much ahead."""
        *earlier, (low, _, ahead) = self._clocks
        self._clocks = (*earlier, (low, before_ms, ahead), (after_ms, NEVER, ahead_ms))

    def flap(self, owner: str, now_ms: int) -> None:
        """From ``now_ms`` on CloudWatch hides events at times that it has shown.

        A scan that was under way by then may miss them as well.
        """
        self._flaps.setdefault(owner, []).append((now_ms - SCAN_MS, NEVER))

    def settle(self, owner: str, now_ms: int) -> None:
        """It does so no longer, as far as the owner goes."""
        flaps = self._flaps.get(owner, [])
        flaps[:] = [(low, min(high, now_ms)) for low, high in flaps]

    def events(self) -> Iterator[LedgerEvent]:
        """What has been accepted by now, in the order of writing."""
        return (self._told(entry) for entry in self._entries[: len(self._entries)])

    def verdict(
        self, record_lines: Iterable[str | bytes], *, expected_before_ms: int | None = None
    ) -> Verdict:
        """Judge a viewer's record by what has been accepted by now; see ``judge``.

        Raises:
            SimulatorError: the lines are not a record.

        """
        with self._lock:
            entries, in_flight = self._entries[:], self._in_flight
        unsteady = [one for flaps in tuple(self._flaps.values()) for one in flaps]
        return judge(
            [self._told(entry, expected_before_ms) for entry in entries],
            record_lines,
            in_flight=in_flight,
            expected_before_ms=expected_before_ms,
            unsteady=unsteady,
            clocks=self._clocks,
        )

    def _told(self, entry: Entry, now_ms: int | None = None) -> LedgerEvent:
        stream, timestamp, message = entry.event
        # CloudWatch does not tell when it ingested the event: the latest that is possible.
        visible_ms = max(
            entry.accepted_ms,
            self._visible_ms(stream, timestamp, message, entry.sent_ms),
            self._visible_ms(stream, timestamp, message, entry.accepted_ms),
        )
        vanished_ms = self._vanished_ms if entry.sent_ms <= self._vanished_ms else NEVER
        expired_ms = min(
            (
                max(set_ms, timestamp + keep_ms)
                for set_ms, keep_ms in self._retentions
                if timestamp + keep_ms < max(set_ms, now_ms or 0)
            ),
            default=NEVER,
        )
        return LedgerEvent(
            stream, timestamp, message, entry.accepted_ms, visible_ms, vanished_ms, expired_ms
        )


def as_json(event: LedgerEvent) -> dict[str, Any]:
    """One line of ``GET /simulator/ledger``."""
    return {
        "log_stream": event.log_stream,
        "timestamp": event.timestamp,
        "message": event.message,
        "accepted_ms": event.accepted_ms,
        "visible_ms": event.visible_ms,
    }
