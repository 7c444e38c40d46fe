"""What is written during a run of the rig: numbered events, from a seed, at a steady rate."""

from __future__ import annotations

import threading
import time
from random import Random
from typing import Final, Literal, NamedTuple

from tests.support.processes.moto_server import RawMoto, put_events

Habit = Literal["steady", "late", "flush"]
"""How it is written: at once; a tenth stamped 5 to 60 s ago; one of two streams each 5 s."""

STREAMS: Final = ("job/main/0aaa", "job/main/0bbb")
TICK_S: Final = 0.1
FLUSH_S: Final = 5.0
LATE_SHARE: Final = 0.1
LATE_MS: Final = (5_000, 60_000)


class Event(NamedTuple):
    """One event; its number is in its message, between two ``#``."""

    number: int
    stream: str
    timestamp: int

    @property
    def message(self) -> str:
        """Of about a hundred bytes, as log lines have."""
        words = "INFO handled one more item of the queue and went on to the one that follows it"
        return f"#{self.number:07d}# {self.stream} {words}"


class Plan:
    """Pure: which events come into being when, and when each is handed to CloudWatch."""

    def __init__(self, habit: Habit, rate: int, seed: int) -> None:
        self._habit = habit
        self._rate = rate
        self._rng = Random(seed)
        self._made = 0
        self._flushed_s = 0.0
        self._waiting: list[Event] = []

    def due(self, elapsed_s: float, now_ms: int) -> dict[str, list[Event]]:
        """What to write now, a batch a stream, in the order of timestamps as AWS asks for."""
        batches: dict[str, list[Event]] = {stream: [] for stream in STREAMS}
        for number in range(self._made, int(elapsed_s * self._rate)):
            event = self._event(number, now_ms)
            is_held = self._habit == "flush" and event.stream == STREAMS[1]
            (self._waiting if is_held else batches[event.stream]).append(event)
            self._made += 1
        if elapsed_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = elapsed_s
            batches[STREAMS[1]] += self.rest()
        return {
            stream: sorted(batch, key=lambda event: event.timestamp)
            for stream, batch in batches.items()
            if batch
        }

    def rest(self) -> list[Event]:
        """What waits for the next flush."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _event(self, number: int, now_ms: int) -> Event:
        late_ms = 0
        if self._habit == "late" and self._rng.random() < LATE_SHARE:
            late_ms = self._rng.randrange(*LATE_MS)
        return Event(number, STREAMS[number % len(STREAMS)], now_ms - late_ms)


class Writing:
    """Writes what a plan says for some seconds, and remembers what was accepted, and when."""

    def __init__(self, moto: RawMoto, group: str, plan: Plan) -> None:
        self.accepted: dict[int, tuple[Event, int]] = {}
        """By number: the event, and the ns of the wall clock when CloudWatch had taken it."""
        self._moto, self._group, self._plan = moto, group, plan
        self._client = moto.client()

    def run(self, seconds: float) -> None:
        """Write for that long, then what was still held back."""
        started = time.monotonic()
        pause = threading.Event()
        while (elapsed := time.monotonic() - started) < seconds:
            for stream, batch in self._plan.due(elapsed, _now_ms()).items():
                self._put(stream, batch)
            pause.wait(TICK_S)
        if rest := self._plan.rest():
            self._put(STREAMS[1], rest)
        self._client.close()

    def _put(self, stream: str, batch: list[Event]) -> None:
        pairs = [(event.timestamp, event.message) for event in batch]
        put_events(self._client, self._group, stream, pairs)
        accepted_ns = time.time_ns()
        self.accepted |= {event.number: (event, accepted_ns) for event in batch}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
