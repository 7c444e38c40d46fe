"""Pure: what the executions write and when, from a seed; no clock, no I/O.

Executions run side by side in a fixed number of slots, each slot one after another. All that is
written follows from the seed and the starting time, however often ``due`` is asked.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from simulator.acceptance import NewEvent, PutBatch, batches
from simulator.errors import SimulatorError
from simulator.workload.lines import Outcome, first_words, last_words, message

RATE_MAX: Final = 50_000.0
"""Events a second; moto on one core takes less than that."""

EXECUTIONS_MAX: Final = 1_000
EXECUTIONS_KEPT: Final = 10_000
"""Executions that ``executions`` remembers; a day of the default workload."""

LENGTH_MS: Final = (20_000, 60_000)
"""How long an execution runs, least and most."""

PAUSE_MS: Final = (500, 2_000)
"""How long a slot is empty between two executions."""

HISTORY_MS: Final = 120_000
HISTORY_EVENTS: Final = 200
"""What was written before the workload was started, so that there is a past to be seen."""

_OUTCOMES: Final[tuple[Outcome, ...]] = ("SUCCEEDED", "FAILED", "STOPPED")
_OUTCOME_WEIGHTS: Final = (7, 2, 1)


class Execution(NamedTuple):
    """One run of a job, with its own log stream; times in ms since the Unix epoch."""

    id: str
    stream: str
    started_ms: int
    ends_ms: int
    outcome: Outcome

    def status(self, now_ms: int) -> str:
        """RUNNING, or how it ended."""
        return self.outcome if now_ms >= self.ends_ms else "RUNNING"


class Workload:
    """Executions that write ``rate`` events a second together, ``executions`` at a time.

    The first of them began ``HISTORY_MS`` before ``started_ms``, and wrote less until then.

    Raises:
        SimulatorError: rate or number of executions is out of range.

    """

    def __init__(self, seed: int, rate: float, executions: int, *, started_ms: int) -> None:
        """See the class."""
        if not 0 < rate <= RATE_MAX:
            msg = f"the rate must be above 0 and at most {RATE_MAX:.0f} events a second"
            raise SimulatorError(msg)
        if not 1 <= executions <= EXECUTIONS_MAX:
            msg = f"there must be 1 to {EXECUTIONS_MAX} executions"
            raise SimulatorError(msg)
        self.seed = seed
        self._slots = executions
        self._started_ms = started_ms
        self._gap_ms = 1_000 * executions / rate
        self._history_gap_ms = max(self._gap_ms, HISTORY_MS * executions / HISTORY_EVENTS)
        self._executions: deque[Execution] = deque(maxlen=EXECUTIONS_KEPT)
        # (time of the next event, slot, the event, what follows): the slot settles ties.
        self._next: list[tuple[int, int, NewEvent, Iterator[NewEvent]]] = []
        for slot in range(executions):
            self._advance(slot, self._slot(slot))

    def due(self, now_ms: int) -> list[PutBatch]:
        """Everything that is to be written by ``now_ms`` and was not handed out before."""
        events: list[NewEvent] = []
        while self._next and self._next[0][0] <= now_ms:
            _, slot, event, rest = heapq.heappop(self._next)
            events.append(event)
            self._advance(slot, rest)
        return batches(events, now_ms)

    def executions(self, now_ms: int) -> list[Execution]:
        """Every execution that began by ``now_ms``, oldest first."""
        begun = (one for one in tuple(self._executions) if one.started_ms <= now_ms)
        return sorted(begun, key=lambda one: one.started_ms)

    def running_streams(self, now_ms: int) -> list[str]:
        """The log streams of the running executions; of the latest one if none is running."""
        begun = self.executions(now_ms)
        running = [one.stream for one in begun if one.status(now_ms) == "RUNNING"]
        return running or [one.stream for one in begun[-1:]]

    def _advance(self, slot: int, rest: Iterator[NewEvent]) -> None:
        event = next(rest)
        heapq.heappush(self._next, (event.timestamp, slot, event, rest))

    def _slot(self, slot: int) -> Iterator[NewEvent]:
        """The events of one slot, without end."""
        rng = Random(f"{self.seed}/{slot}")  # noqa: S311 - a simulation
        start = self._started_ms - HISTORY_MS + rng.randint(0, LENGTH_MS[0])
        while True:
            execution = _draw_execution(rng, start)
            self._executions.append(execution)
            yield from self._run(execution, rng)
            start = execution.ends_ms + rng.randint(*PAUSE_MS)

    def _run(self, execution: Execution, rng: Random) -> Iterator[NewEvent]:
        stream, started, ends = execution.stream, execution.started_ms, execution.ends_ms
        yield NewEvent(stream, started, first_words(execution.id, rng))
        at, number = float(started), 0
        while True:
            is_past = at < self._started_ms
            at += rng.uniform(0, 2) * (self._history_gap_ms if is_past else self._gap_ms)
            if is_past and at >= self._started_ms:
                # The long gaps of the past must not delay the present.
                at = self._started_ms + rng.uniform(0, 2) * self._gap_ms
            if at >= ends:
                break
            number += 1
            share = (at - started) / (ends - started)
            yield NewEvent(stream, int(at), message(number, share, rng))
        yield NewEvent(stream, ends, last_words(execution.outcome, ends - started))


def _draw_execution(rng: Random, started_ms: int) -> Execution:
    identity = f"{rng.getrandbits(48):012x}"
    ends_ms = started_ms + rng.randint(*LENGTH_MS)
    outcome = rng.choices(_OUTCOMES, weights=_OUTCOME_WEIGHTS)[0]
    return Execution(identity, f"job/main/{identity}", started_ms, ends_ms, outcome)
