"""The viewer without a screen: connections, polling, sessions and the one timeline of them all.

Everything runs in one event loop. What the sessions take in is gathered and merged into the
timeline 30 times a second at most, and told to whoever asked to be called back.

When a viewer without a screen is done, and with which exit code. Pure.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from common.errors import (
    EXIT_CANNOT_CONNECT,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_FAILURE,
    EXIT_INCOMPLETE,
    EXIT_STOPPED,
)
from common.times import iso_range
from tui.client import saved as state
from tui.client.history import Watched, snapshot
from tui.client.refetch import Fetching, recalled
from tui.client.saved import CONTEXT_LINES, SavedCursor
from tui.client.session import ViewerSession
from tui.client.status import (
    Effect,
    EndStatus,
    Marked,
    MarkStatus,
    Rebased,
    Status,
    Stored,
    Unconfirmed,
    Welcomed,
)
from tui.client.target import Target, TargetSpec
from tui.lines.packed import release_free_memory
from tui.lines.rows import TARGETS_MAX, Change, Line, Row, Rule, time_key
from tui.lines.timeline import CAPACITY, EvictedRange, Timeline


class Goal(msgspec.Struct, frozen=True):
    """What the viewer is to reach; nothing given: it goes on for ever."""

    through_ms: int | None = None
    """Everything up to this time is proved, or known not to be had (``--until``)."""
    executions: tuple[str, ...] = ()
    """Every one of these executions has ended."""


class Outcome(msgspec.Struct, frozen=True):
    """How it ended: an exit code of the command, and one line for stderr, maybe empty."""

    code: int
    reason: str = ""


def reached(goal: Goal, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """The outcome, once the goal is reached."""
    if goal.executions:
        outcome = _ended(goal, sessions)
        if outcome is not None:
            return outcome
    return None if goal.through_ms is None else _covered(goal.through_ms, sessions)


def _ended(goal: Goal, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """An end counts once it is proved, or was given up after it was sent again [13]."""
    ends: dict[str, EndStatus] = {}
    for session in sessions:
        proof = session.holdings.proof
        for end in session.holdings.ends:
            if end.equal or proof.is_given_up(end.from_ms, end.through_ms):
                ends[end.execution] = end
    if not all(execution in ends for execution in goal.executions):
        return None
    unequal = [end for end in ends.values() if not end.equal]
    if unequal:
        one = unequal[0]
        reason = f"execution {one.execution}: not all of {iso_range(one.from_ms, one.through_ms)}"
        return Outcome(EXIT_INCOMPLETE, reason)
    statuses = {ends[execution].status for execution in goal.executions}
    if "FAILED" in statuses:
        return Outcome(EXIT_FAILED)
    return Outcome(EXIT_STOPPED if "STOPPED" in statuses else EXIT_DONE)


def _covered(through_ms: int, sessions: Sequence[ViewerSession]) -> Outcome | None:
    """Nothing more can come: all of it is proved, lost, or was given up [13]."""
    missing: list[tuple[int, int]] = []
    for session in sessions:
        proof, since = session.holdings.proof, session.since
        if since is None or not session.is_backfilled:
            return None
        if through_ms < since:
            continue
        accounted = proof.settled_through(since)
        if accounted is None or accounted < through_ms:
            return None
        missing += [
            (max(low, since), min(high, through_ms))
            for low, high in proof.known_missing()
            if low <= through_ms and high >= since
        ]
    if not missing:
        return Outcome(EXIT_DONE)
    return Outcome(
        EXIT_INCOMPLETE, "not complete: " + ", ".join(iso_range(*one) for one in missing)
    )


FLUSH_S: Final = 1 / 30
"""How often the timeline changes, at most."""

FLUSH_ROWS: Final = 2_000
"""Rows merged in one go: two or three milliseconds, so that keys are answered in between."""

PATIENCE_MS: Final = 10_000
"""A target that could not be reached at all for so long is told to be out of reach."""

SAVE_S: Final = 5
"""How often cursors are kept: a killed viewer shows so much again, at most."""

TIDY_S: Final = 0.02
"""Between two blocks that are compressed, which takes a millisecond each."""

TIDY_BLOCKS: Final = 64
"""So many compressed blocks are some 8 MB that can be given back."""

MARKS_MAX: Final = 20_000
"""Marks kept for the record: some hours of one target's."""

_Row = TypeVar("_Row", bound=Row)


class Engine:
    """Watches targets, merged in display order.

    Args:
        targets: What to watch; at most 255.
        goal: When it is done; None: never.
        capacity: Rows that the timeline keeps.
        rng: Source of the jitter.
        cursors: Folder in which the cursors are kept for the next run; None: nowhere.
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
        cursors: Path | None = None,
        wall_ms: Callable[[], int] | None = None,
        steady_ms: Callable[[], int] | None = None,
    ) -> None:
        """Create an engine that has not connected yet.

        Raises:
            ValueError: more targets than rows can tell apart.

        """
        if len(targets) > TARGETS_MAX:
            msg = f"{len(targets)} targets are more than {TARGETS_MAX}"
            raise ValueError(msg)
        self.rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._wall_ms = wall_ms or (lambda: time.time_ns() // 1_000_000)
        self._steady_ms = steady_ms or (lambda: time.monotonic_ns() // 1_000_000)
        self.marks: deque[MarkStatus] = deque(maxlen=MARKS_MAX)
        """The marks that came, for the record, oldest first."""
        self.finished = asyncio.Event()
        """Set once there is an ``outcome``."""
        self.outcome: Outcome | None = None
        self._goal = goal or Goal()
        self._cursors = cursors
        self._timeline = Timeline(capacity)
        self._numbers = itertools.count(1)
        self._rows: deque[Row] = deque()
        self._confirmed: deque[Line] = deque()  # after the rows: a line is new only once
        self._pending = Change()
        self._flush: asyncio.TimerHandle | asyncio.Handle | None = None
        self._on_change: list[Callable[[Change], None]] = []
        self._on_lines: list[Callable[[list[Line]], None]] = []
        self._on_rules: list[Callable[[Sequence[Rule]], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._flow = asyncio.Event()
        self._flow.set()
        self._began_ms = 0
        self._targets = [Target(self, number, spec) for number, spec in enumerate(targets)]
        self._fetching = Fetching(self._timeline, self._targets, self._happened, self.steady_ms)
        self._context: int | None = None  # a key of what an earlier run had last
        self._begin_without()

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
        return all(one.session.is_backfilled for one in self._targets)

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back in the event loop after each change, in their order; also for status alone."""
        self._on_change.append(callback)

    def on_lines(self, callback: Callable[[list[Line]], None]) -> None:
        """Call back with every line that is new, as it came: each one exactly once."""
        self._on_lines.append(callback)

    def on_rules(self, callback: Callable[[Sequence[Rule]], None]) -> None:
        """Call back with every rule that is new or says something else than before."""
        self._on_rules.append(callback)

    async def start(self) -> None:
        """Begin to connect."""
        self._began_ms = self.steady_ms()
        runs = [*(target.run() for target in self._targets), self._watch(), self._tidy()]
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
        await self._fetching.stop()
        self.merge()
        self._save()
        if self._flush is not None:
            self._flush.cancel()

    def merge(self) -> None:
        """Bring the timeline up to what has come; the callbacks hear of it in their turn."""
        while self._rows or self._confirmed:
            self._merge()

    def reconnect_now(self) -> None:
        """Try at once, without waiting; an open connection is made anew."""
        for target in self._targets:
            target.connection.reconnect_now()

    def look(self, rows: Sequence[Row], cursor: int | None, *, sifted: bool) -> None:
        """Somebody looks at these rows; what is missing there is fetched (``Fetching.look``)."""
        self._fetching.look(rows, cursor, sifted=sifted)

    def bring(self, key: int, then: Callable[[], None]) -> None:
        """Fetch what is not in memory at a key, for somebody who goes there."""
        self._fetching.fetch_at(key, then)

    async def recalled(self, low: int, high: int) -> tuple[list[Line], int | None]:
        """Lines that are not in memory, as the record has them (``fetching.recalled``).

        Raises:
            FetchError: they can't be had now.

        """
        return await recalled(self._targets, low, high)

    def pause(self) -> None:
        """Read no more until ``resume``: whoever takes the lines can't keep up."""
        self._flow.clear()

    def resume(self) -> None:
        """Read on."""
        self._flow.set()

    async def ready(self) -> None:
        """Returns once more lines can be taken; lets others go first."""
        await asyncio.sleep(0)
        await self._flow.wait()

    # What the targets ask and tell

    def wall_ms(self) -> int:
        """The clock that events are stamped by, ms since the Unix epoch."""
        return self._wall_ms()

    def steady_ms(self) -> int:
        """A clock that never jumps, ms."""
        return self._steady_ms()

    def next_number(self) -> int:
        """A number for each rule, so that no two have the same key."""
        return next(self._numbers)

    def take(self, effects: list[Effect], rules: Sequence[Rule]) -> None:
        """Let what happened to a target come into the timeline."""
        for effect in effects:
            match effect:
                case Stored():
                    self._stored(effect)
                case Marked(mark):
                    self.marks.append(mark)
                case Welcomed():
                    self._welcomed(effect)
                case Rebased(era=era, target=target):
                    self.merge()
                    self._pending = self._pending.then(self._timeline.begin_era(target, era))
                case Unconfirmed(keys):
                    self.merge()
                    self._pending = self._pending.then(self._timeline.unconfirm(keys))
        self._rows.extend(rules)
        if rules:
            for told in self._on_rules:
                told(rules)
        self.changed()
        self._settle()

    def _stored(self, stored: Stored) -> None:
        if stored.lines:
            for tell in self._on_lines:
                tell(stored.lines)
        self._rows.extend(stored.lines)
        self._confirmed.extend(stored.confirmed)

    def changed(self) -> None:
        """Something is different: tell so within a thirtieth of a second."""
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_S, self._flushed)

    def _happened(self, change: Change) -> None:
        self._pending = self._pending.then(change)
        self.changed()

    def _begin_without(self) -> None:
        """What an earlier run had is not here, but can be fetched: the last of it at once."""
        seen = [one.spec.seen for one in self._targets]
        known = [one for one in seen if one is not None]
        if not known or len(known) < len(seen):
            return
        since = min(one.session.since or 0 for one in self._targets)
        context_ms = max(since, min(one.context_ms for one in known))
        low, middle = time_key(since), time_key(context_ms)
        high = time_key(max(one.newest_ms for one in known) + 1) - 1
        older = sum(one.older for one in known)
        pieces = [EvictedRange(low, middle - 1, older, low, is_counted=False)] if older else []
        pieces.append(
            EvictedRange(middle, high, CONTEXT_LINES * len(known), middle, is_counted=False)
        )
        self._pending = self._timeline.declare_evicted(pieces)
        self._context = high

    def _welcomed(self, effect: Welcomed) -> None:
        """The lines of an earlier run are to be had, unless they come anew."""
        if effect.outcome == "resumed" and self._context is not None:
            self._fetching.fetch_at(self._context)
        elif effect.outcome != "resumed" and not effect.again:
            self._happened(self._timeline.drop_declared())
        self._context = None

    def _flushed(self) -> None:
        self._flush = None
        self._merge()
        change, self._pending = self._pending, Change()
        for tell in self._on_change:
            tell(change)
        if self._rows or self._confirmed:
            self._flush = asyncio.get_running_loop().call_soon(self._flushed)

    def _merge(self) -> None:
        if self._rows:
            change = self._timeline.add_many(_some(self._rows))
        else:
            change = self._timeline.confirm_many(_some(self._confirmed))
        self._pending = self._pending.then(change)

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
        for second in itertools.count(1):
            await asyncio.sleep(1)
            self._settle()
            self.changed()
            if second % SAVE_S == 0:
                self._save()

    async def _tidy(self) -> None:
        """Compress what is old, a little at a time."""
        done = 0
        while True:
            is_tidy = not self._timeline.tidy()
            done += not is_tidy
            if done >= TIDY_BLOCKS or (is_tidy and done):
                release_free_memory()
                done = 0
            await asyncio.sleep(1 if is_tidy else TIDY_S)

    def _save(self) -> None:
        """Keep the cursors; a disk that is full must not stop the lines."""
        if self._cursors is None:
            return
        with contextlib.suppress(OSError):
            for saved in self.saved:
                state.save_cursor(self._cursors, saved)


def _some(rows: deque[_Row]) -> list[_Row]:
    return [rows.popleft() for _ in range(min(len(rows), FLUSH_ROWS))]


def _refused(target: Target) -> str:
    return f"cannot connect to {target.spec.url}: {target.story.detail or 'no answer yet'}"
