"""The events written during a run: numbered, at a steady rate, reproducible by seed."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import Final, Literal, NamedTuple

from tests.support.processes.moto_server import RawMoto, put_events

Pattern = Literal["steady", "late", "flush"]
"""How events are written: at once; a tenth stamped 5 to 60 s ago; one of two streams each 5 s."""

STREAMS: Final = ("job/main/0aaa", "job/main/0bbb")
TICK_S: Final = 0.1
FLUSH_S: Final = 5.0
LATE_SHARE: Final = 0.1
LATE_MS: Final = (5_000, 60_000)


class Event(NamedTuple):
    """One event; its message contains its number between two ``#``."""

    number: int
    stream: str
    timestamp: int

    @property
    def message(self) -> str:
        """Text of about 100 bytes, as typical log lines have."""
        words = "INFO handled one more item of the queue and went on to the one that follows it"
        return f"#{self.number:07d}# {self.stream} {words}"


class Plan:
    """When each event is created, and when it is written to CloudWatch. Pure."""

    def __init__(self, pattern: Pattern, rate: int, seed: int) -> None:
        self._pattern = pattern
        self._rate = rate
        self._rng = Random(seed)
        self._made = 0
        self._flushed_s = 0.0
        self._buffered: list[Event] = []

    def due(self, elapsed_s: float, now_ms: int) -> dict[str, list[Event]]:
        """Batches to write now, by stream; sorted by timestamp, as PutLogEvents requires."""
        batches: dict[str, list[Event]] = {stream: [] for stream in STREAMS}
        for number in range(self._made, int(elapsed_s * self._rate)):
            event = self._event(number, now_ms)
            is_held = self._pattern == "flush" and event.stream == STREAMS[1]
            (self._buffered if is_held else batches[event.stream]).append(event)
            self._made += 1
        if elapsed_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = elapsed_s
            batches[STREAMS[1]] += self.take_buffered()
        return {
            stream: sorted(batch, key=lambda event: event.timestamp)
            for stream, batch in batches.items()
            if batch
        }

    def take_buffered(self) -> list[Event]:
        """Remove and return the events that wait for the next flush."""
        buffered, self._buffered = self._buffered, []
        return buffered

    def _event(self, number: int, now_ms: int) -> Event:
        late_ms = 0
        if self._pattern == "late" and self._rng.random() < LATE_SHARE:
            late_ms = self._rng.randrange(*LATE_MS)
        return Event(number, STREAMS[number % len(STREAMS)], now_ms - late_ms)


class Writer:
    """Writes a plan's events and records when CloudWatch accepted each."""

    def __init__(self, moto: RawMoto, group: str, plan: Plan) -> None:
        self.accepted: dict[int, tuple[Event, int]] = {}
        """Each event and its time of acceptance (ns since the Unix epoch), by number."""
        self._moto, self._group, self._plan = moto, group, plan
        self._client = moto.client()

    def run(self, seconds: float) -> None:
        """Write for some seconds, then write the buffered events."""
        started = time.monotonic()
        pause = threading.Event()
        while (elapsed := time.monotonic() - started) < seconds:
            for stream, batch in self._plan.due(elapsed, _now_ms()).items():
                self._put(stream, batch)
            pause.wait(TICK_S)
        if rest := self._plan.take_buffered():
            self._put(STREAMS[1], rest)
        self._client.close()

    def _put(self, stream: str, batch: list[Event]) -> None:
        pairs = [(event.timestamp, event.message) for event in batch]
        put_events(self._client, self._group, stream, pairs)
        accepted_ns = time.time_ns()
        self.accepted |= {event.number: (event, accepted_ns) for event in batch}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
