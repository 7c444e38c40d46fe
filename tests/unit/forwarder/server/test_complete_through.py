"""HTTP pages can't declare lost events, so ``complete_through`` stops short of them."""

from __future__ import annotations

from forwarder.delivery.hub import Hub
from forwarder.ingest.log_group import LogGroup
from forwarder.server.log_pages import LogsPageBuilder
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import NOW, events, log_group, scan
from wire.codec import decode_body
from wire.messages import LogsPage
from wire.query import Filter, LogsQuery


def complete_through(group: LogGroup, since: int, wanted: Filter = Filter()) -> int | None:  # noqa: B008 - frozen
    query = LogsQuery(since=since, limit=1, filter=wanted)
    steps = LogsPageBuilder(Hub(group, FakeFeed(group)), query).body()
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return decode_body(done.value, LogsPage).complete_through


def proved() -> LogGroup:
    known = events(range(1, 6), lambda n: NOW + n)
    group = log_group(known)
    scan(group, NOW, None, known, at=NOW + 5_000)
    return group


def test_what_is_lost_is_not_called_complete() -> None:
    group = proved()
    assert complete_through(group, NOW) == NOW + 3_000
    group.retain(before=NOW + 4)
    group.journal.mark_lost(["3"], "the log stream was deleted")
    group.journal.restore({"1": "again", "2": "again"})
    assert complete_through(group, NOW) == NOW + 2
    assert complete_through(group, NOW + 3) is None
    assert complete_through(group, NOW + 4) == NOW + 3_000
    assert complete_through(group, NOW, Filter(streams=("another",))) == NOW + 3_000


def test_an_unrecoverable_gap_is_not_called_complete() -> None:
    group = proved()
    group.declare_gap(NOW + 100, NOW + 200, "unrecoverable", "retention")
    group.declare_gap(NOW + 10, NOW + 20, "suspected", "restart")
    assert complete_through(group, NOW) == NOW + 99
    assert complete_through(group, NOW + 150) is None
    assert complete_through(group, NOW + 201) == NOW + 3_000
