"""The journals of log groups that this forwarder owns: takes, renews and hands over their leases.

Only the owner of a log group reads it from CloudWatch. The other forwarders keep their views warm,
so that they take over within a second of the lease's end. All calls on a lease block the event
loop, which has no viewers: ``serve`` is a process of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from forwarder.cluster import presence
from forwarder.cluster import wants as coding
from forwarder.cluster.catching_up import catch_up
from forwarder.cluster.engine import EngineMaker, EngineThread
from forwarder.cluster.log import PRESENCE, Lease, Log, NotAllowedError
from forwarder.cluster.presence import Presence
from forwarder.cluster.replicated import ReplicatedJournal
from forwarder.cluster.status import Report
from forwarder.cluster.view import View
from forwarder.cluster.wants import BodiesWant, Wants
from forwarder.delivery.hub import Hub
from forwarder.errors import ForwarderError, JournalError, JournalFullError, NotOwnedError
from forwarder.groups.journals import file_bytes, journal_name
from forwarder.groups.keeper import Keeper
from forwarder.journal.contract import Journal
from forwarder.reconcile.demand import BackfillRequest
from forwarder.records import FeedKey

_LOG: Final = logging.getLogger("gapless.forwarder")

LEASE_MS: Final = 10_000
"""Time without a renewal after which another forwarder takes over; an unanswered call to the engine
takes half of it."""

RENEW_S: Final = 1.0
"""Interval between renewals, hence between statuses."""

PRESENCE_MS: Final = 6_000
"""How long a forwarder counts as alive without a word; less than a lease, so that the shares are
right when a dead forwarder's leases expire."""

REST_S: Final = 5.0
"""How long a log group beyond the own share is left to others."""

REBALANCE_S: Final = 20.0
"""How long a forwarder has more than its share before it hands over one log group; each costs its
viewers a reconnection."""

REFETCH_MS: Final = 30_000
"""Time limit of one attempt to fetch removed bodies again."""

OWNED: Final = "another forwarder reads it: this one takes over if that fails"
LEFT: Final = "it is left to another forwarder for a few seconds: this one has its share"
HANDED_OVER: Final = "the log group is handed over to another forwarder"


def share_of(groups: int, forwarders: int) -> int:
    """Most log groups that one forwarder may own, given the number of forwarders."""
    return -(-groups // max(1, forwarders))


class Shares:
    """Decides which log groups to take, and when to hand one over. Pure; times in seconds."""

    def __init__(self) -> None:
        self._free_from_s: dict[FeedKey, float] = {}
        self._surplus_from_s: float | None = None

    def may_take(self, key: FeedKey, owned: int, share: int, now_s: float) -> bool:
        """Whether a log group may be taken now: within the share, or left by others for a while."""
        since_s = self._free_from_s.setdefault(key, now_s)
        return owned < share or now_s - since_s >= REST_S

    def note_owned(self, key: FeedKey) -> None:
        """Note that somebody owns a log group, maybe this forwarder."""
        self._free_from_s.pop(key, None)

    def has_surplus(self, owned: int, share: int, now_s: float) -> bool:
        """Whether it is time to hand over a log group; call it regularly."""
        if owned <= share:
            self._surplus_from_s = None
        elif self._surplus_from_s is None:
            self._surplus_from_s = now_s
        elif now_s - self._surplus_from_s >= REBALANCE_S:
            self._surplus_from_s = None
            return True
        return False


class _Owned(msgspec.Struct):
    """A log group whose lease this forwarder holds."""

    journal: ReplicatedJournal
    lease: Lease
    report: Report = Report()
    may_trim: bool = True
    requested: set[tuple[str, BackfillRequest]] = set()
    refetching: dict[BodiesWant, asyncio.Task[bool]] = {}


class LeasedJournals:
    """The journals of all log groups that this forwarder owns, or may come to own."""

    def __init__(
        self,
        folder: Path,
        boot: str,
        make_engine: EngineMaker,
        *,
        wanted: Callable[[], int],
        clock: Callable[[], int],
        timer: Callable[[], int],
        random: Callable[[], float],
    ) -> None:
        """Own nothing yet.

        Args:
            folder: where the views are kept.
            boot: identity of this run of the machine, see ``boot_id``.
            make_engine: makes a connection.
            wanted: returns the number of log groups that are to be read.
            clock: ms since the Unix epoch, as the feeds'.
            timer: monotonic clock, ms.
            random: returns numbers from 0 to 1.
        """
        self._folder = folder
        self._boot = boot
        self._engine = make_engine()
        self._wanted = wanted
        self._clock = clock
        self._timer = timer
        self._random = random
        self._reading = EngineThread(make_engine())
        self._logs: dict[FeedKey, Log] = {}
        self._standby_logs: dict[FeedKey, Log] = {}
        self._views: dict[FeedKey, View] = {}
        self._owned: dict[FeedKey, _Owned] = {}
        self._shares = Shares()
        self._alive = 1
        self.wanted_feeds: set[FeedKey] = set()
        """Feeds with a filter pattern that viewers of some server want."""

    @property
    def owned(self) -> int:
        """The number of log groups whose lease this forwarder holds."""
        return len(self._owned)

    # As the feeds' journals

    def exists(self, key: FeedKey) -> bool:
        """Whether there may be events of earlier runs, of whichever forwarder."""
        return self._log(key).head().position > 0

    async def prepare(self, key: FeedKey) -> None:
        """Let the view catch up before the lease is taken, and decide whether to take it.

        Raises:
            NotOwnedError: The log group is left to others for now.
            JournalError: The log or the view can't be used.
        """
        view = self._views.get(key)
        if view is None:
            path = self._folder / journal_name(key)
            view = self._views[key] = View(path, key.group, key.pattern, boot=self._boot)
        engine = self._reading.engine
        log = self._standby_logs.setdefault(key, engine.log(key.group, key.pattern))
        await catch_up(view, log, self._reading)
        share = share_of(self._wanted(), self._alive)
        if not self._shares.may_take(key, self.owned, share, self._timer() / 1000):
            msg = f"{key.group}: {LEFT}"
            raise NotOwnedError(msg)

    def open(self, key: FeedKey) -> Journal:
        """Take the lease and begin an epoch; ``prepare`` comes first.

        Raises:
            NotOwnedError: Another forwarder has the lease.
            JournalError: The log or the view can't be used.
        """
        log, view = self._log(key), self._views[key]
        lease = log.acquire(LEASE_MS)
        if lease is None:
            self._shares.note_owned(key)
            msg = f"{key.group}: {OWNED}"
            raise NotOwnedError(msg)
        try:
            journal = ReplicatedJournal.take_over(
                log, lease, view, timer=self._timer, random=self._random
            )
        except BaseException:
            self._release(key, lease)
            raise
        self._shares.note_owned(key)
        self._owned[key] = _Owned(journal, lease)
        return journal

    def close(self, key: FeedKey) -> None:
        """Publish the last status, and hand the lease over. The view is kept for a takeover."""
        owned = self._owned.pop(key, None)
        if owned is None:
            return
        for task in owned.refetching.values():
            task.cancel()
        if owned.journal.failure is None:
            try:
                owned.journal.renew(owned.report)
            except JournalError as error:
                _LOG.info("%s: the last status was not published: %s", key.group, error)
        self._release(key, owned.lease)

    def _release(self, key: FeedKey, lease: Lease) -> None:
        try:
            self._log(key).release(lease)
        except JournalError as error:
            _LOG.info("%s: the lease was not handed over: %s", key.group, error)

    def close_all(self) -> None:
        """Hand over all leases, and close all views and connections."""
        for key in list(self._owned):
            self.close(key)
        for view in self._views.values():
            view.close()
        self._views.clear()
        try:
            # Others need not wait until this forwarder is taken for dead.
            self._engine.log(PRESENCE).want(
                self._engine.name, presence.encode(Presence("ingest")), 0
            )
        except JournalError:
            _LOG.debug("the end of this forwarder was not announced")
        self._engine.close()
        self._reading.close()

    def size_bytes(self, key: FeedKey) -> int:
        """Size of a view on disk."""
        return file_bytes(self._folder / journal_name(key))

    def _log(self, key: FeedKey) -> Log:
        return self._logs.setdefault(key, self._engine.log(key.group, key.pattern))

    # Renewals

    def announce(self) -> None:
        """Say that this forwarder is alive, and count those that are.

        Raises:
            JournalError: The engine can't be used.
        """
        log = self._engine.log(PRESENCE)
        log.want(self._engine.name, presence.encode(Presence("ingest")), PRESENCE_MS)
        alive = presence.decode(log.wants())
        self._alive = presence.count_ingesting(alive)
        self.wanted_feeds = presence.feeds_of(alive)

    def renew(self, key: FeedKey, hub: Hub) -> None:
        """Renew a lease, publish the status, and pass the servers' wants on to the feed.

        A part of what nobody needs is removed from the log: a bounded one, since the loop waits.

        Raises:
            JournalFullError: The engine can't be used now; the lease is not lost by that.
            JournalError: The lease is lost: close the feed.
        """
        owned = self._owned.get(key)
        if owned is None:
            return
        owned.report = report_of(hub)
        owned.journal.renew(owned.report)
        if owned.may_trim:
            self._trim(owned, hub)
        wants = {name: coding.decode(one) for name, one in self._log(key).wants().items()}
        self._pass_history(owned, hub, wants)
        self._pass_bodies(owned, hub, {one for its in wants.values() for one in its.bodies})

    @staticmethod
    def _trim(owned: _Owned, hub: Hub) -> None:
        before = owned.journal.trimmed
        try:
            owned.journal.trim()
        except NotAllowedError as error:
            owned.may_trim = False
            _LOG.warning("%s", error)
        hub.counts.trimmed += owned.journal.trimmed - before

    @staticmethod
    def _pass_history(owned: _Owned, hub: Hub, wants: dict[str, Wants]) -> None:
        now = {
            (name, BackfillRequest(one.since, one.history, one.executions, one.is_pending))
            for name, its in wants.items()
            for one in its.history
        }
        for one in now - owned.requested:
            hub.feed.request_backfill(one, one[1])
        for one in owned.requested - now:
            hub.feed.withdraw_backfill(one)
        owned.requested = now

    def _pass_bodies(self, owned: _Owned, hub: Hub, wanted: set[BodiesWant]) -> None:
        running = {one: task for one, task in owned.refetching.items() if not task.done()}
        for one in wanted - running.keys():
            running[one] = asyncio.create_task(_refetch(hub, one, self._clock() + REFETCH_MS))
        owned.refetching = running

    def surplus(self) -> bool:
        """Whether it is time to hand over a log group to another forwarder."""
        share = share_of(self._wanted(), self._alive)
        return self._shares.has_surplus(self.owned, share, self._timer() / 1000)


async def _refetch(hub: Hub, want: BodiesWant, deadline_ms: int) -> bool:
    """Fetch bodies again; a failure shows in the feed as it does everywhere else."""
    try:
        return await hub.feed.refetch(want.from_, want.through, deadline_ms)
    except ForwarderError as error:
        _LOG.info("%s: bodies were not fetched again: %s", hub.group.name, error)
        return False


def report_of(hub: Hub) -> Report:
    """What followers of a log group need besides its journal."""
    return Report(
        proved=tuple(hub.marks),
        altered=tuple(hub.group.alterations.texts()),
        upstream=hub.feed.upstream,
        is_ready=hub.feed.is_ready,
        allowance_ms=hub.group.allowance_ms,
    )


class Renewals:
    """The job that renews all leases, and hands log groups over."""

    def __init__(self, journals: LeasedJournals, keeper: Keeper) -> None:
        """Create the job for the leases of a keeper's feeds."""
        self._journals = journals
        self._keeper = keeper
        self._is_away = False

    async def run(self) -> None:
        """Renew until cancelled."""
        while True:
            try:
                await self._renew_all()
            except JournalFullError as error:
                # The other leases would only wait for the same engine, and block the loop.
                if not self._is_away:
                    _LOG.warning("%s (trying again)", error)
                self._is_away = True
            else:
                self._is_away = False
            await asyncio.sleep(RENEW_S)

    async def _renew_all(self) -> None:
        self._journals.announce()
        self._pin_patterns()
        for key, hub in list(self._keeper.hubs.items()):
            try:
                self._journals.renew(key, hub)
            except JournalFullError:
                raise
            except JournalError as error:
                self._keeper.fail(hub, error)
            await asyncio.sleep(0)
        if self._journals.surplus():
            key, hub = list(self._keeper.hubs.items())[-1]
            self._keeper.fail(hub, NotOwnedError(f"{key.group}: {HANDED_OVER}"))

    def _pin_patterns(self) -> None:
        """Read what viewers want with a filter pattern, of the log groups that are read here."""
        keeper, wanted = self._keeper, self._journals.wanted_feeds
        pinned = set(keeper.pinned)
        for key in wanted - pinned:
            if key.pattern and FeedKey(key.group) in pinned:
                keeper.pin(key)
        for key in pinned - wanted:
            if key.pattern:
                keeper.unpin(key)
