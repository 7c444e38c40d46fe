"""The viewer without a screen: all targets, merged into one timeline in display order.

Everything runs in one event loop. New lines are gathered, merged into the timeline at most 30
times a second, and passed to callbacks. ``goal_result`` decides when the goal is reached, and with
which exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
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
    GaplessError,
)
from common.network_errors import REFUSED
from common.times import iso, iso_range
from tui.client.course import Course
from tui.client.history import make_status, verified_through
from tui.client.membership import (
    LIST_S,
    GroupSource,
    ListedGroup,
    ListingError,
    Membership,
    not_watched,
)
from tui.client.patience import Patience, progress_of, suspected_in, unreached
from tui.client.refetch import LineRefetcher, OlderLines, RefetchSource
from tui.client.saved import CONTEXT_LINES, SavedCursor, save_cursor
from tui.client.session import ViewerSession
from tui.client.status import (
    Effect,
    EndStatus,
    GapStatus,
    MarkStatus,
    Rebased,
    Status,
    Stored,
    Unconfirmed,
    UpstreamProblem,
    Welcomed,
)
from tui.client.target import EngineTarget, LineSource, TargetSpec
from tui.lines.packed import release_free_memory
from tui.lines.rows import Change, Line, Row, Rule, rule_key, time_key
from tui.lines.timeline import CAPACITY, EvictedRange, Timeline
from wire.messages import AlteredText
from wire.record import TARGETS_MAX, RuleKind

FLUSH_S: Final = 1 / 30
"""Shortest interval between changes of the timeline."""

FLUSH_ROWS: Final = 2_000
"""Rows merged at once: two or three milliseconds, so that keys are answered in between."""

CONNECT_TIMEOUT_MS: Final = 10_000
"""A target that could not be reached for this long ends the viewer, once an attempt has failed."""

SAVE_S: Final = 5
"""Interval between cursor saves; after a kill at most this much is shown twice."""

TIDY_S: Final = 0.02
"""Pause between two blocks that are compressed, which takes a millisecond each."""

TIDY_BLOCKS: Final = 64
"""Compressed blocks after which freed memory is returned: about 8 MB."""

MARKS_MAX: Final = 20_000
"""Marks kept for the record: some hours of one target's."""

RULES_MAX: Final = 20_000
"""Newest rules and changes of rules kept for the record, which a replay shows at their time."""


class Goal(msgspec.Struct, frozen=True):
    """When the viewer is done; an empty goal is never reached."""

    through_ms: int | None = None
    """Everything through this time is verified or known to be missing (``--until``)."""
    executions: tuple[str, ...] = ()
    """All of these executions have ended."""
    patience_ms: int | None = None
    """Longest wait for ``through_ms`` without progress (``--patience``); None for no limit."""


class ViewerResult(msgspec.Struct, frozen=True):
    """How the viewer ended: the exit code, and a line for stderr, which may be empty."""

    code: int
    reason: str = ""


def goal_result(goal: Goal, sessions: Sequence[ViewerSession]) -> ViewerResult | None:
    """Return the result once the goal is reached; None before."""
    if goal.executions:
        result = _executions_ended(goal, sessions)
        if result is not None:
            return result
    return None if goal.through_ms is None else _covered(goal.through_ms, sessions)


def _executions_ended(goal: Goal, sessions: Sequence[ViewerSession]) -> ViewerResult | None:
    """The result once all executions have ended, their events equal or given up [13]."""
    ends: dict[str, EndStatus] = {}
    gaps: dict[str, GapStatus] = {}
    for session in sessions:
        proof = session.holdings.proof
        for end in session.holdings.ends:
            if end.equal or proof.is_given_up(end.from_ms, end.through_ms):
                ends[end.execution] = end
                gap = session.holdings.gap_at_end(end)
                if gap is not None:
                    gaps[end.execution] = gap
    if not all(execution in ends for execution in goal.executions):
        return None
    unequal = [end for end in ends.values() if not end.equal]
    if unequal:
        one = unequal[0]
        span = iso_range(one.from_ms, one.through_ms)
        reason = f"execution {one.execution}: events in {span} are missing or different"
        return ViewerResult(EXIT_INCOMPLETE, reason)
    for execution in goal.executions:
        if execution in gaps:
            gap = gaps[execution]
            span = iso_range(gap.from_ms, gap.through_ms)
            reason = f"execution {execution}: events in {span} may be missing: {gap.reason}"
            return ViewerResult(EXIT_INCOMPLETE, reason)
    statuses = {ends[execution].status for execution in goal.executions}
    if "FAILED" in statuses:
        return ViewerResult(EXIT_FAILED)
    return ViewerResult(EXIT_STOPPED if "STOPPED" in statuses else EXIT_DONE)


def _covered(through_ms: int, sessions: Sequence[ViewerSession]) -> ViewerResult | None:
    """The result once everything through a time is verified, lost, or given up [13]."""
    missing: list[tuple[int, int]] = []
    for session in sessions:
        proof, since = session.holdings.proof, session.since
        if since is None or not session.is_backfilled:
            return None
        if through_ms < since:
            continue
        settled = proof.settled_through(since)
        if settled is None or settled < through_ms:
            return None
        missing += [
            (max(low, since), min(high, through_ms))
            for low, high in proof.known_missing()
            if low <= through_ms and high >= since
        ]
    if not missing:
        return ViewerResult(EXIT_DONE)
    return ViewerResult(
        EXIT_INCOMPLETE, "not complete: " + ", ".join(iso_range(*one) for one in missing)
    )


_Row = TypeVar("_Row", bound=Row)


class Engine:
    """Watches targets and merges their lines in display order.

    Args:
        targets: What to watch; at most 255.
        goal: When the viewer is done; None for never.
        capacity: Rows that the timeline keeps in memory.
        rng: Source of the jitter.
        is_watched: Whether someone is watching, so that reconnecting may not take long.
        sources: Patterns whose log groups join and leave while the engine runs.
        cursors: Folder in which cursors are saved for the next run; None for not at all.
        steady_ms: A monotonic clock.

    Attributes:
        timeline: The merged rows.
        refetcher: Brings evicted lines back.
        older: Fetches history from before the start that was asked for at first.
        marks: The newest marks, for the record, oldest first.
        rules: The newest rules with the time at which they came or changed, for the record.
        started_ms: When it was started, ms since the Unix epoch; 0 before.
        finished: Set once there is a ``result``.
    """

    def __init__(  # noqa: PLR0913 - what to watch, and one option each
        self,
        targets: Sequence[TargetSpec],
        *,
        goal: Goal | None = None,
        capacity: int = CAPACITY,
        rng: random.Random | None = None,
        sources: Sequence[GroupSource] = (),
        cursors: Path | None = None,
        is_watched: bool = False,
        gives_up: bool = True,
        wall_ms: Callable[[], int] | None = None,
        steady_ms: Callable[[], int] | None = None,
    ) -> None:
        """Prepare the targets; ``start`` connects them.

        With ``gives_up`` it finishes if a target cannot be reached within ten seconds.

        Raises:
            ValueError: There are more targets than keys can number.
        """
        if len(targets) > TARGETS_MAX:
            msg = f"{len(targets)} targets are more than {TARGETS_MAX}"
            raise ValueError(msg)
        self.wall_ms = wall_ms or (lambda: time.time_ns() // 1_000_000)
        self.steady_ms = steady_ms or (lambda: time.monotonic_ns() // 1_000_000)
        self.marks: deque[MarkStatus] = deque(maxlen=MARKS_MAX)
        self.rules: deque[tuple[int, Rule]] = deque(maxlen=RULES_MAX)
        self.started_ms = 0
        self.finished = asyncio.Event()
        self.result: ViewerResult | None = None
        self._goal = goal or Goal()
        self._cursors = cursors
        self._patience = None
        if self._goal.through_ms is not None and self._goal.patience_ms is not None:
            self._patience = Patience(self._goal.patience_ms)
        self._lines_to_goal = 0
        self.timeline = Timeline(capacity)
        self._rows: deque[Row] = deque()
        self._confirmed: deque[Line] = deque()  # merged after the rows, which may hold the same
        self._pending = Change()
        self._flush: asyncio.TimerHandle | asyncio.Handle | None = None
        self._on_change: list[Callable[[Change], None]] = []
        self._on_lines: list[Callable[[list[Line]], None]] = []
        self._on_rules: list[Callable[[Sequence[Rule]], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ready = asyncio.Event()
        self._is_ready.set()
        self._began_ms = 0
        self._rule_numbers = itertools.count(1)
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._is_watched = is_watched
        self._gives_up = gives_up
        self._targets = [self._make_target(*numbered) for numbered in enumerate(targets)]
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._sources = [(source, Membership(source.known)) for source in sources]
        for source in sources:
            for group in source.known:
                if (number := self._find(source.url, group)) is not None:
                    self._targets[number].is_listed = True
        self.refetcher = LineRefetcher(
            self.timeline,
            [RefetchSource(one.session, one.getter) for one in self._targets],
            self._note_change,
            self.steady_ms,
        )
        self.older = self._make_older()
        self._declared: int | None = None  # the last key of the earlier run's declared lines
        self._context: int | None = None  # the same, until they are fetched
        self._declare_previous_lines()

    @property
    def courses(self) -> list[Course]:
        """What each target showed second by second."""
        return [target.history.course for target in self._targets]

    @property
    def sessions(self) -> list[ViewerSession]:
        """The targets' sessions, in the order of the targets."""
        return [target.session for target in self._targets]

    @property
    def status(self) -> Status:
        """The state of all targets at this moment."""
        return make_status(
            [one.parts for one in self._targets],
            self.timeline,
            self.wall_ms(),
            listed=self._listed,
            waiting=self._waiting,
            unlisted=next((one.problem for _, one in self._sources if one.problem), ""),
        )

    @property
    def sources(self) -> list[LineSource]:
        """Where the lines come from, in the order of the targets."""
        return [one.source for one in self._targets]

    @property
    def may_join(self) -> bool:
        """Whether log groups may join while the engine runs."""
        return bool(self._sources)

    @property
    def groups(self) -> list[str | None]:
        """The targets' log groups, as far as they are known, in the order of the targets."""
        return [one.group for one in self._targets]

    @property
    def problems(self) -> list[UpstreamProblem | None]:
        """Why each target's forwarder can't read CloudWatch; None where that is not known now."""
        problems = []
        for one in self._targets:
            problem = one.history.problem
            # Of a group that is listed, the next listings say that it has left.
            is_news = problem is None or not one.is_listed or problem.code != "group_missing"
            problems.append(problem if is_news else None)
        return problems

    @property
    def saved(self) -> list[SavedCursor]:
        """The present cursors: every line up to them has been passed to the callbacks."""
        return [one.saved for one in self._targets if one.saved is not None]

    @property
    def complete_through(self) -> int | None:
        """The time through which all targets are verified, ms; None while any has none."""
        throughs = [one.parts.verified_ms for one in self._targets if one.phase != "left"]
        return verified_through(throughs, self._listed)

    @property
    def is_backfilled(self) -> bool:
        """Whether every target that was there from the start has all of its requested history."""
        return all(one.session.is_backfilled for one in self._targets if one.phase == "here")

    def altered_text(self, line: Line) -> AlteredText | None:
        """The text that CloudWatch now returns for a line, if that is another one."""
        return self.sessions[line.target].altered.find(line)

    def on_change(self, callback: Callable[[Change], None]) -> None:
        """Call back after each change, in order, and after changes of the status alone."""
        self._on_change.append(callback)

    def on_lines(self, callback: Callable[[list[Line]], None]) -> None:
        """Call back with all new lines as they come, each exactly once."""
        self._on_lines.append(callback)

    def on_rules(self, callback: Callable[[Sequence[Rule]], None]) -> None:
        """Call back with each new or changed rule: a line that reports a gap or the like."""
        self._on_rules.append(callback)

    async def start(self) -> None:
        """Begin to connect and to poll."""
        self._began_ms, self.started_ms = self.steady_ms(), self.wall_ms()
        for number in range(len(self._targets)):
            self._start_target(number)
        runs = [self._watch(), self._tidy(), *(self._follow(*one) for one in self._sources)]
        self._tasks = [self._start_task(run) for run in runs]

    async def stop(self) -> None:
        """Close all connections, and merge the lines that have come."""
        tasks = [*self._tasks, *self._runs.values()]
        self._tasks, self._runs = [], {}
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
        await self.refetcher.stop()
        self.merge()
        self._save()
        if self._flush is not None:
            self._flush.cancel()

    def merge(self) -> None:
        """Merge everything that has come into the timeline; the callbacks follow later."""
        while self._rows or self._confirmed:
            self._merge_some()

    def reconnect_now(self) -> None:
        """Reconnect every target at once, also those that are connected."""
        for target in self._targets:
            target.connection.reconnect_now()

    def pause(self) -> None:
        """Receive nothing until ``resume``, as the reader of the lines can't keep up."""
        self._is_ready.clear()

    def resume(self) -> None:
        """Receive again."""
        self._is_ready.set()

    async def wait_until_ready(self) -> None:
        """Let other tasks run, and wait while paused."""
        await asyncio.sleep(0)
        await self._is_ready.wait()

    # Targets that join and leave

    @property
    def _listed(self) -> list[int | None]:
        return [one.listed_ms for _, one in self._sources]

    @property
    def _waiting(self) -> tuple[str, ...]:
        return tuple(source.name for source, one in self._sources if one.is_empty)

    def _make_target(self, number: int, spec: TargetSpec) -> EngineTarget:
        return EngineTarget(
            number,
            spec,
            rule_numbers=self._rule_numbers,
            on_effects=partial(self._take_effects, number=number),
            on_status=self._schedule_flush,
            wait_until_ready=self.wait_until_ready,
            wall_ms=self.wall_ms,
            steady_ms=self.steady_ms,
            rng=self._rng,
            is_watched=self._is_watched,
        )

    def _make_older(self) -> OlderLines:
        return OlderLines(
            self.timeline,
            lambda: [one.session for one in self._targets if one.phase != "left"],
            lambda session, since: self._targets[session.holdings.target].extend(since),
            self._note_change,
            next(self._rule_numbers),
            self.steady_ms,
        )

    def _start_task(self, run: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(run)
        task.add_done_callback(self._note_task_end)
        return task

    def _start_target(self, number: int) -> None:
        self._runs[number] = self._start_task(self._targets[number].run())

    async def _follow(self, source: GroupSource, membership: Membership) -> None:
        """List the groups of a source again and again; watch those that join."""
        while True:
            began_ms, before_ms = self.wall_ms(), membership.listed_ms
            try:
                listed = await source.list_groups()
            except ListingError as error:
                membership.problem = str(error)
            else:
                changes = membership.take(listed, began_ms)
                self._join_all(source, changes.joined, before_ms)
                for group in changes.left:
                    await self._leave(source, group)
            self._schedule_flush()
            await asyncio.sleep(LIST_S)

    def _add_target(self, source: GroupSource, listed: ListedGroup) -> int | None:
        """Add a target for a group; None, and an announcement, if it can't be watched."""
        number = len(self._targets)
        try:
            spec = source.spec_of(listed)
        except GaplessError as error:
            self._announce("left", None, f"log group {listed.name} is not watched: {error}")
            return None
        target = self._make_target(number, self._resumable(spec))
        self._targets.append(target)
        self.refetcher.add_source(RefetchSource(target.session, target.getter))
        return number

    def _join_all(
        self, source: GroupSource, joined: Sequence[ListedGroup], absent_ms: int | None
    ) -> None:
        """Watch the groups that have joined, as far as there is room for them."""
        without_room = []
        for one in joined:
            is_new = self._find(source.url, one.group) is None
            if is_new and len(self._targets) >= TARGETS_MAX:
                without_room.append(one.name)
            else:
                self._join(source, one, absent_ms)
        if without_room:
            self._announce("left", None, not_watched(without_room))

    def _join(self, source: GroupSource, listed: ListedGroup, absent_ms: int | None) -> None:
        """Watch a group that was not listed at ``absent_ms``; one that has left comes back."""
        known = self._find(source.url, listed.group)
        if known is None:
            known = self._add_target(source, listed)
        elif self._targets[known].phase != "left":
            return
        if known is None:
            return
        target = self._targets[known]
        target.phase, target.is_listed = "joining", True
        target.joined_ms, target.absent_ms = self.wall_ms(), absent_ms
        target.history.is_over = target.history.has_failed = False
        self._announce("joined", known, f"log group {target.spec.name} joined")
        self._start_target(known)

    def _resumable(self, spec: TargetSpec) -> TargetSpec:
        """Return the target of a group that joins, with its cursor if that hides no line.

        The lines that it had before the cursor can be scrolled to only within the range that was
        declared at the start; otherwise they come again.
        """
        previous = spec.previous
        if previous is None:
            return spec
        if self._declared is not None and time_key(previous.newest_ms + 1) <= self._declared + 1:
            return spec
        return msgspec.structs.replace(spec, cursor=None, previous=None)

    async def _leave(self, source: GroupSource, group: str) -> None:
        """Stop watching a group that is not listed any more; its lines stay."""
        number = self._find(source.url, group)
        if number is not None:
            await self._end_target(number, "was deleted")

    async def _end_target(self, number: int, why: str) -> None:
        target = self._targets[number]
        if target.phase == "left":
            return
        target.phase = "left"
        run = self._runs.pop(number, None)
        if run is not None:
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        target.session.connection_closed()
        target.history.is_over = True
        through = target.session.holdings.proof.complete_through
        until = "" if through is None else f"; its lines are verified to {iso(through)}"
        self._announce("left", number, f"log group {target.spec.name} {why}{until}")

    def _find(self, url: str, group: str) -> int | None:
        specs = [(one.spec.url, one.spec.group) for one in self._targets]
        return specs.index((url, group)) if (url, group) in specs else None

    def _announce(self, kind: RuleKind, number: int | None, text: str) -> None:
        now_ms = self.wall_ms()
        key = rule_key(now_ms, next(self._rule_numbers))
        rule = Rule(key=key, kind=kind, target=number, from_ms=now_ms, through_ms=None, reason=text)
        self._take_effects([], [rule])

    # Effects of the targets

    def _take_effects(
        self, effects: list[Effect], rules: Sequence[Rule], number: int | None = None
    ) -> None:
        """Apply the effects of a target's session, and rules, to the timeline."""
        for effect in effects:
            match effect:
                case Stored():
                    self._take_stored(effect)
                case MarkStatus():
                    self.marks.append(effect)
                case Welcomed():
                    # A group that joins changes nothing about the earlier run's other lines.
                    if number is None or self._targets[number].joined_ms is None:
                        self._take_welcomed(effect)
                case Rebased(era=era, target=target):
                    self.merge()
                    self._pending = self._pending.then(self.timeline.begin_era(target, era))
                case Unconfirmed(keys):
                    self.merge()
                    self._pending = self._pending.then(self.timeline.unconfirm(keys))
        self._rows.extend(rules)
        if rules:
            now_ms = self.wall_ms()
            self.rules.extend((now_ms, rule) for rule in rules)
            for callback in self._on_rules:
                callback(rules)
        self._schedule_flush()
        self._check_goal()

    def _take_stored(self, stored: Stored) -> None:
        if stored.lines:
            through_ms = self._goal.through_ms or 0
            self._lines_to_goal += sum(line.timestamp <= through_ms for line in stored.lines)
            for callback in self._on_lines:
                callback(stored.lines)
        self._rows.extend(stored.lines)
        self._confirmed.extend(stored.confirmed)

    def _schedule_flush(self) -> None:
        """Merge, and run the callbacks, within a thirtieth of a second."""
        if self._flush is None:
            loop = asyncio.get_running_loop()
            self._flush = loop.call_later(FLUSH_S, self._run_flush)

    def _note_change(self, change: Change) -> None:
        self._pending = self._pending.then(change)
        self._schedule_flush()

    def _declare_previous_lines(self) -> None:
        """Declare the earlier run's lines as evicted; the newest are fetched once connected."""
        runs = [one.spec.previous for one in self._targets]
        known = [one for one in runs if one is not None]
        if not known or len(known) < len(runs):
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
        self._pending = self.timeline.declare_evicted(pieces)
        self._context = self._declared = high

    def _take_welcomed(self, effect: Welcomed) -> None:
        """Fetch the earlier run's newest lines, unless all events come again."""
        if effect.outcome == "resumed" and self._context is not None:
            self.refetcher.fetch_at(self._context)
        elif effect.outcome != "resumed" and not effect.again:
            self._note_change(self.timeline.drop_declared())
            self._declared = None
        self._context = None

    def _run_flush(self) -> None:
        self._flush = None
        self._merge_some()
        change, self._pending = self._pending, Change()
        for callback in self._on_change:
            callback(change)
        if not self._rows:
            self.older.update()  # its rule, and its counts, are about the merged lines
        if self._rows or self._confirmed:
            self._flush = asyncio.get_running_loop().call_soon(self._run_flush)

    def _merge_some(self) -> None:
        if self._rows:
            change = self.timeline.add_many(_take_some(self._rows))
        else:
            change = self.timeline.confirm_many(_take_some(self._confirmed))
        self._pending = self._pending.then(change)

    # The end

    def _check_goal(self) -> None:
        """Finish once the goal is reached, or can't be."""
        if self.result is not None:
            return
        counted = [one for one in self._targets if one.phase != "left"]
        result = None
        if counted or not self._sources:
            result = goal_result(self._goal, [one.session for one in counted])
        failed = [one for one in counted if one.history.has_failed and not one.is_listed]
        if result is None and failed:
            result = ViewerResult(EXIT_CANNOT_CONNECT, _cannot_connect(failed[0]))
        is_late = self.steady_ms() - self._began_ms > CONNECT_TIMEOUT_MS
        if result is None and self._gives_up and is_late:
            # The first attempt has its whole timeout, also if this process was stopped before it.
            missing = [
                one
                for one in counted
                if not one.is_reached and not one.is_listed and one.history.detail
            ]
            if missing:
                result = ViewerResult(EXIT_CANNOT_CONNECT, _cannot_connect(missing[0]))
        if result is None and self._patience is not None and self._patience.is_over:
            result = self._out_of_patience(self._goal.through_ms or 0)
        if result is not None:
            self.result = result
            for target in self._targets:
                target.history.is_over = bool(self._goal.executions)
            self.finished.set()

    def _note_progress(self) -> None:
        """Measure the time without progress, once the time to reach has come."""
        if self._patience is None or self.wall_ms() < (self._goal.through_ms or 0):
            return
        through_ms = self._goal.through_ms or 0
        is_readable = not self._waiting and all(
            one.can_read and not suspected_in(one.session, through_ms)
            for one in self._targets
            if one.phase != "left"
        )
        progress = (self._lines_to_goal, progress_of(self.sessions))
        self._patience.note(progress, self.steady_ms(), is_readable=is_readable)

    def _out_of_patience(self, through_ms: int) -> ViewerResult:
        counted = [one for one in self._targets if one.phase != "left"]
        reasons = [one.unread_reason for one in counted if one.unread_reason]
        reasons += [f"no log group matches {one} yet" for one in self._waiting]
        reasons += filter(None, (suspected_in(one.session, through_ms) for one in counted))
        why = reasons[0] if reasons else "CloudWatch Logs can be read, but the scan does not end"
        has_lines = bool(self._lines_to_goal)
        return ViewerResult(*unreached(self.sessions, through_ms, why, has_lines=has_lines))

    def _note_task_end(self, task: asyncio.Task[None]) -> None:
        """Finish after an internal error, which would look like silence; ``stop`` raises it."""
        if not task.cancelled() and task.exception() is not None and self.result is None:
            self.result = ViewerResult(EXIT_FAILURE, f"internal error: {task.exception()!r}"[:300])
            self.finished.set()

    async def _watch(self) -> None:
        """Check what depends on the clock alone: quiet targets, timeouts, rates, saves."""
        for second in itertools.count(1):
            await asyncio.sleep(1)
            self._note_progress()
            await self._update_phases()
            self._check_goal()
            self._schedule_flush()
            if second % SAVE_S == 0:
                self._save()

    async def _update_phases(self) -> None:
        for number, target in enumerate(self._targets):
            target.update_phase(self.wall_ms())
            if target.is_listed and target.history.has_failed and target.phase != "left":
                await self._end_target(number, f"can't be watched: {target.history.detail}")

    async def _tidy(self) -> None:
        """Compress old blocks, a little at a time."""
        done = 0
        while True:
            is_tidy = not self.timeline.tidy()
            done += not is_tidy
            if done >= TIDY_BLOCKS or (is_tidy and done):
                release_free_memory()
                done = 0
            await asyncio.sleep(1 if is_tidy else TIDY_S)

    def _save(self) -> None:
        """Save the cursors, from which the next run resumes."""
        if self._cursors is None:
            return
        with contextlib.suppress(OSError):  # a full disk must not stop the lines
            for saved in self.saved:
                save_cursor(self._cursors, saved)


def _take_some(rows: deque[_Row]) -> list[_Row]:
    return [rows.popleft() for _ in range(min(len(rows), FLUSH_ROWS))]


def _cannot_connect(target: EngineTarget) -> str:
    why = target.history.detail
    remedy = ": is a forwarder running there?" if why == REFUSED else ""
    return f"cannot connect to {target.spec.url}: {why}{remedy}"
