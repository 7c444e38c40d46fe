"""The shell that keeps one log group complete: runs its polls, scans, backfill and maintenance.

``ScanSchedule`` decides when to scan what, ``BackfillDemand`` which history to fetch, and
``LogGroup`` what a scan proves. Once it runs, no failure of CloudWatch ends a feed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from common.concurrency import Backoff, wait_and_clear
from common.ranges import Range
from forwarder.cloudwatch.clock import timer_ms, wall_clock_ms
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.rate_limit import Turn
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import Config
from forwarder.errors import (
    CloudWatchError,
    ForwarderError,
    JournalFullError,
    ScanStuckError,
    ThrottledError,
)
from forwarder.ingest.executions import find_ends
from forwarder.ingest.log_group import LogGroup
from forwarder.reconcile.demand import BackfillDemand, BackfillRequest
from forwarder.reconcile.maintenance import Maintenance
from forwarder.reconcile.page_room import PageRoom
from forwarder.reconcile.refetch import Refetcher
from forwarder.reconcile.scanner import GroupSettings, Scanner
from forwarder.reconcile.schedule import DueScan, ScanSchedule
from forwarder.records import Row
from wire.limits import UPSTREAM_SHOWN_MS
from wire.messages import Upstream

_LOG: Final = logging.getLogger("gapless.forwarder")

OUTAGE_AFTER_MS: Final = 30_000
"""Time without a complete poll after which a gap is suspected; before, the lag shows it."""

OUTAGE_EXTEND_MS: Final = 15_000
"""Interval at which the suspected gap grows while polls fail."""

STALE_MS: Final = 5_000
"""Time without a complete poll after which viewers are shown a delay, whatever the reason."""

DELAYED: Final = "CloudWatch Logs shows events late: they will follow"
STALE: Final = "CloudWatch Logs does not answer in time: check the network"
QUEUED: Final = (
    "many reads share the account's CloudWatch Logs quota: raise --calls-per-second, or watch less"
)
"""Reasons of a delay."""

SILENCE_LOOK_MS: Final = 1_000
"""Interval of looks at a running poll, whose call may get no answer."""
VIEWED_WEIGHT: Final = 4.0
"""Calls of a log group that has viewers, for each call of one that has none."""

BUSY_WEIGHT: Final = 2.0
"""Calls of a log group with recent events, for each call of a quiet one."""

BUSY_MS: Final = 60_000
"""Time after an event in which a log group counts as busy."""

IDLE_WAIT_S: Final = 30.0
"""Longest pause of the backfill, whatever a new request or a new chain may have failed to wake."""
UNREAD: Final = "CloudWatch Logs could not be read"
"""Start of the reason of a gap that is suspected while polls fail; viewers recognise it."""
FULL_PAUSE_S: Final = 1.0
"""Pause before a job that the full journal ended runs again; scans have a pace of their own."""
SETTINGS_WAIT_S: Final = 2.0
"""Longest wait of a new log group's first poll for its size: that often saves further calls."""
RETRY_FIRST_MS: Final = 500
RETRY_MAX_MS: Final = 10_000


class OutageWatch:
    """Decides which range is suspected while one log group can't be polled. Pure.

    Each method takes the time by two clocks: ``wall_ms``, which stamps events, and ``at_ms`` of a
    monotonic clock.
    """

    def __init__(self, wall_ms: int, at_ms: int) -> None:
        """Start at a time up to which the log group was scanned; now, if it never was."""
        self._wall_ms = wall_ms
        self._at_ms = at_ms
        self._suspected_at_ms: int | None = None

    def record_poll(self, wall_ms: int, at_ms: int) -> bool:
        """Note that a poll that began then was complete; whether that ends a suspected gap."""
        was_suspected = self._suspected_at_ms is not None
        self._wall_ms, self._at_ms, self._suspected_at_ms = wall_ms, at_ms, None
        return was_suspected

    def next_gap(self, wall_ms: int, at_ms: int, allowance_ms: int) -> Range | None:
        """The range to suspect, or to extend the suspected gap to; None: no change."""
        if at_ms - self._at_ms < OUTAGE_AFTER_MS:
            return None
        suspected_at_ms = self._suspected_at_ms
        if suspected_at_ms is not None and at_ms - suspected_at_ms < OUTAGE_EXTEND_MS:
            return None
        self._suspected_at_ms = at_ms
        # The next poll can't prove what is younger than the allowance. The wall clock may have
        # been set back meanwhile.
        through = max(0, wall_ms - allowance_ms)
        return max(0, min(self._wall_ms - allowance_ms, through)), through


class UpstreamWatch:
    """Rates the connection to CloudWatch for one log group's heartbeats. Pure.

    ``at_ms`` is of a monotonic clock; ``now_ms`` is of the wall clock, which stamps events.
    """

    def __init__(self, at_ms: int, poll_ms: int, overlap_ms: int, allowance_ms: int) -> None:
        """Start without a poll.

        Args:
            at_ms: now.
            poll_ms: interval between polls.
            overlap_ms: how far a poll reaches back before the start of the previous one.
            allowance_ms: the visibility allowance.
        """
        self._overlap_ms = overlap_ms
        self._allowance_ms = allowance_ms
        self._first_ms: int | None = None
        self._polled_ms = 0
        self._polled_at_ms = at_ms
        self._failure: ForwarderError | None = None
        self._throttled_at_ms: int | None = None
        self._throttled_reason = ""
        self._delay_ms = 0
        self._delayed_at_ms: int | None = None
        self.set_poll_interval(poll_ms)

    def record_poll_attempt(self, error: ForwarderError | None, at_ms: int) -> None:
        """Note the result of an attempt at a page of a poll; None is a success.

        After a scan that was stuck, single pages show nothing: they came before, too.
        """
        if error is None and isinstance(self._failure, ScanStuckError):
            return
        self._failure = None if isinstance(error, ThrottledError) else error
        self.record_scan_attempt(error, at_ms)

    def record_scan_attempt(self, error: ForwarderError | None, at_ms: int) -> None:
        """Note the result of an attempt of a scan; only polls show that CloudWatch is reachable."""
        if isinstance(error, ThrottledError):
            self._throttled_at_ms, self._throttled_reason = at_ms, str(error)

    def record_poll(self, begun_ms: int, begun_at_ms: int) -> None:
        """Note that a poll was complete that began then, by either clock."""
        self._failure = None
        self._polled_ms = begun_ms
        self._polled_at_ms = begun_at_ms
        if self._first_ms is None:
            self._first_ms = begun_ms

    def record_late_event(
        self, timestamp: int, ingestion_time: int | None, now_ms: int, at_ms: int
    ) -> None:
        """Note an event that appeared behind a mark; it was delayed if a poll should have found it.

        That is the case if a complete poll of this process began after its ingestion and its range
        included the event.
        """
        if self._first_ms is None or ingestion_time is None:
            return
        was_in_poll = (
            self._first_ms <= ingestion_time < self._polled_ms
            and timestamp >= ingestion_time - self._overlap_ms
        )
        delay_ms = now_ms - ingestion_time
        if was_in_poll and delay_ms > self._allowance_ms:
            self.record_delay(delay_ms, at_ms)

    def record_delay(self, delay_ms: int, at_ms: int) -> None:
        """Note that events arrive late by this much."""
        if delay_ms > self._delay_ms or not self._is_recent(self._delayed_at_ms, at_ms):
            self._delay_ms = delay_ms
        self._delayed_at_ms = at_ms

    def set_poll_interval(self, poll_ms: int) -> None:
        """Change the interval between polls."""
        self._stale_ms = max(STALE_MS, 3 * poll_ms)

    def status(self, at_ms: int, silence: str = "", *, is_queued: bool = False) -> Upstream:
        """The worst of what is known; ``lag_ms`` is how far behind the screen may be.

        ``silence`` says that calls get no answer, before they time out; ``is_queued`` says whether
        a poll waits for its turn.
        """
        lag_ms = max(0, at_ms - self._polled_at_ms)
        is_delayed = self._is_recent(self._delayed_at_ms, at_ms)
        if self._failure is not None:
            code = getattr(self._failure, "code", CloudWatchError.code)
            return Upstream("unreachable", lag_ms, code, str(self._failure))
        if silence:
            return Upstream("unreachable", lag_ms, "unanswered", silence)
        if self._is_recent(self._throttled_at_ms, at_ms):
            return Upstream("throttled", lag_ms, "throttled", self._throttled_reason)
        if is_delayed:
            return Upstream("delayed", max(lag_ms, self._delay_ms), "delayed", DELAYED)
        if lag_ms > self._stale_ms:
            return Upstream("delayed", lag_ms, "delayed", QUEUED if is_queued else STALE)
        return Upstream("ok", lag_ms)

    @staticmethod
    def _is_recent(moment_ms: int | None, at_ms: int) -> bool:
        return moment_ms is not None and at_ms - moment_ms < UPSTREAM_SHOWN_MS


class Activity:
    """How much of the calls a log group should have, by its events and viewers. Pure."""

    def __init__(self, group: LogGroup) -> None:
        self._group = group
        self._seen = group.epoch, group.head_seq
        self._news_at_ms: int | None = None

    def has_news(self, at_ms: int) -> bool:
        """Whether there are new events since the last call, whichever path brought them."""
        seen = self._group.epoch, self._group.head_seq
        if seen == self._seen:
            return False
        self._seen, self._news_at_ms = seen, at_ms
        return True

    def weight(self, at_ms: int, *, is_viewed: bool) -> float:
        """Weight of its lane in the queue of calls."""
        news_at_ms = self._news_at_ms
        is_busy = news_at_ms is not None and at_ms - news_at_ms < BUSY_MS
        return (BUSY_WEIGHT if is_busy else 1.0) * (VIEWED_WEIGHT if is_viewed else 1.0)


class Feed:
    """Reads one log group from CloudWatch; belongs to one event loop."""

    def __init__(
        self,
        group: LogGroup,
        cloudwatch: CloudWatch,
        *,
        config: Config,
        on_progress: Callable[[], None] = lambda: None,
        clock: Callable[[], int] = wall_clock_ms,
        timer: Callable[[], int] = timer_ms,
        random: Callable[[], float] | None = None,
    ) -> None:
        """Connect the parts; nothing runs before ``run``.

        Args:
            group: takes in the events.
            cloudwatch: where to read; feeds may share it.
            config: retention, and the interval and range of polls.
            on_progress: called often, when there may be something new for viewers; must not block.
            clock: ms since the Unix epoch; may be set at any time.
            timer: ms of a monotonic clock.
            random: returns numbers from 0 to 1, for jitter.
        """
        self.problem: str | None = None
        """Why CloudWatch or the journal can't be used at present, in one line; None: no problem."""
        self._group = group
        self._cloudwatch = cloudwatch
        self._config = config
        self._on_progress = on_progress
        self._clock = clock
        self._timer = timer
        self._random = random or cloudwatch.random
        self._demand = BackfillDemand()
        now_ms, at_ms, covered_ms = clock(), timer(), group.coverage.end
        self._upstream = _make_watch(config, at_ms)
        self._room = PageRoom(group)
        self._schedule = _make_schedule(config, self._room, at_ms, now_ms, covered_ms)
        self._is_queued, self._turn_at_ms = False, at_ms
        self._activity = Activity(group)
        self._outage = OutageWatch(now_ms if covered_ms is None else min(covered_ms, now_ms), at_ms)
        self._outage_gap: str | None = None
        self._upstream_reported = "ok", ""
        self._is_full, self._may_try = False, not group.coverage.ranges
        self._polled_ms: int | None = None
        self._polling_from: int | None = None
        self._schedule_changed = asyncio.Event()
        self._demand_changed = asyncio.Event()
        self._settings = settings = GroupSettings(
            group, cloudwatch, clock=clock, timer=timer, on_progress=on_progress
        )
        self._scanner = Scanner(
            group,
            cloudwatch,
            settings,
            clock=clock,
            timer=timer,
            on_progress=on_progress,
            on_late=self._record_late_events,
            on_page=self._room.note_page,
        )
        self._refetcher = Refetcher(group, cloudwatch, self._scanner, clock=clock)
        self._maintenance = Maintenance(
            group,
            cloudwatch,
            config,
            settings,
            clock=clock,
            timer=timer,
            bodies=self._refetcher.bodies,
            earliest_pending=lambda: self._demand.earliest_pending_since,
        )

    @property
    def _lane(self) -> tuple[str, str]:
        """Its lane in the queue of calls."""
        return self._group.name, self._group.pattern

    # For the hub

    @property
    def upstream(self) -> Upstream:
        """State of the connection to CloudWatch, for heartbeats."""
        at_ms = self._timer()
        silence = self._cloudwatch.silence(at_ms)
        status = self._upstream.status(at_ms, silence, is_queued=self._is_queued)
        oldest, retention_ms = self._maintenance.oldest_ms(), self._group.retention_ms
        return msgspec.structs.replace(status, oldest=oldest, retention_ms=retention_ms)

    @property
    def is_ready(self) -> bool:
        """Whether viewers get the present: a poll was complete and the journal can be written."""
        return self._polled_ms is not None and not self._is_full

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Add or replace a viewer's request for history, until it is withdrawn or expires."""
        if self._demand.request(viewer, request):
            self._schedule.poll_now(self._timer())
        self._note_demand()

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Remove a viewer's request; history that only it asked for is not fetched further."""
        self._demand.withdraw(viewer)
        self._note_demand()

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Refetch the bodies of a range, as ``Refetcher.refetch``.

        Request the range before, so that retention does not remove the bodies again.
        """
        return await self._refetcher.refetch(from_, through, deadline_ms)

    # For the live path

    def poll_now(self) -> None:
        """Poll at once."""
        self._schedule.poll_now(self._timer())
        self._schedule_changed.set()

    def set_poll_interval(self, poll_ms: int | None) -> None:
        """Change the interval between polls, but not below the configured one; None: that one."""
        every_ms = self._config.poll_ms if poll_ms is None else max(poll_ms, self._config.poll_ms)
        self._schedule.set_poll_interval(every_ms)
        self._schedule_changed.set()

    def report_live_delay(self, delay_ms: int) -> None:
        """Show viewers that the live path is late by this much, or has missed events."""
        self._upstream.record_delay(delay_ms, self._timer())
        self._report_upstream()

    # Jobs

    async def run(self) -> None:
        """Keep the log group complete until cancelled.

        Raises:
            JournalError: the journal can't be written any more.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_running(self._maintenance.refresh_settings))
                tasks.create_task(self._keep_running(self._maintenance.check_suspect_streams))
                tasks.create_task(self._keep_running(self._maintenance.check_conflicts))
                tasks.create_task(self._keep_running(self._maintenance.retain))
                tasks.create_task(self._keep_running(partial(self._run_schedule, tasks)))
                tasks.create_task(self._keep_running(self._backfill))
        except BaseExceptionGroup as group:
            known, unknown = group.split(ForwarderError)
            if known is None or unknown is not None:
                raise
            raise _first(known) from group
        finally:
            self._cloudwatch.reads.drop_lane(self._lane)

    async def _keep_running(self, job: Callable[[], Awaitable[None]]) -> None:
        """Run an endless job, again after a pause if the journal had no room.

        Events that could not be written are not known, so that the next scan brings them again.
        """
        while True:
            try:
                await job()
            except JournalFullError as error:
                self._report_problem(error)
                await asyncio.sleep(FULL_PAUSE_S)
            else:
                return

    async def _run_schedule(self, tasks: asyncio.TaskGroup) -> None:
        """Begin each scan when the schedule says so; none waits for another."""
        schedule = self._schedule
        while True:
            await self._note_unread_ends()
            now_ms, at_ms = self._clock(), self._timer()
            self._demand.expire(now_ms)
            is_known = self._maintenance.settings_tried.is_set()
            schedule.set_since(self._demand.earliest_since if is_known else None, at_ms)
            schedule.set_covered_from(self._group.covered_from(now_ms))
            schedule.set_allowance(self._group.allowance_ms)
            self._note_news(at_ms)
            self._suspect_outage(now_ms, at_ms)
            schedule.set_drain_range(self._group.drain_range(now_ms, self._demand.executions))
            scans = schedule.due(at_ms, now_ms)
            self._upstream.set_poll_interval(schedule.poll_every_ms)
            if jump_ms := schedule.take_clock_jump():
                self._group.shift_clock(jump_ms, now_ms)
            for due in scans:
                schedule.start(due, at_ms, now_ms)
                tasks.create_task(self._poll(due) if due.tier == "live" else self._run_scan(due))
            self._report_upstream()
            wait_ms = self._next_look_ms() - self._timer()
            await wait_and_clear(self._schedule_changed, max(wait_ms, 1) / 1000)

    def _next_look_ms(self) -> int:
        """When a scan is due, or a silence of CloudWatch may have to be reported."""
        due_ms = self._schedule.next_ms
        if self._polling_from is None or self._is_queued:
            return due_ms
        at_ms, silent_ms = self._timer(), self._cloudwatch.answers.silent_from_ms
        look_ms = at_ms + SILENCE_LOOK_MS
        return min(due_ms, look_ms if silent_ms is None else min(look_ms, max(at_ms, silent_ms)))

    async def _note_unread_ends(self) -> None:
        """Match the messages of executions that viewers name and that were not read since a start.

        In a thread: there may be many, and heartbeats must go on.
        """
        group = self._group
        unread, epoch = group.take_unread(self._demand.executions), group.journal.epoch
        ends = await find_ends(group.lifecycle, unread)
        if ends and group.journal.epoch == epoch:  # a new chain knows nothing of them
            group.note_ends(unread, ends)

    def _note_news(self, at_ms: int) -> None:
        """Notice new events, whichever path brought them, and claim a share of the calls."""
        if self._activity.has_news(at_ms):
            self._schedule.note_news(at_ms)
            self._demand_changed.set()  # a new chain has no coverage
        weight = self._activity.weight(at_ms, is_viewed=self._demand.earliest_since is not None)
        self._cloudwatch.reads.set_weight(self._lane, weight)

    def _suspect_outage(self, now_ms: int, at_ms: int) -> None:
        """Declare a suspected gap while polls fail, or extend it."""
        has_just_begun = at_ms - self._turn_at_ms < OUTAGE_AFTER_MS
        if self.problem is None and (self._is_queued or has_just_begun):
            return  # no poll has failed: other log groups were before it
        span = self._outage.next_gap(now_ms, at_ms, self._group.allowance_ms)
        if span is None:
            return
        gap = None
        if self._outage_gap is not None:
            gap = self._group.widen_gap(self._outage_gap, *span)
        if gap is None:
            why = self.problem or "CloudWatch Logs does not answer in time"
            gap = self._group.declare_gap(*span, "suspected", f"{UNREAD}: {why}")
        self._outage_gap = gap.id
        self._on_progress()

    async def _poll(self, due: DueScan) -> None:
        """Poll once the call budget allows it, from where the schedule says by then.

        A range that was decided before the wait would be older when it is read, and so its mark.
        """
        self._is_queued = True
        self._polling_from = due.from_
        try:
            if self._may_try and self._demand.earliest_since is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(SETTINGS_WAIT_S):
                        await self._maintenance.settings_tried.wait()
            turn = await self._cloudwatch.wait_turn(*self._lane, Priority.POLL)
        except CloudWatchError as error:
            self._schedule.fail("live", self._timer())
            self._record_poll_failure(error)
            self._polling_from = None
            self._schedule_changed.set()
            return
        finally:
            self._is_queued = False
        self._turn_at_ms = self._timer()
        try:
            self._schedule.set_trial(self._trial_from())
            due = self._schedule.aim_poll(self._timer(), self._clock())
            self._polling_from = due.from_
            await self._run_scan(due, turn)
        finally:
            turn.release()
            self._polling_from = None

    async def _run_scan(self, due: DueScan, turn: Turn | None = None) -> None:
        is_poll = due.tier == "live"
        begun_ms, begun_at_ms = self._clock(), self._timer()
        pages = calls = 0

        def observe(error: CloudWatchError | None) -> None:
            nonlocal pages, calls
            calls += 1
            pages += error is None
            record = self._record_poll_attempt if is_poll else self._record_scan_attempt
            record(error)

        try:
            count = await self._scanner.scan(
                due.kind,
                due.from_,
                due.through,
                priority=Priority.POLL if is_poll else Priority.SCAN,
                turn=turn,
                observer=observe,
                is_one_page=due.is_trial,
            )
        except (CloudWatchError, JournalFullError) as error:
            calls_ms = self._cloudwatch.reads.part_ms(calls)
            self._schedule.fail(due.tier, self._timer(), calls_ms=calls_ms)
            if isinstance(error, JournalFullError):
                self._report_problem(error)
            elif is_poll:
                self._record_poll_failure(error)
        else:
            if is_poll and self._may_try:
                self._may_try = False
                self._demand_changed.set()  # the backfill has left the history to this poll
            if count is None:  # there is too much for one page, and the present must not wait
                self._schedule.give_up_poll(self._timer())
                return
            proved = self._group.complete_through(due.from_) is not None
            calls_ms = self._cloudwatch.reads.part_ms(calls)
            self._schedule.finish(due.tier, self._timer(), proved=proved, calls_ms=calls_ms)
            if is_poll:
                self._record_poll(begun_ms, begun_at_ms)
            if due.is_extended:
                self._room.note_poll(pages, self._timer())
            self._maintenance.note_scan()
        finally:
            self._schedule_changed.set()

    async def _backfill(self) -> None:
        """Fetch the requested history, window by window."""
        backoff = Backoff(RETRY_FIRST_MS, RETRY_MAX_MS, self._random)
        await self._maintenance.settings_tried.wait()
        while True:
            window = self._next_window()
            if window is None:
                await wait_and_clear(self._demand_changed, IDLE_WAIT_S)
                continue
            from_, through = window
            try:
                events = await self._scanner.scan(
                    "backfill",
                    from_,
                    through,
                    priority=Priority.BACKFILL,
                    observer=self._record_scan_attempt,
                    is_needed=partial(self._demand.reaches, through),
                )
            except CloudWatchError as error:
                _LOG.debug("%s: a backfill broke off: %s", self._group.name, error)
                await wait_and_clear(self._demand_changed, backoff.count_failure() / 1000)
                continue
            backoff.reset()
            if events is not None:
                self._demand.record_window(events)
                self._maintenance.note_scan()

    def _trial_from(self) -> int | None:
        """Where the first poll of a new log group begins to read the history, too; None: nowhere.

        Most log groups are small: one call for each is all that their first screen needs.
        """
        since = self._demand.earliest_since
        if not self._may_try or since is None or not self._maintenance.settings_tried.is_set():
            return None
        now_ms, settings = self._clock(), self._settings
        age_ms = now_ms - (now_ms if settings.created_ms is None else settings.created_ms)
        age_ms = min(age_ms, self._group.retention_ms or age_ms)
        return since if self._room.may_fit(now_ms - since, settings.stored_bytes, age_ms) else None

    def _next_window(self) -> Range | None:
        through, polling_from = self._backfill_end(), self._polling_from
        if (trial_from := self._trial_from()) is not None:
            polling_from = trial_from
        if polling_from is not None:
            # The running poll reads this range already.
            through = min(through, polling_from - 1)
        return self._demand.next_window(
            self._group.coverage, through, self._maintenance.earliest_event_ms()
        )

    def _backfill_end(self) -> int:
        """End of the history that backfill fetches: the last poll, or now if the clock was set."""
        now_ms = self._clock()
        return now_ms if self._polled_ms is None else min(self._polled_ms, now_ms)

    # Results

    def _record_poll_attempt(self, error: CloudWatchError | None) -> None:
        self._upstream.record_poll_attempt(error, self._timer())
        self._record_attempt(error)

    def _record_scan_attempt(self, error: CloudWatchError | None) -> None:
        self._upstream.record_scan_attempt(error, self._timer())
        self._record_attempt(error)

    def _record_attempt(self, error: CloudWatchError | None) -> None:
        if isinstance(error, ThrottledError):
            self._schedule.record_throttling(self._timer())
        self._report_upstream()

    def _record_poll(self, begun_ms: int, begun_at_ms: int) -> None:
        self._polled_ms = begun_ms
        self._upstream.record_poll(begun_ms, begun_at_ms)
        if self._outage.record_poll(begun_ms, begun_at_ms) and self._outage_gap is not None:
            self._outage_gap = None
            _LOG.warning("%s: CloudWatch Logs can be read again", self._group.name)
        if self._is_full:
            self._is_full = False
            _LOG.warning("%s: the journal can be written again", self._group.name)
        self.problem = None
        self._report_upstream()

    def _record_poll_failure(self, error: ForwarderError) -> None:
        self._upstream.record_poll_attempt(error, self._timer())
        self._report_problem(error)
        self._report_upstream()

    def _record_late_events(self, rows: list[Row]) -> None:
        now_ms, at_ms = self._clock(), self._timer()
        for row in rows:
            self._upstream.record_late_event(row.timestamp, row.ingestion_time, now_ms, at_ms)

    def _report_problem(self, error: ForwarderError) -> None:
        self._is_full = isinstance(error, JournalFullError)
        if self.problem != str(error):
            _LOG.warning("%s: %s (trying again)", self._group.name, error)
            self.problem = str(error)
            self._on_progress()

    def _report_upstream(self) -> None:
        upstream = self.upstream
        if (upstream.state, upstream.code) != self._upstream_reported:
            _LOG.info("%s: CloudWatch Logs is %s", self._group.name, upstream.code or "ok")
            self._upstream_reported = upstream.state, upstream.code
            self._on_progress()

    def _note_demand(self) -> None:
        self._schedule_changed.set()
        self._demand_changed.set()


def _make_watch(config: Config, at_ms: int) -> UpstreamWatch:
    return UpstreamWatch(at_ms, config.poll_ms, config.overlap_ms, config.allowance_ms)


def _make_schedule(
    config: Config, room: PageRoom, at_ms: int, now_ms: int, covered_ms: int | None
) -> ScanSchedule:
    return ScanSchedule(
        at_ms,
        now_ms,
        covered_ms,
        poll_ms=config.poll_ms,
        overlap_ms=config.overlap_ms,
        fits=room.fits,
    )


def _first(group: BaseExceptionGroup[ForwarderError]) -> ForwarderError:
    error: ForwarderError | BaseExceptionGroup[ForwarderError] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
