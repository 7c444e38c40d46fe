"""A forwarder in virtual time: the real pure cores, and the actions of their shells.

Scans take a page at a time and can fail, bodies are fetched again as in the real shell, and the log
streams of suspected gaps are checked. The world chooses which part acts next.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from forwarder.delivery.hub import ConnectedViewer, Hub
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.ingest.scan import Scan, ScanKind
from forwarder.reconcile.demand import BackfillDemand, BackfillRequest
from forwarder.reconcile.page_room import PageRoom
from forwarder.reconcile.schedule import DueScan, ScanSchedule, TierName
from tests.simulation.cloudwatch import CloudWatch, Place
from tests.simulation.judge import FaultError, Kind
from tests.simulation.lies import Lies
from tests.simulation.link import Link
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.messages import Events, Upstream
from wire.query import TailQuery

if TYPE_CHECKING:
    from forwarder.reconcile.feed import Feed

HEARTBEAT_MS = 2_000
BODIES_WAIT_MS = 5_000
LEARN_EVERY_MS = 60_000
"""Long enough that a retention setting may remove events long before it is read."""
CHECK_FIRST_MS, CHECK_MAX_MS = 500, 8_000
"""Pauses between checks of the log group's age while answers contradict the journal [17]."""
PAST_EVERY = 3
"""Live frames in a row that may precede a history frame [15]."""
LIFECYCLE = Lifecycle.pattern("DONE (?P<SUCCEEDED>ok)?(?P<FAILED>bad)?")


@dataclass(eq=False)
class ScanTask:
    """A running scan."""

    scan: Scan
    record: ScanRecord
    tier: TierName | None
    is_extended: bool = False
    pages: int = 0
    token: Place | None = None
    refetch: Refetch | None = None


@dataclass(eq=False)
class Refetch:
    """Bodies of a range that are being refetched; lost after two attempts."""

    from_: int
    through: int
    epoch: str
    ids: set[str] = field(default_factory=set)
    tries: int = 0


@dataclass(eq=False)
class Connection:
    """A viewer's connection on the forwarder's side."""

    link: Link
    served: ConnectedViewer
    opened_ms: int
    is_welcomed: bool = False
    live_run: int = 0
    """Live frames in a row while history waited."""


@dataclass(eq=False)
class ScanRecord:
    """What a scan returned, for comparison with marks."""

    from_: int
    through: int | None
    begun: int
    epoch: str
    generation: int
    known: dict[str, tuple[int, str]]
    """Timestamp and stream of the journal's ids at the start of the scan."""
    returned: set[str] = field(default_factory=set)
    ended: int | None = None
    """Time of the last page; None if the scan did not finish."""
    is_open: bool = True
    failed: bool | None = None
    """Whether it missed a known event that still exists; None if not yet checked."""

    @property
    def covered(self) -> int:
        """The last millisecond that a mark of this scan may cover."""
        return self.begun if self.through is None else min(self.through, self.begun)


class Forwarder:
    """One forwarder process from its start to SIGKILL; the journal persists."""

    problem: str | None = None

    def __init__(
        self,
        journal: MemoryJournal,
        cloudwatch: CloudWatch,
        records: list[ScanRecord],
        lost: set[str],
        now: int,
        lies: Lies | None = None,
    ) -> None:
        """Start with a new epoch, as the command does.

        ``records`` collects scans; ``lost`` collects ids of rows that were ever declared lost,
        some of which may be found later.
        """
        self.journal, self.cloudwatch, self.lies = journal, cloudwatch, lies
        journal.begin_epoch()
        self.group = LogGroup(journal, allowance_max_ms=8_000, lifecycle=LIFECYCLE)
        self.hub = Hub(self.group, cast("Feed", self), heartbeat_ms=HEARTBEAT_MS)
        self.room = PageRoom(self.group)
        self.schedule = ScanSchedule(now, now, self.group.coverage.end, fits=self.room.fits)
        self.demand = BackfillDemand()
        self.tasks: list[ScanTask] = []
        self.refetches: list[Refetch] = []
        self.connections: dict[int, Connection] = {}
        self.records = records
        self.retain_ms: int | None = None
        self.lost = lost
        self.polled_ms: int | None = None
        self._learn_at = now
        self._suspects: set[str] = set()
        self._is_conflicted = False
        self._check_at = now
        self._pause_ms = CHECK_FIRST_MS
        self.group.is_recreated(cloudwatch.created_at)

    # HistoryFeed

    @property
    def upstream(self) -> Upstream:
        """Always ok."""
        return Upstream("ok", 0)

    @property
    def is_ready(self) -> bool:
        """Whether a poll has finished."""
        return self.polled_ms is not None

    def request_backfill(self, viewer: Hashable, request: BackfillRequest) -> None:
        """Add or replace a viewer's request."""
        self.demand.request(viewer, request)

    def withdraw_backfill(self, viewer: Hashable) -> None:
        """Remove a viewer's request."""
        self.demand.withdraw(viewer)

    async def refetch(self, from_: int, through: int, deadline_ms: int) -> bool:
        """Not used: the simulation fetches bodies by ``fetch_bodies``."""
        raise AssertionError((from_, through, deadline_ms))

    # Viewers

    def connect(self, link: Link, query: TailQuery, now: int) -> None:
        """A viewer's upgrade arrives."""
        served = self.hub.open(query, now, wake=lambda: None)
        self.connections[link.number] = Connection(link, served, now)

    def disconnect(self, number: int) -> None:
        """A connection is closed."""
        connection = self.connections.pop(number, None)
        if connection is not None:
            self.hub.close(connection.served)

    def send(self, connection: Connection, now: int, frames: int) -> None:
        """Let one session send, as long as the link takes it."""
        session, link = connection.served.session, connection.link
        for _ in range(frames):
            if not link.has_room:
                break
            span = session.missing_bodies
            if span is not None:
                self.fetch_bodies(*span)
                if not connection.is_welcomed and now - connection.opened_ms < BODIES_WAIT_MS:
                    break
            past = session.backfill.intervals.next_interval if connection.is_welcomed else None
            message = session.next(now)
            if message is None:
                self.hub.release_history(connection.served)
                break
            connection.is_welcomed = True
            is_live = isinstance(message, Events) and message.seq > message.after
            is_neutral = isinstance(message, Events) and not is_live
            waits = past is not None and session.lanes.missing_bodies.get("history") is None
            if not waits or is_neutral or session.backfill.intervals.next_interval != past:
                connection.live_run = 0
            elif isinstance(message, Events) and message.items:
                connection.live_run += 1
                if connection.live_run > PAST_EVERY:
                    what = f"history got none of {connection.live_run} frames"
                    raise FaultError(Kind.STARVED, what)
            link.down.append(message)
        if session.is_over:
            link.close_code = session.close_code
            self.disconnect(link.number)

    # Scans

    def begin_due(self, now: int) -> None:
        """Begin every scan that is due."""
        self.demand.expire(now)
        self.schedule.set_since(self.demand.earliest_since, now)
        self.schedule.set_drain_range(self.group.drain_range(now, self.demand.executions))
        self.schedule.set_covered_from(self.group.covered_from(now))
        self.schedule.set_allowance(self.group.allowance_ms)
        for due in self.schedule.due(now, now):
            self.schedule.start(due, now, now)
            self._begin(due.kind, due.from_, due.through, now, due)
        if not any(task.scan.kind == "backfill" and not task.refetch for task in self.tasks):
            through = now if self.polled_ms is None else self.polled_ms
            polling = [task.scan.from_ for task in self.tasks if task.tier == "live"]
            window = self.demand.next_window(
                self.group.coverage, polling[0] - 1 if polling else through, 0
            )
            if window is not None:
                self._begin("backfill", *window, now)
        for refetch in self.refetches:
            if not any(task.refetch is refetch for task in self.tasks):
                self._refetch(refetch, now)
                break

    def _begin(
        self,
        kind: ScanKind,
        from_: int,
        through: int | None,
        now: int,
        due: DueScan | None = None,
        *,
        refetch: Refetch | None = None,
    ) -> None:
        rows = self.journal.read_after(0, 1_000_000)
        known = {row.id: (row.timestamp, row.stream) for row in rows}
        generation = self.cloudwatch.generation
        record = ScanRecord(from_, through, now, self.group.epoch, generation, known)
        self.records.append(record)
        scan = self.group.begin_scan(kind, from_, through, now)
        tier, is_extended = (None, False) if due is None else (due.tier, due.is_extended)
        self.tasks.append(ScanTask(scan, record, tier, is_extended, refetch=refetch))

    def page(self, task: ScanTask, now: int, limit: int) -> None:
        """One page of a scan, and its end if that was the last."""
        scan = task.scan
        task.pages += 1
        if self.lies is None:
            span = scan.from_, scan.through
            events, task.token = self.cloudwatch.page(*span, task.token, limit, now)
            task.record.returned.update(event.id for event in events)
        else:
            held = {row.id for row in self.journal.read_after(0, 1_000_000)}
            events, task.token, true, is_resumed = self.lies.page(
                (task.record.epoch, scan.number),
                scan.from_,
                scan.through,
                task.token,
                limit,
                now,
                held,
            )
            scan.is_resumed |= is_resumed
            task.record.returned.update(true)
        self.room.note_page(events)
        self._is_conflicted |= scan.take_page(events).held > 0
        if task.token is None:
            task.record.ended = now
            self._finish(task, now)
        self.hub.progress()

    def throttled(self, now: int) -> None:
        """A page was throttled; it is requested again."""
        self.schedule.record_throttling(now)

    def _finish(self, task: ScanTask, now: int) -> None:
        self.tasks.remove(task)
        record = task.record
        record.is_open = False
        # Rows already declared lost do not count as missed.
        unseen = self.journal.find([one for one in record.known if one not in record.returned])
        for one, row in unseen.items():
            if row.is_lost:
                del record.known[one]
        if self.group.is_first_old_scan(task.scan, now):
            self._learn(now)
            task.scan.is_settled = True
        self.group.finish_scan(task.scan, now)
        if self.group.lacks_old(now):
            self._learn_at = min(self._learn_at, now)
        if task.tier is not None:
            self.schedule.finish(task.tier, now)
        if task.refetch is not None and not task.scan.is_conclusive:
            task.refetch.tries -= 1
        if task.is_extended:
            self.room.note_poll(task.pages, now)
        if task.tier == "live":
            self.polled_ms = task.scan.begun_ms
        if task.scan.kind == "backfill" and task.refetch is None:
            self.demand.record_window(len(task.record.returned))
        self._suspects |= self.group.take_suspect_streams()

    def break_off(self, task: ScanTask, now: int) -> None:
        """A scan fails in the middle."""
        self.tasks.remove(task)
        task.record.is_open = False
        self.group.abandon_scan(task.scan)
        if task.tier is not None:
            self.schedule.fail(task.tier, now)
        self.hub.progress()

    # Maintenance

    def _learn(self, now: int) -> None:
        """Learn the log group's retention setting."""
        self._learn_at = now + LEARN_EVERY_MS
        self.group.learn_settings(self.cloudwatch.retention_ms, 0)

    def check_streams(self, now: int) -> None:
        """Check whether suspected log streams exist and have not been recreated.

        Also reads the retention setting at intervals.
        """
        if now >= self._learn_at:
            self._learn(now)
        if now >= self._check_at:
            self._check_age(now)
        for stream in sorted(self._suspects):
            created = self.cloudwatch.created.get(stream)
            if created is None or self.group.lacks_older(created, stream):
                self.group.mark_stream_deleted(stream)
        self._suspects.clear()

    def _check_age(self, now: int) -> None:
        """Ask for the log group's age, as the real shell, if an answer contradicts the journal."""
        if not self._is_conflicted:
            self._pause_ms = CHECK_FIRST_MS
            return
        self._is_conflicted = False
        self._check_at = now + self._pause_ms
        self._pause_ms = min(2 * self._pause_ms, CHECK_MAX_MS)
        if self.group.is_recreated(self.cloudwatch.created_at):
            self.group.begin_chain(RECREATED)
            self.hub.progress()

    def retain(self, now: int) -> None:
        """Remove bodies that are too old and that no connected viewer needs."""
        if self.retain_ms is not None and not self.refetches:
            oldest = self.demand.earliest_pending_since
            before = now - self.retain_ms
            self.group.retain(before=before if oldest is None else min(before, oldest))

    def fetch_bodies(self, from_: int, through: int) -> None:
        """Start to refetch the bodies of a range."""
        rows = self.journal.bodiless(from_, through, 10_000)
        if rows and not any(
            one.from_ <= from_ and through <= one.through for one in self.refetches
        ):
            ids = {row.id for row in rows}
            self.refetches.append(Refetch(from_, through, self.group.epoch, ids))

    def _refetch(self, refetch: Refetch, now: int) -> None:
        rows = self.journal.bodiless(refetch.from_, refetch.through, 10_000)
        rows = [row for row in rows if row.id in refetch.ids]
        if refetch.epoch != self.group.epoch or not rows:
            self.refetches.remove(refetch)
        elif refetch.tries < 2:
            refetch.tries += 1
            low = min(row.timestamp for row in rows)
            high = max(row.timestamp for row in rows)
            self._begin("backfill", low, high, now, refetch=refetch)
        else:
            self.refetches.remove(refetch)
            for row in rows:
                deleted = row.stream not in self.cloudwatch.created
                if deleted:
                    self.group.mark_stream_deleted(row.stream)
                self.journal.mark_lost([row.id], "deleted" if deleted else "gone")
                self.lost.add(row.id)
