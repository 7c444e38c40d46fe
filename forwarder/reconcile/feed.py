"""The shell that keeps one log group's door fed: polls, scans, backfill, checks and retention.

No decisions here: when to scan what is ``Schedule``'s, what is wanted of the past ``Wants``',
what a scan proves the door's. After the start no failure of CloudWatch is the end.

While CloudWatch can't be polled, what it may have taken in meanwhile is suspected. Pure.

How the way to CloudWatch Logs is, as heartbeats tell it. Pure: time is an argument.

``at_ms`` is of a clock that is never set; ``now_ms`` is the wall clock's, as events are stamped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import partial
from typing import Final

from common.concurrency import Backoff, wait_and_clear
from common.ranges import Range
from forwarder.cloudwatch.clock import timer_ms, wall_clock_ms
from forwarder.cloudwatch.rate_limit import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import Config
from forwarder.errors import (
    CloudWatchError,
    ForwarderError,
    InvalidEventError,
    JournalFullError,
    ThrottledError,
)
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import Want, Wants
from forwarder.reconcile.maintenance import Upkeep
from forwarder.reconcile.refetch import Refetcher
from forwarder.reconcile.scanner import Scanner, Settings
from forwarder.reconcile.schedule import Due, Schedule
from forwarder.records import CallOutcome, Row
from wire.messages import Upstream
from wire.query import History

AFTER_MS: Final = 30_000
"""Without a whole poll for so long it is declared; before, the lag tells."""

AGAIN_MS: Final = 15_000
"""How often the range grows while it lasts."""


class Outage:
    """One log group's polls: since when none was whole."""

    def __init__(self, wall_ms: int, timer_ms: int) -> None:
        """Begin: ``wall_ms`` is up to when the past was scanned by an earlier run, or now."""
        self._wall_ms = wall_ms
        self._timer_ms = timer_ms
        self._told_ms: int | None = None

    def polled(self, wall_ms: int, timer_ms: int) -> bool:
        """A poll that began then was whole; whether that ended an outage that was declared."""
        was_told = self._told_ms is not None
        self._wall_ms, self._timer_ms, self._told_ms = wall_ms, timer_ms, None
        return was_told

    def suspected(self, wall_ms: int, timer_ms: int, allowance_ms: int) -> Range | None:
        """The range to declare, or to extend the declared one to; None: nothing new."""
        if timer_ms - self._timer_ms < AFTER_MS:
            return None
        if self._told_ms is not None and timer_ms - self._told_ms < AGAIN_MS:
            return None
        self._told_ms = timer_ms
        # What is younger than the allowance can't be proved by the next poll either. The clock
        # may have been set back meanwhile.
        through = max(0, wall_ms - allowance_ms)
        return max(0, min(self._wall_ms - allowance_ms, through)), through


STALE_MS: Final = 5_000
"""Without a whole poll for so long, what is shown is late, whatever the reason."""

SHOWN_MS: Final = 10_000
"""How long a throttled call or an event that became visible late is told of."""


class UpstreamWatch:
    """One log group's view of CloudWatch; the worst of what is known is told."""

    def __init__(self, at_ms: int, poll_ms: int, overlap_ms: int, allowance_ms: int) -> None:
        """Nothing has been heard yet; the rest is as polls have it."""
        self._stale_ms = max(STALE_MS, 3 * poll_ms)
        self._overlap_ms = overlap_ms
        self._allowance_ms = allowance_ms
        self._first_ms: int | None = None
        self._whole_ms = 0
        self._whole_at_ms = at_ms
        self._is_failing = False
        self._throttled_ms: int | None = None
        self._delay_ms = 0
        self._delayed_ms: int | None = None

    def poll_outcome(self, outcome: CallOutcome, at_ms: int) -> None:
        """What came of one attempt at a page of a poll."""
        self._is_failing = outcome == "unreachable"
        self.scan_outcome(outcome, at_ms)

    def scan_outcome(self, outcome: CallOutcome, at_ms: int) -> None:
        """What came of an attempt of a scan: polls alone tell whether CloudWatch is there."""
        if outcome == "throttled":
            self._throttled_ms = at_ms

    def poll_finished(self, begun_ms: int, begun_at_ms: int) -> None:
        """A poll that had begun then, by either clock, was whole."""
        self._is_failing = False
        self._whole_ms = begun_ms
        self._whole_at_ms = begun_at_ms
        if self._first_ms is None:
            self._first_ms = begun_ms

    def appeared(self, timestamp: int, ingestion_time: int | None, now_ms: int, at_ms: int) -> None:
        """An event was new although its time had been proved: was it there, but not visible?

        It was, if a whole poll of this process began after its ingestion and looked there.
        """
        if self._first_ms is None or ingestion_time is None:
            return
        was_looked_for = (
            self._first_ms <= ingestion_time < self._whole_ms
            and timestamp >= ingestion_time - self._overlap_ms
        )
        delay_ms = now_ms - ingestion_time
        if not was_looked_for or delay_ms <= self._allowance_ms:
            return
        if delay_ms > self._delay_ms or not self._is_recent(self._delayed_ms, at_ms):
            self._delay_ms = delay_ms
        self._delayed_ms = at_ms

    def set_poll_interval(self, poll_ms: int) -> None:
        """So often is polled from now on."""
        self._stale_ms = max(STALE_MS, 3 * poll_ms)

    def report_live_delay(self, delay_ms: int, at_ms: int) -> None:
        """A live path that was relied on is behind so far, or has missed something."""
        if delay_ms > self._delay_ms or not self._is_recent(self._delayed_ms, at_ms):
            self._delay_ms = delay_ms
        self._delayed_ms = at_ms

    def at(self, at_ms: int) -> Upstream:
        """As a heartbeat has it: ``lag_ms`` is how far behind the screen may be."""
        lag_ms = max(0, at_ms - self._whole_at_ms)
        is_delayed = self._is_recent(self._delayed_ms, at_ms)
        if self._is_failing:
            return Upstream("unreachable", lag_ms)
        if self._is_recent(self._throttled_ms, at_ms):
            return Upstream("throttled", lag_ms)
        if is_delayed or lag_ms > self._stale_ms:
            return Upstream("delayed", max(lag_ms, self._delay_ms if is_delayed else 0))
        return Upstream("ok", lag_ms)

    @staticmethod
    def _is_recent(moment_ms: int | None, at_ms: int) -> bool:
        return moment_ms is not None and at_ms - moment_ms < SHOWN_MS


_LOG: Final = logging.getLogger("gapless.forwarder")

IDLE_WAIT_S: Final = 1.0
"""The longest wait before the backfill looks again, a new chain having no coverage."""
UNREAD: Final = "CloudWatch Logs could not be read"
"""How the reason of a gap begins that is declared while polls fail."""
FULL_PAUSE_S: Final = 1.0
"""How long nothing is tried of what the journal had no room for; scans have a pace of their own."""
RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 10_000


class Feed:
    """One log group's feed; all of it belongs to one event loop."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        schedule: Schedule,
        *,
        config: Config,
        on_progress: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = wall_clock_ms,
        timer: Callable[[], int] = timer_ms,
        random: Callable[[], float] | None = None,
    ) -> None:
        """Join the parts; nothing runs before ``run``.

        Args:
            group: the door.
            cloudwatch: where to read; may be shared by feeds.
            schedule: made for the same log group with the same clocks.
            config: retention and the widths of polls.
            on_progress: called, often, when there may be something new to tell; must not block.
            clock: ms since the Unix epoch; it may be set at any time.
            timer: ms of a clock that is never set.
            random: numbers from 0 to 1, for jitter.

        """
        self.on_progress = on_progress
        self.trouble: str | None = None
        """One line about why CloudWatch can't be read at present; None where it can."""
        self._group = group
        self._cloudwatch = cloudwatch
        self._schedule = schedule
        self._config = config
        self._clock = clock
        self._timer = timer
        self._random = random or cloudwatch.random
        self._wants = Wants()
        self._watch = UpstreamWatch(timer(), config.poll_ms, config.overlap_ms, config.allowance_ms)
        covered_ms = group.coverage.end
        now_ms = clock()
        self._outage = Outage(now_ms if covered_ms is None else min(covered_ms, now_ms), timer())
        self._outage_gap: str | None = None
        self._told = "ok"
        self._is_full = False
        self._polled_ms: int | None = None
        self._polling_from: int | None = None
        self._due = asyncio.Event()
        self._wanted = asyncio.Event()
        settings = Settings(group, cloudwatch, clock=clock, on_progress=self._progress)
        self._scanner = Scanner(
            group,
            cloudwatch,
            settings,
            clock=clock,
            timer=timer,
            on_progress=self._progress,
            on_late=self._late,
        )
        self._refetcher = Refetcher(group, cloudwatch, self._scanner, clock=clock)
        self._upkeep = Upkeep(
            group,
            cloudwatch,
            config,
            settings,
            clock=clock,
            timer=timer,
            bodies=self._refetcher.bodies,
            oldest_wanted=lambda: self._wants.oldest_owed,
        )

    # What the hub asks

    @property
    def upstream(self) -> Upstream:
        """How the way to CloudWatch is, as a heartbeat tells it."""
        return self._watch.at(self._timer())

    @property
    def ready(self) -> bool:
        """Whether a poll has been whole, and the journal can be written: it is the present."""
        return self._polled_ms is not None and not self._is_full

    def want(
        self,
        key: Hashable,
        since: int,
        history: History = "newest",
        executions: Sequence[str] = (),
        *,
        is_owed: bool = True,
        until_ms: int | None = None,
    ) -> None:
        """A viewer wants the past since then; stays so until ``unwant`` or ``until_ms``.

        Args:
            key: the viewer; wanting again replaces what it wanted before.
            since: ms, inclusive.
            history: which end of the past to fetch first.
            executions: those that it names, whose end it waits for.
            is_owed: whether some of it is still to be sent, so that retention must leave it.
            until_ms: when who polls is taken to have gone; None: it says so.

        """
        self._wants.put(key, Want(since, history, tuple(executions), is_owed, until_ms))
        self._wants_changed()

    def unwant(self, key: Hashable) -> None:
        """A viewer has gone; what nobody else wants is not fetched any further."""
        self._wants.drop(key)
        self._wants_changed()

    def missing(self, since: int) -> list[tuple[int, int]]:
        """The ranges from ``since`` up to the last poll that no whole scan has covered yet."""
        return self._group.coverage.missing(since, self._past_end())

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Bring back bodies, or mark them lost, as ``Refetcher.refetch``.

        ``want`` the range before, so that retention does not take them again.
        """
        return await self._refetcher.refetch(from_, through, deadline_ms)

    def poll_now(self) -> None:
        """Something says that there is news: poll now."""
        self._schedule.hint(self._timer())
        self._due.set()

    def set_poll_interval(self, poll_ms: int | None) -> None:
        """Poll so often from now on; None: as configured."""
        every_ms = self._config.poll_ms if poll_ms is None else max(poll_ms, self._config.poll_ms)
        self._schedule.pace(every_ms)
        self._watch.set_poll_interval(every_ms)
        self._due.set()

    def report_live_delay(self, delay_ms: int) -> None:
        """The live path that was relied on is behind so far, or has missed something."""
        self._watch.report_live_delay(delay_ms, self._timer())
        self._tell_state()

    # What runs

    async def run(self) -> None:
        """Feed the log group until cancelled.

        Raises:
            JournalError: the journal can't be written any more.

        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep(self._upkeep.learn))
                tasks.create_task(self._keep(self._upkeep.ask_after_streams))
                tasks.create_task(self._keep(self._upkeep.retain))
                tasks.create_task(self._keep(partial(self._reconcile, tasks)))
                tasks.create_task(self._keep(self._backfill))
        except BaseExceptionGroup as group:
            known, unknown = group.split(ForwarderError)
            if known is None or unknown is not None:
                raise
            raise _first(known) from group

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do what never ends; where the journal has no room, again a little later.

        What could not be written is not known, hence comes again with the next scan.
        """
        while True:
            try:
                await work()
            except JournalFullError as error:
                self._troubled(error)
                await asyncio.sleep(FULL_PAUSE_S)
            else:
                return

    async def _reconcile(self, tasks: asyncio.TaskGroup) -> None:
        """Begin each scan when the schedule says so; none waits for another."""
        while True:
            now_ms, at_ms = self._clock(), self._timer()
            self._wants.expire(now_ms)
            has_asked = self._upkeep.asked.is_set()
            self._schedule.want(self._wants.oldest if has_asked else None, at_ms)
            self._schedule.covers(self._group.covered_from(now_ms))
            self._schedule.allow(self._group.allowance_ms)
            self._mind_outage(now_ms, at_ms)
            self._schedule.want_drain(self._group.drain_range(now_ms, self._wants.executions))
            scans = self._schedule.due(at_ms, now_ms)
            if jump_ms := self._schedule.take_jump():
                self._group.shift_clock(jump_ms, now_ms)
            for due in scans:
                self._schedule.started(due, at_ms, now_ms)
                if due.tier == "live":
                    self._polling_from = due.from_
                tasks.create_task(self._run_due(due))
            wait_ms = self._schedule.next_ms - self._timer()
            await wait_and_clear(self._due, max(wait_ms, 1) / 1000)

    def _mind_outage(self, now_ms: int, at_ms: int) -> None:
        """While polls fail, what CloudWatch may be taking in is declared."""
        span = self._outage.suspected(now_ms, at_ms, self._group.allowance_ms)
        if span is None:
            return
        gap = None
        if self._outage_gap is not None:
            gap = self._group.widen_gap(self._outage_gap, *span)
        if gap is None:
            why = self.trouble or "CloudWatch Logs does not answer in time"
            gap = self._group.declare_gap(*span, "suspected", f"{UNREAD}: {why}")
        self._outage_gap = gap.id
        self._progress()

    async def _run_due(self, due: Due) -> None:
        is_poll = due.tier == "live"
        begun_ms, begun_at_ms = self._clock(), self._timer()
        try:
            await self._scanner.scan(
                due.kind,
                due.from_,
                due.through,
                priority=Priority.POLL if is_poll else Priority.SCAN,
                observer=self._poll_outcome if is_poll else self._scan_outcome,
            )
        except (CloudWatchError, InvalidEventError) as error:
            self._schedule.failed(due.tier, self._timer())
            if is_poll:
                self._failed(error)
        except JournalFullError as error:
            self._schedule.failed(due.tier, self._timer())
            self._troubled(error)
        else:
            proved = self._group.complete_through(due.from_) is not None
            self._schedule.finished(due.tier, self._timer(), proved=proved)
            if is_poll:
                self._polled(begun_ms, begun_at_ms)
            self._upkeep.scanned()
        finally:
            if is_poll:
                self._polling_from = None
            self._due.set()

    async def _backfill(self) -> None:
        """Fetch what is wanted of the past, window by window, while it is wanted."""
        backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, self._random)
        await self._upkeep.asked.wait()
        while True:
            window = self._next_window()
            if window is None:
                await wait_and_clear(self._wanted, IDLE_WAIT_S)
                continue
            from_, through = window
            try:
                events = await self._scanner.scan(
                    "backfill",
                    from_,
                    through,
                    priority=Priority.BACKFILL,
                    observer=self._scan_outcome,
                    is_wanted=partial(self._wants.is_wanted, through),
                )
            except (CloudWatchError, InvalidEventError) as error:
                _LOG.debug("%s: a backfill broke off: %s", self._group.name, error)
                await wait_and_clear(self._wanted, backoff.count_failure() / 1000)
                continue
            backoff.reset()
            if events is not None:
                self._wants.window_done(events)
                self._upkeep.scanned()

    def _next_window(self) -> tuple[int, int] | None:
        through = self._past_end()
        if self._polling_from is not None:
            # What a poll is just reading need not be read twice.
            through = min(through, self._polling_from - 1)
        return self._wants.next_window(self._group.coverage, through, self._upkeep.floor_ms())

    def _past_end(self) -> int:
        """Where the past ends that backfill is for: a clock that was set back ends it sooner."""
        now_ms = self._clock()
        return now_ms if self._polled_ms is None else min(self._polled_ms, now_ms)

    # What is heard

    def _poll_outcome(self, outcome: CallOutcome) -> None:
        self._note_throttling(outcome)
        self._watch.poll_outcome(outcome, self._timer())
        self._tell_state()

    def _scan_outcome(self, outcome: CallOutcome) -> None:
        self._note_throttling(outcome)
        self._watch.scan_outcome(outcome, self._timer())
        self._tell_state()

    def _note_throttling(self, outcome: CallOutcome) -> None:
        if outcome == "throttled":
            self._schedule.throttled(self._timer())

    def _polled(self, begun_ms: int, begun_at_ms: int) -> None:
        self._polled_ms = begun_ms
        self._watch.poll_finished(begun_ms, begun_at_ms)
        if self._outage.polled(begun_ms, begun_at_ms) and self._outage_gap is not None:
            self._outage_gap = None
            _LOG.warning("%s: CloudWatch Logs can be read again", self._group.name)
        if self._is_full:
            self._is_full = False
            _LOG.warning("%s: the journal can be written again", self._group.name)
        self.trouble = None
        self._tell_state()

    def _failed(self, error: ForwarderError) -> None:
        outcome: CallOutcome = "throttled" if isinstance(error, ThrottledError) else "unreachable"
        self._watch.poll_outcome(outcome, self._timer())
        self._troubled(error)
        self._tell_state()

    def _troubled(self, error: ForwarderError) -> None:
        self._is_full = isinstance(error, JournalFullError)
        if self.trouble != str(error):
            _LOG.warning("%s: %s (trying again)", self._group.name, error)
            self.trouble = str(error)
            self._progress()

    def _late(self, rows: list[Row]) -> None:
        now_ms, at_ms = self._clock(), self._timer()
        for row in rows:
            self._watch.appeared(row.timestamp, row.ingestion_time, now_ms, at_ms)

    def _tell_state(self) -> None:
        state = self.upstream.state
        if state != self._told:
            _LOG.info("%s: CloudWatch Logs is %s", self._group.name, state)
            self._told = state
            self._progress()

    def _wants_changed(self) -> None:
        self._due.set()
        self._wanted.set()

    def _progress(self) -> None:
        self.on_progress()


def _first(group: BaseExceptionGroup[ForwarderError]) -> ForwarderError:
    error: ForwarderError | BaseExceptionGroup[ForwarderError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
