"""An engine without a network: the real timeline, and a status that the test sets.

For tests of the screen, which must not depend on a connection.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from tui.client.engine import Engine
from tui.client.refetch import LineRefetcher
from tui.client.status import Status, TargetStatus
from tui.client.target import LineSource
from tui.lines.rows import Change, Line, Row, Rule, line_key, rule_key
from tui.lines.timeline import EvictedRange, Timeline
from tui.screen.ports import (
    SCENARIO,
    ActiveSwitch,
    ControlsError,
    FaultField,
    ScenarioStatus,
    VerdictStatus,
)
from wire.messages import AlteredText, Origin

EPOCH_MS: Final = 1_795_435_200_000
"""2026-11-23 12:00:00 UTC, the start of every example."""


def target_status(**changes: Any) -> TargetStatus:  # noqa: ANN401 - any field
    """A live target with nothing verified and nothing missing."""
    fields: dict[str, Any] = {
        "target": 0,
        "name": "/gapless/demo",
        "url": "ws://127.0.0.1:8765/v1/tail",
        "group": "/gapless/demo",
        "state": "live",
        "state_since_ms": EPOCH_MS,
        "detail": "",
        "attempt": 0,
        "retry_at_ms": None,
        "progress": None,
        "epoch": "3f9c2a71d0",
        "after": 0,
        "head_seq": 0,
        "generation": 1,
        "since_ms": EPOCH_MS - 600_000,
        "complete_through_ms": None,
        "provisional": 0,
        "missing": 0,
        "unequal": (),
        "gaps": (),
        "lost": (),
        "events": 0,
        "unconfirmed": 0,
        "duplicates": 0,
        "late": 0,
        "repaired": 0,
        "marks": 0,
        "marks_unequal": 0,
        "last_mark": None,
        "malformed": 0,
        "upstream": "ok",
        "upstream_lag_ms": 800,
        "lag_ms": None,
        "rate_per_s": 0.0,
        "ends": (),
        "history": (),
        "outages": (),
    }
    return TargetStatus(**(fields | changes))


def status_of(targets: tuple[TargetStatus, ...], **changes: Any) -> Status:  # noqa: ANN401 - any field
    """The status that follows from the first target, with changes."""
    first = targets[0]
    fields: dict[str, Any] = {
        "at_ms": EPOCH_MS,
        "targets": targets,
        "state": first.state,
        "complete_through_ms": first.complete_through_ms,
        "provisional": first.provisional,
        "missing": first.missing,
        "gaps": first.gaps,
        "lost": first.lost,
        "unequal": first.unequal,
        "lag_ms": first.lag_ms,
        "rate_per_s": first.rate_per_s,
        "volume": (),
        "lines": 0,
        "evicted": 0,
        "evicted_through_ms": None,
        "events": first.events,
        "duplicates": first.duplicates,
        "late": first.late,
        "repaired": first.repaired,
        "unconfirmed": first.unconfirmed,
        "uncompared_ms": first.uncompared_ms,
        "altered": first.altered,
    }
    return Status(**(fields | changes))


class FakeRefetcher(LineRefetcher):
    """Fetches nothing: evicted lines stay evicted."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline, (), lambda _change: None, lambda: 0)
        self.requests: list[tuple[int, Callable[[], None] | None]] = []

    def fetch_visible(self, rows: Sequence[Row], cursor: int | None, *, is_filtered: bool) -> None:
        """Evicted lines stay evicted."""

    def fetch_at(self, key: int, then: Callable[[], None] | None = None) -> None:
        self.requests.append((key, then))


class FakeEngine(Engine):
    """Overrides all that the screen calls, except for the timeline, which is real."""

    def __init__(self, capacity: int = 1_000_000) -> None:
        super().__init__([], capacity=capacity)
        self.target = target_status()
        self.extra: dict[str, Any] = {}
        self.altered: dict[int, AlteredText] = {}
        self.started = False
        self.stopped = False
        self.reconnects = 0
        self.refetcher: FakeRefetcher = FakeRefetcher(self.timeline)

    @property
    def refetches(self) -> list[tuple[int, Callable[[], None] | None]]:
        return self.refetcher.requests

    @property
    def status(self) -> Status:
        extra = {"lines": self.timeline.lines} | self.extra
        targets = extra.pop("targets", None)
        status = status_of((self.target,), **extra)
        return status if targets is None else msgspec.structs.replace(status, targets=targets)

    @property
    def sources(self) -> list[LineSource]:
        return [LineSource(one.name, one.group) for one in self.status.targets]

    def altered_text(self, line: Line) -> AlteredText | None:
        return self.altered.get(line.key)

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.stopped = True

    def reconnect_now(self) -> None:
        self.reconnects += 1

    def add(self, rows: Iterable[Row]) -> Change:
        """Add rows to the timeline, and report the change."""
        change = self.timeline.add_many(rows)
        self.report(change)
        return change

    def set(self, **changes: Any) -> None:  # noqa: ANN401 - any field of the target
        """Change fields of the target's status, and report it."""
        self.target = msgspec.structs.replace(self.target, **changes)
        self.report(Change())

    def report(self, change: Change) -> None:
        """Call the callbacks with a change."""
        for callback in self._on_change:
            callback(change)


class FakeControls:
    """Implements ``tui.screen.ports.Controls``."""

    def __init__(self) -> None:
        self.states: dict[str, bool] = dict.fromkeys(self.names, False)
        self.refreshed = 0
        self.scenario: ScenarioStatus | None = None
        self.verdict: VerdictStatus | None = None
        self.recent: tuple[str, ...] = ()
        self.given: dict[str, float] = {}
        self.refusal = ""
        self.waiting: dict[str, ActiveSwitch] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return ("disconnect", "visibility_delay", "duplicate_timestamps")

    @property
    def titles(self) -> dict[str, str]:
        return {name: f"The simulator's words on {name}." for name in self.names}

    async def toggle(self, name: str) -> bool:
        self.states[name] = not self.states[name]
        return self.states[name]

    @property
    def active(self) -> dict[str, ActiveSwitch]:
        active = {name: ActiveSwitch() for name, is_on in self.states.items() if is_on}
        return active | self.waiting

    async def heal(self) -> None:
        self.states = dict.fromkeys(self.names, False)
        self.waiting = {}

    async def refresh(self) -> None:
        self.refreshed += 1

    def fields(self, name: str) -> Sequence[FaultField]:
        if name.startswith(SCENARIO):
            return ()
        return (
            FaultField(
                "down_ms", 5_000, 0, 86_400_000, "how long it is down, 0 = until healed", "ms"
            ),
            FaultField("events", 100, 1, 10_000, "how many"),
            FaultField("toxicity", 1.0, 0, 1, "share that it affects", is_share=True),
        )

    async def switch_on(self, name: str, values: Mapping[str, float]) -> None:
        if self.refusal:
            raise ControlsError(self.refusal)
        self.states[name] = True
        self.given = dict(values)


def make_line(
    number: int,
    message: str,
    *,
    at_ms: int | None = None,
    stream: str = "web/app/7c1e09",
    origin: Origin = "live",
    late_ms: int = 0,
    era: int = 0,
    target: int = 0,
) -> Line:
    """A line, by default 100 ms after the one with the number before."""
    timestamp = EPOCH_MS + number * 100 if at_ms is None else at_ms
    event_id = f"{timestamp << 80 | number}"
    return Line(
        key=line_key(timestamp, event_id, target),
        seq=number + 1,
        ingestion_time=timestamp + 350,
        stream=stream,
        message=message,
        origin=origin,
        late_ms=late_ms,
        era=era,
        id_digits=len(event_id),
    )


def make_rule(number: int, at_ms: int, kind: Any, **changes: Any) -> Rule:  # noqa: ANN401 - any field
    """A rule of the given kind."""
    fields: dict[str, Any] = {
        "key": rule_key(at_ms, number),
        "kind": kind,
        "target": 0,
        "from_ms": at_ms,
        "through_ms": at_ms,
    }
    return Rule(**(fields | changes))


STREAMS: Final = (
    "web/app/7c1e09",
    "web/app/b2d417",
    "worker/render/exec-0007",
    "worker/render/exec-0008",
    "scheduler/main/01",
)


def busy_lines(count: int, seed: int = 7, first: int = 0) -> Iterator[Line]:
    """Lines as running jobs write them: levels, JSON, a stack trace now and then."""
    chance = random.Random(f"{seed}:{first}")
    for number in range(first, first + count):
        stream = chance.choice(STREAMS)
        yield make_line(number, _message(chance, number, stream), stream=stream)


def _message(chance: random.Random, number: int, stream: str) -> str:
    roll = chance.random()
    took = chance.randrange(3, 900)
    if roll < 0.03:
        return (
            f"ERROR upload of frame {number} failed: connection reset by peer\n"
            "Traceback (most recent call last):\n"
            '  File "/srv/render/upload.py", line 88, in put\n'
            "    raise ConnectionResetError(104)\n"
            "ConnectionResetError: [Errno 104] Connection reset by peer"
        )
    if roll < 0.09:
        return f"WARN  frame {number} took {took * 10} ms, more than the 2000 ms it has"
    if roll < 0.20:
        return f"DEBUG cache hit tile={number % 512} age={took} ms"
    if stream.startswith("web"):
        path = chance.choice(("/v1/jobs", "/v1/frames", "/healthz", "/v1/jobs/0007"))
        return (
            f'{{"level":"info","msg":"request done","method":"GET","path":"{path}",'
            f'"status":200,"ms":{took},"request":{number}}}'
        )
    if stream.startswith("scheduler"):
        return f"INFO  placed {took % 7 + 1} tasks, queue {took % 90}, next look in 5 s"
    return f"INFO  rendered frame {number} of 9600 in {took} ms on gpu{number % 4}"


def evicted_for(timeline: Timeline, rule: Rule, *, from_above: bool) -> EvictedRange | None:
    """An evicted range that a rule stands for: the newest one, or the oldest."""
    found = timeline.evicted_at(rule.key)
    while found is not None and from_above:
        below = timeline.evicted_at(found.low - 1)
        if below is None:
            break
        found = below
    return found
