"""What simulated executions write, and when. Pure: everything follows from seed and start time.

Executions run in a fixed number of slots, one after another in each slot. How often ``due`` is
called changes nothing.
"""

from __future__ import annotations

import heapq
import json
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from typing import Final, Literal, NamedTuple

from simulator.acceptance import NewEvent, PutBatch, batches
from simulator.errors import SimulatorError

Outcome = Literal["SUCCEEDED", "FAILED", "STOPPED"]

LIFECYCLE_PATTERN: Final = (
    r"execution finished: (?:(?P<SUCCEEDED>SUCCEEDED)|(?P<FAILED>FAILED)|(?P<STOPPED>STOPPED))"
)
"""Matches an execution's last message; the group that matches names the outcome."""

_TABLES: Final = ("orders", "customers", "ledger_2026", "événements", "注文", "sessions")
_PEERS: Final = ("db-0.internal", "cache-3.internal", "s3", "queue-1.internal")
_UNICODE: Final = (
    "Grüße aus Zürich, 12 € übrig",
    "注文を処理しました 🚚",
    "naïve café — “quoted” … ½",
    "заказ принят ✅",
    "family 👨‍👩‍👧‍👦 and flag 🇨🇭 are one character each",
    "مرحبا بالعالم",
)
_TRACE: Final = """\
Traceback (most recent call last):
  File "/app/job/main.py", line {line}, in run
    rows = load(table, batch={batch})
  File "/app/job/load.py", line {inner}, in load
    return session.fetch(query, timeout={timeout})
{error}: {peer}: no answer within {timeout} s (attempt {attempt} of 5)"""


def first_message(execution: str, rng: Random) -> str:
    """Make an execution's first message."""
    return f"INFO  execution started: {execution} image=job:{rng.randint(100, 999)} cpu=2 mem=4GiB"


def last_message(outcome: Outcome, took_ms: int) -> str:
    """Make an execution's last message; ``LIFECYCLE_PATTERN`` matches it."""
    level = {"SUCCEEDED": "INFO ", "FAILED": "ERROR", "STOPPED": "WARN "}[outcome]
    return f"{level} execution finished: {outcome} after {took_ms / 1000:.1f} s"


def message(number: int, share: float, rng: Random) -> str:
    """Make message ``number`` of an execution that has completed ``share`` (0..1) of its work."""
    write = rng.choices(_KINDS, cum_weights=_CUM_WEIGHTS)[0]
    return write(number, share, rng)


def _info(number: int, _: float, rng: Random) -> str:
    table, rows = rng.choice(_TABLES), rng.randint(1, 90_000)
    return f"INFO  batch {number}: {rows} rows of {table} in {rng.randint(2, 900)} ms"


def _debug(number: int, _: float, rng: Random) -> str:
    return f"DEBUG pool: {rng.randint(0, 8)} idle, request {number} -> {rng.choice(_PEERS)}"


def _progress(number: int, share: float, rng: Random) -> str:
    done = round(share * 30)
    bar = "#" * done + "." * (30 - done)
    loss = 2.5 * (1.02 - share) + rng.random() / 10
    return f"INFO  [{bar}] {share:6.1%} step {number} loss={loss:.4f}"


def _warn(number: int, _: float, rng: Random) -> str:
    return (
        f"WARN  slow answer from {rng.choice(_PEERS)}: {rng.randint(800, 4000)} ms, call {number}"
    )


def _error(number: int, _: float, rng: Random) -> str:
    return f"ERROR row {rng.randint(1, 10**6)} of batch {number} refused: amount is not a number"


def _trace(number: int, _: float, rng: Random) -> str:
    trace = _TRACE.format(
        line=rng.randint(20, 90),
        inner=rng.randint(100, 300),
        batch=number,
        timeout=rng.choice((2, 5, 30)),
        error=rng.choice(("TimeoutError", "ConnectionResetError", "job.errors.UpstreamError")),
        peer=rng.choice(_PEERS),
        attempt=rng.randint(1, 5),
    )
    return f"ERROR batch {number} failed, will be tried again\n{trace}"


def _json(number: int, share: float, rng: Random) -> str:
    fields = {
        "level": rng.choices(("info", "debug", "warn", "error"), weights=(8, 4, 2, 1))[0],
        "event": rng.choice(("request", "checkpoint", "metrics")),
        "n": number,
        "progress": round(share, 3),
        "duration_ms": rng.randint(1, 2_000),
        "table": rng.choice(_TABLES),
        "tags": {"zone": rng.choice("abc"), "retry": rng.random() < 0.1},  # noqa: PLR2004 - a tenth
    }
    return json.dumps(fields, ensure_ascii=False)


def _unicode(number: int, _: float, rng: Random) -> str:
    return f"INFO  note {number}: {rng.choice(_UNICODE)}"


_WEIGHTED: Final[tuple[tuple[Callable[[int, float, Random], str], int], ...]] = (
    (_info, 34),
    (_debug, 20),
    (_progress, 18),
    (_json, 14),
    (_warn, 6),
    (_unicode, 4),
    (_error, 2),
    (_trace, 2),
)
_KINDS: Final = tuple(kind for kind, _ in _WEIGHTED)
_CUM_WEIGHTS: Final = tuple(
    sum(weight for _, weight in _WEIGHTED[: place + 1]) for place in range(len(_WEIGHTED))
)


RATE_MAX: Final = 50_000.0
"""Events per second; moto on one core accepts fewer."""

EXECUTIONS_MAX: Final = 1_000
EXECUTIONS_REMEMBERED: Final = 10_000
"""Executions that ``executions`` returns at most: a day of the default workload."""

LENGTH_MS: Final = (20_000, 60_000)
"""Shortest and longest run of an execution."""

PAUSE_MS: Final = (500, 2_000)
"""Shortest and longest pause between two executions of a slot."""

HISTORY_MS: Final = 120_000
HISTORY_EVENTS: Final = 200
"""Events written before the start, so that there is history to show."""

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
        """Status at ``now_ms``: ``RUNNING``, or the outcome."""
        return self.outcome if now_ms >= self.ends_ms else "RUNNING"


class Workload:
    """``executions`` concurrent executions that together write ``rate`` events per second.

    The first began ``HISTORY_MS`` before ``started_ms`` and wrote at a lower rate until then.

    Raises:
        SimulatorError: Rate or number of executions is out of range.
    """

    def __init__(self, seed: int, rate: float, executions: int, *, started_ms: int) -> None:
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
        self._executions: deque[Execution] = deque(maxlen=EXECUTIONS_REMEMBERED)
        # (time of the next event, slot, the event, what follows): the slot settles ties.
        self._next: list[tuple[int, int, NewEvent, Iterator[NewEvent]]] = []
        for slot in range(executions):
            self._advance(slot, self._slot(slot))

    def take_due(self, now_ms: int) -> list[PutBatch]:
        """Return the events due by ``now_ms`` that were not returned before."""
        events: list[NewEvent] = []
        while self._next and self._next[0][0] <= now_ms:
            _, slot, event, rest = heapq.heappop(self._next)
            events.append(event)
            self._advance(slot, rest)
        return batches(events, now_ms)

    def executions(self, now_ms: int) -> list[Execution]:
        """Executions that started by ``now_ms``, oldest first."""
        begun = (one for one in tuple(self._executions) if one.started_ms <= now_ms)
        return sorted(begun, key=lambda one: one.started_ms)

    def running_streams(self, now_ms: int) -> list[str]:
        """Log streams of the running executions, or of the latest one if none is running."""
        begun = self.executions(now_ms)
        running = [one.stream for one in begun if one.status(now_ms) == "RUNNING"]
        return running or [one.stream for one in begun[-1:]]

    def _advance(self, slot: int, rest: Iterator[NewEvent]) -> None:
        event = next(rest)
        heapq.heappush(self._next, (event.timestamp, slot, event, rest))

    def _slot(self, slot: int) -> Iterator[NewEvent]:
        """The endless sequence of events of one slot."""
        rng = Random(f"{self.seed}/{slot}")  # noqa: S311 - a simulation
        start = self._started_ms - HISTORY_MS + rng.randint(0, LENGTH_MS[0])
        while True:
            execution = _draw_execution(rng, start)
            self._executions.append(execution)
            yield from self._run(execution, rng)
            start = execution.ends_ms + rng.randint(*PAUSE_MS)

    def _run(self, execution: Execution, rng: Random) -> Iterator[NewEvent]:
        stream, started, ends = execution.stream, execution.started_ms, execution.ends_ms
        yield NewEvent(stream, started, first_message(execution.id, rng))
        at, number = float(started), 0
        while True:
            is_past = at < self._started_ms
            at += rng.uniform(0, 2) * (self._history_gap_ms if is_past else self._gap_ms)
            if is_past and at >= self._started_ms:
                # The long gaps of the history must not delay the present.
                at = self._started_ms + rng.uniform(0, 2) * self._gap_ms
            if at >= ends:
                break
            number += 1
            share = (at - started) / (ends - started)
            yield NewEvent(stream, int(at), message(number, share, rng))
        yield NewEvent(stream, ends, last_message(execution.outcome, ends - started))


def _draw_execution(rng: Random, started_ms: int) -> Execution:
    identity = f"{rng.getrandbits(48):012x}"
    ends_ms = started_ms + rng.randint(*LENGTH_MS)
    outcome = rng.choices(_OUTCOMES, weights=_OUTCOME_WEIGHTS)[0]
    return Execution(identity, f"job/main/{identity}", started_ms, ends_ms, outcome)
