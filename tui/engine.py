"""The viewer without a screen: connections, polling, sessions and the one timeline of them all.

Everything runs in one event loop. What the sessions take in is gathered and merged into the
timeline 30 times a second at most, and told to whoever asked to be called back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final

import msgspec

from tui.address import Address
from tui.connection import Connection, Disconnection
from tui.cursor import Cursor, SavedCursor, Subject
from tui.effects import Effect, Marked, Rebased, Send, Stored, Unconfirmed
from tui.goal import EXIT_CANNOT_CONNECT, EXIT_FAILURE, Goal, Outcome, reached
from tui.http import Getter, HttpFailure
from tui.polling import Polling
from tui.pollplan import PollPlan
from tui.rows import TARGETS_MAX, Change, Line, Row
from tui.session import ViewerSession
from tui.snapshot import Watched, snapshot
from tui.status import MarkStatus, Status
from tui.story import Story
from tui.timeline import CAPACITY, Timeline
from wire.query import Filter, History

FLUSH_S: Final = 1 / 30
"""How often the timeline changes, at most."""

FLUSH_ROWS: Final = 5_000
"""Rows merged in one go: a few milliseconds, so that keys are answered in between."""

PATIENCE_MS: Final = 10_000
"""A target that could not be reached at all for so long is told to be out of reach."""

GROUP_S: Final = 2
"""Patience for the name of the one log group that a forwarder serves."""

MARKS_MAX: Final = 20_000
"""Marks kept for the record: some hours of one target's."""


class TargetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What to watch, and where."""

    url: str
    """Of a forwarder, ``ws://`` or ``wss://``."""
    name: str = ""
    """How the screen calls it; the group or the URL where empty."""
    group: str | None = None
    """None where the forwarder serves exactly one."""
    filter: Filter = Filter()
    since: int | None = None
    """ms; None leaves it to the forwarder."""
    history: History = "newest"
    token: str | None = None
    cursor: Cursor | None = None
    """Saved by an earlier run about the same: go on there, without the lines of that run."""


class Target:
    """One target's parts, put together; hears what its connection and its polling do."""

    def __init__(self, engine: Engine, number: int, spec: TargetSpec) -> None:
        """Create it, without connecting yet."""
        self.spec = spec
        self.group = spec.group
        """The log group's name, once it is known."""
        self.session = ViewerSession(
            number,
            group=spec.group,
            wanted=spec.filter,
            since=spec.since,
            history=spec.history,
            cursor=spec.cursor,
        )
        self.story = Story(number, self.session, engine.next_number)
        self._engine = engine
        address = Address(spec.url, spec.token)
        self.connection = Connection(
            self.session, address, self, now_ms=engine.steady_ms, rng=engine.rng
        )
        self._getter = Getter(address)
        plan = PollPlan(self.session)
        self.polling = Polling(plan, self._getter, self, now_ms=engine.wall_ms)

    @property
    def saved(self) -> SavedCursor | None:
        """The cursor as it may be saved, once there is one."""
        cursor, since = self.session.cursor(), self.session.since
        if cursor is None or since is None:
            return None
        subject = Subject(self.spec.url, self.spec.group, self.spec.filter, since)
        return SavedCursor(subject, cursor)

    def connecting(self, attempt: int) -> None:
        """An attempt begins."""
        self.story.connecting(attempt, self._engine.wall_ms())
        self._engine.changed()

    def happened(self, effects: list[Effect]) -> None:
        """The session took in a message."""
        rules = self.story.happened(effects, self._engine.wall_ms())
        self._engine.take(effects, rules)

    def malformed(self, why: str) -> None:
        """A message could not be read; the next one will show whether it is missed."""
        self.story.malformed += 1
        self.story.detail = why
        self._engine.changed()

    def disconnected(self, end: Disconnection, wait_ms: int) -> None:
        """An attempt ended; where only the WebSocket is refused, lines come by polling."""
        rules = self.story.disconnected(
            end.reason, end.code, wait_ms, final=end.final, now_ms=self._engine.wall_ms()
        )
        if end.is_refused and not end.final and not self.story.is_polling:
            self.polling.poll_now()
        self._engine.take([], rules)

    async def polled(self, effects: list[Effect]) -> None:
        """An answer to a poll was taken in; what it has to say goes over the WebSocket."""
        self.happened(effects)
        if any(isinstance(effect, Send) for effect in effects):
            await self.connection.send(effects)

    def round_ended(self, failure: str | None, *, brought: bool) -> None:
        """A round of polling is over."""
        if brought and not self.session.is_welcomed:
            self._engine.take([], self.story.polled(failure, self._engine.wall_ms()))

    async def _learn_group(self) -> None:
        """Which log group it is, where the forwarder serves exactly one."""
        with contextlib.suppress(HttpFailure, TimeoutError, msgspec.DecodeError):
            async with asyncio.timeout(GROUP_S):
                status, body = await self._getter.get("/v1/groups")
            names = msgspec.json.decode(body, type=list[str]) if status == HTTPStatus.OK else []
            if len(names) == 1:
                self.group = names[0]

    async def run(self) -> None:
        """Connect and poll until the forwarder says not to come back, or this is cancelled."""
        if self.group is None:
            await self._learn_group()
        polling = asyncio.create_task(self.polling.run())
        try:
            await self.connection.run()
        finally:
            polling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await polling


class Engine:
    """Watches targets, merged in display order.

    Args:
        targets: What to watch; at most 255.
        goal: When it is done; None: never.
        capacity: Rows that the timeline keeps.
        rng: Source of the jitter.
        wall_ms: The clock that events are stamped by, ms since the Unix epoch.
        steady_ms: A clock that never jumps.

    """

    def __init__(
        self,
        targets: Sequence[TargetSpec],
        *,
        goal: Goal | None = None,
        capacity: int = CAPACITY,
        rng: random.Random | None = None,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        steady_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        """Create an engine that has not connected yet.

        Raises:
            ValueError: more targets than rows can tell apart.

        """
        if len(targets) > TARGETS_MAX:
            msg = f"{len(targets)} targets are more than {TARGETS_MAX}"
            raise ValueError(msg)
        self.rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self.wall_ms = wall_ms
        self.steady_ms = steady_ms
        self.marks: deque[MarkStatus] = deque(maxlen=MARKS_MAX)
        """The marks that came, for the record, oldest first."""
        self.finished = asyncio.Event()
        """Set once there is an ``outcome``."""
        self.outcome: Outcome | None = None
        self._goal = goal or Goal()
        self._timeline = Timeline(capacity)
        self._numbers = itertools.count(1)
        self._rows: deque[Row] = deque()
        self._pending = Change()
        self._flush: asyncio.TimerHandle | asyncio.Handle | None = None
        self._on_change: list[Callable[[Change], None]] = []
        self._on_lines: list[Callable[[list[Line]], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._began_ms = 0
        self._targets = [Target(self, number, spec) for number, spec in enumerate(targets)]

    @property
    def timeline(self) -> Timeline:
        """The rows; always the same object."""
        return self._timeline

    @property
    def sessions(self) -> list[ViewerSession]:
        """One a target, in their order."""
        return [target.session for target in self._targets]

    @property
    def status(self) -> Status:
        """A snapshot of what is known."""
        return snapshot(
            [
                Watched(one.spec.name, one.group, one.spec.url, one.session, one.story)
                for one in self._targets
            ],
            self._timeline,
            self.wall_ms(),
        )

    @property
    def groups(self) -> list[str | None]:
        """The targets' log groups, as far as they are known, in the order of the lanes."""
        return [one.group for one in self._targets]

    @property
    def saved(self) -> list[SavedCursor]:
        """The cursors as they stand: everything up to them has been handed on."""
        return [one.saved for one in self._targets if one.saved is not None]

    @property
    def complete_through(self) -> int | None:
        """The least T of the targets, ms; None while any has none."""
        throughs = [one.session.holdings.proof.complete_through for one in self._targets]
        known = [through for through in throughs if through is not None]
        return min(known) if known and len(known) == len(throughs) else None

    @property
    def is_backfilled(self) -> bool:
        """Whether every target has all of its past."""
        return all(one.session.is_done for one in self._targets)

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back in the event loop after each change, in their order; also for status alone."""
        self._on_change.append(callback)

    def on_lines(self, callback: Callable[[list[Line]], None]) -> None:
        """Call back with every line that is new, as it came: each one exactly once."""
        self._on_lines.append(callback)

    async def start(self) -> None:
        """Begin to connect."""
        self._began_ms = self.steady_ms()
        runs = [*(target.run() for target in self._targets), self._watch()]
        self._tasks = [asyncio.create_task(run) for run in runs]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Close all connections, and merge what has come."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        self._tasks = []
        self.merge()
        if self._flush is not None:
            self._flush.cancel()

    def merge(self) -> None:
        """Bring the timeline up to what has come; the callbacks hear of it in their turn."""
        while self._rows:
            self._merge()

    def reconnect_now(self) -> None:
        """Try at once, without waiting; an open connection is made anew."""
        for target in self._targets:
            target.connection.reconnect_now()

    # What the targets tell

    def next_number(self) -> int:
        """A number for each rule, so that no two have the same key."""
        return next(self._numbers)

    def take(self, effects: list[Effect], rules: Sequence[Row]) -> None:
        """Let what happened to a target come into the timeline."""
        for effect in effects:
            match effect:
                case Stored(lines, confirmed):
                    if lines:
                        for tell in self._on_lines:
                            tell(lines)
                    self._rows.extend(lines)
                    self._rows.extend(confirmed)
                case Marked(mark):
                    self.marks.append(mark)
                case Rebased(era=era, lane=lane):
                    self.merge()
                    self._pending = self._pending.then(self._timeline.begin_era(lane, era))
                case Unconfirmed(keys):
                    self.merge()
                    self._pending = self._pending.then(self._timeline.unconfirm(keys))
        self._rows.extend(rules)
        self.changed()
        self._settle()

    def changed(self) -> None:
        """Something is different: tell so within a thirtieth of a second."""
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_S, self._flushed)

    def _flushed(self) -> None:
        self._flush = None
        self._merge()
        change, self._pending = self._pending, Change()
        for tell in self._on_change:
            tell(change)
        if self._rows:
            self._flush = asyncio.get_running_loop().call_soon(self._flushed)

    def _merge(self) -> None:
        rows = self._rows
        batch = [rows.popleft() for _ in range(min(len(rows), FLUSH_ROWS))]
        if batch:
            self._pending = self._pending.then(self._timeline.add_many(batch))

    # The end

    def _settle(self) -> None:
        """See whether the goal is reached, or never will be."""
        if self.outcome is not None:
            return
        outcome = reached(self._goal, self.sessions)
        failed = [one for one in self._targets if one.story.has_failed]
        if outcome is None and failed:
            outcome = Outcome(EXIT_CANNOT_CONNECT, _refused(failed[0]))
        if outcome is None and self.steady_ms() - self._began_ms > PATIENCE_MS:
            away = [one for one in self._targets if not one.story.was_connected]
            if away:
                outcome = Outcome(EXIT_CANNOT_CONNECT, _refused(away[0]))
        if outcome is not None:
            self.outcome = outcome
            for target in self._targets:
                target.story.is_over = bool(self._goal.executions)
            self.finished.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that died of an error of ours must not look like silence; ``stop`` raises it."""
        if not task.cancelled() and task.exception() is not None and self.outcome is None:
            self.outcome = Outcome(EXIT_FAILURE, f"internal error: {task.exception()!r}"[:300])
            self.finished.set()

    async def _watch(self) -> None:
        """Time passes without any message too: quiet, patience, rates."""
        while True:
            await asyncio.sleep(1)
            self._settle()
            self.changed()


def _refused(target: Target) -> str:
    return f"cannot connect to {target.spec.url}: {target.story.detail or 'no answer yet'}"
