"""``duplicate_timestamps``: a crowd of events in one and the same millisecond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from random import Random

from simulator.acceptance import NewEvent
from simulator.faults.base import DAY_MS, Attribute, Cycle, Fault, Levers


class DuplicateTimestamps(Fault):
    """Writes a burst of different events with one timestamp, over all running executions.

    Attributes:
        events: how many.
        every_ms: another burst that long after the last; 0 = once.

    ``toxicity`` is the share of the events that get that timestamp; the others get the
    millisecond after it. What is written stays written: there is nothing to heal.

    A correct system shows every event of the burst once, in the order of their ids. A cursor
    that is a timestamp, with or without one millisecond added, loses some or repeats some.

    """

    type = "duplicate_timestamps"
    attributes = (
        Attribute("events", 10_000, 100_000, "events in the millisecond", minimum=1),
        Attribute("every_ms", 0, DAY_MS, "another burst after, 0 = once"),
    )

    def cycle(self) -> Cycle:
        """An instant, every ``every_ms``."""
        return Cycle(on_ms=0, every_ms=self.values["every_ms"])

    def start(self, levers: Levers, turn: int) -> None:
        """Have the burst written."""

        def compose(now_ms: int, streams: Sequence[str]) -> Iterable[NewEvent]:
            return self.burst(turn, now_ms, streams)

        levers.writer.submit(compose)

    def stop(self, levers: Levers) -> None:
        """Nothing: what is written stays."""

    def burst(self, turn: int, now_ms: int, streams: Sequence[str]) -> list[NewEvent]:
        """The events of one burst, in turn over ``streams``; no streams, no events."""
        rng = Random(f"{self.seed}/{turn}")  # noqa: S311 - a simulation
        events = self.values["events"] if streams else 0
        return [
            NewEvent(
                streams[number % len(streams)],
                now_ms if rng.random() < self.toxicity else now_ms + 1,
                f"INFO  {self.name} {turn}: {number + 1} of {events} in one millisecond",
            )
            for number in range(events)
        ]
