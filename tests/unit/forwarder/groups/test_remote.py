"""A feed in another process: how far its owner's status is believed, and what it is asked for."""

from __future__ import annotations

from forwarder.cluster import wants
from forwarder.cluster.log import StoredStatus
from forwarder.cluster.status import Report
from forwarder.cluster.wants import BodiesWant, HistoryWant
from forwarder.groups import remote
from forwarder.groups.remote import STALE_MS, UNREADY_MS, Freshness, RemoteFeed
from forwarder.reconcile.demand import BackfillRequest
from tests.support.forwarder.memory_journal import MemoryJournal
from wire.messages import Upstream

THROTTLED = Upstream("throttled", 300, "throttled", "slow down")


class Clocks:
    """A wall clock and a monotonic one, which tests move."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def stored(age_ms: int) -> StoredStatus:
    return StoredStatus(1, b"x", written_ms=50_000 - age_ms, now_ms=50_000)


def feed(freshness: Freshness, clock: Clocks) -> RemoteFeed:
    return RemoteFeed(MemoryJournal("/g"), freshness, clock=clock, timer=clock)


def test_nothing_is_known_before_the_first_status() -> None:
    clock, fresh = Clocks(), Freshness()
    one = feed(fresh, clock)
    assert one.upstream == Upstream("delayed", 0, "delayed", remote.STARTING)
    assert not one.is_ready
    assert fresh.age_ms(clock()) == 0


def test_a_fresh_status_is_passed_on_with_its_age() -> None:
    clock, fresh = Clocks(), Freshness()
    fresh.note(stored(400), Report(upstream=THROTTLED, is_ready=True), clock())
    clock.now_ms += 100
    one = feed(fresh, clock)
    assert one.upstream == Upstream("throttled", 800, "throttled", "slow down")
    assert one.is_ready


def test_an_owner_that_is_silent_is_a_delay_and_later_unready() -> None:
    clock, fresh = Clocks(), Freshness()
    fresh.note(stored(0), Report(is_ready=True), clock())
    one = feed(fresh, clock)
    clock.now_ms += STALE_MS + 1
    fresh.note(stored(0), None, clock())  # the engine answers, with nothing newer
    assert one.upstream == Upstream("delayed", STALE_MS + 1, "delayed", remote.NO_OWNER)
    assert one.is_ready
    clock.now_ms += UNREADY_MS
    assert not one.is_ready


def test_an_engine_that_is_away_is_named() -> None:
    clock, fresh = Clocks(), Freshness()
    fresh.note(stored(0), Report(is_ready=True), clock())
    clock.now_ms += STALE_MS + 1
    assert feed(fresh, clock).upstream.reason == remote.UNREACHABLE


def test_a_view_that_lags_is_not_ready() -> None:
    clock, fresh = Clocks(), Freshness()
    fresh.note(stored(0), Report(is_ready=True), clock())
    one = feed(fresh, clock)
    one.is_caught_up = False
    assert not one.is_ready
    assert one.problem == remote.BEHIND


async def test_wants_join_equal_requests_and_drop_expired_ones() -> None:
    clock = Clocks()
    one = feed(Freshness(), clock)
    one.request_backfill(1, BackfillRequest(5, executions=("half \udcff",)))
    one.request_backfill(2, BackfillRequest(5, executions=("half \udcff",)))
    one.request_backfill("poll", BackfillRequest(7, expires_ms=clock() + 1))
    assert one.changed.is_set()
    first = HistoryWant(5, executions=("half \udcff",))
    assert wants.decode(one.wants(9)).history == (first, HistoryWant(7))
    clock.now_ms += 1
    one.withdraw_backfill(1)
    found = wants.decode(one.wants(9))
    assert (found.position, found.history, found.bodies) == (9, (first,), ())


async def test_bodies_that_are_there_are_not_asked_for() -> None:
    one = feed(Freshness(), Clocks())
    assert await one.refetch(1, 2, 0)
    assert wants.decode(one.wants(0)).bodies == ()


def test_bodies_wants_are_kept_in_order() -> None:
    given = wants.Wants(3, (), (BodiesWant(1, 2), BodiesWant(1, 3)))
    assert wants.decode(wants.encode(given)) == given
