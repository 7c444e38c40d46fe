from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarder.delivery import frames
from forwarder.delivery.hub import Hub
from forwarder.errors import RequestError
from forwarder.ingest.log_group import LogGroup
from forwarder.server import log_pages
from forwarder.server.log_pages import FETCHES_MAX, BodyRequest, LogsPageBuilder
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import NOW, event, events, log_group, scan
from wire.codec import decode_body
from wire.limits import LOGS_PAGE_BYTES_MAX
from wire.messages import LogsPage
from wire.query import Filter, LogsQuery


def page_of(hub: Hub, query: LogsQuery) -> tuple[LogsPage, int]:
    """A page and how often it let others go between."""
    steps = LogsPageBuilder(hub, query).body()
    pauses = 0
    try:
        while True:
            needed = next(steps)
            pauses += 1
            if isinstance(needed, BodyRequest):
                assert isinstance(hub.feed, FakeFeed)
                hub.feed.refetched.append((needed.from_, needed.through))
                hub.group.journal.restore(hub.feed.bodies)
    except StopIteration as done:
        raw: bytes = done.value
        assert set(json.loads(raw)) == {"epoch", "head_seq", "next", "complete_through", "items"}
        return decode_body(raw, LogsPage), pauses


def all_pages(hub: Hub, **query: Any) -> list[LogsPage]:  # noqa: ANN401 - the query's fields
    pages = [page_of(hub, LogsQuery(**query))[0]]
    while pages[-1].next is not None:
        pages.append(page_of(hub, LogsQuery(**query, next=pages[-1].next))[0])
    return pages


def ids(pages: list[LogsPage]) -> list[str]:
    return [item.id for page in pages for item in page.items]


def hub_of(group: LogGroup) -> Hub:
    return Hub(group, FakeFeed(group))


def test_all_pages_are_of_the_state_of_the_first() -> None:
    group = log_group(events(range(1, 26), lambda n: NOW - n))
    hub = hub_of(group)
    first, _ = page_of(hub, LogsQuery(limit=10))
    group.ingest([event(99, NOW - 3), event(98, NOW - 1_000)], "repair")
    second, _ = page_of(hub, LogsQuery(limit=10, next=first.next))
    third, _ = page_of(hub, LogsQuery(limit=10, next=second.next))
    assert ids([first, second, third]) == [str(number) for number in range(25, 0, -1)]
    assert {one.head_seq for one in (first, second, third)} == {25}
    assert third.next is None
    after, _ = page_of(hub, LogsQuery(epoch=first.epoch, after=first.head_seq))
    assert ids([after]) == ["99", "98"]


def test_a_page_that_is_just_full_is_the_last_one() -> None:
    hub = hub_of(log_group(events(range(1, 11), lambda n: NOW + n)))
    assert page_of(hub, LogsQuery(limit=10))[0].next is None
    assert page_of(hub, LogsQuery(limit=9))[0].next is not None
    epoch = hub.group.epoch
    assert page_of(hub, LogsQuery(limit=10, epoch=epoch, after=0))[0].next is None


def test_since_and_through_include_their_milliseconds() -> None:
    hub = hub_of(log_group(events(range(1, 11), lambda n: n)))
    assert ids(all_pages(hub, since=3, through=5)) == ["3", "4", "5"]
    assert ids(all_pages(hub, since=5, through=3)) == []
    assert ids(all_pages(hub, since=0, through=10)) == [str(number) for number in range(1, 11)]


def test_after_a_cursor_in_seq_order_up_to_a_seq() -> None:
    group = log_group(events(range(1, 11), lambda n: 1_000 - n))
    hub = hub_of(group)
    pages = all_pages(hub, epoch=group.epoch, after=2, until_seq=8, limit=4)
    assert [len(page.items) for page in pages] == [4, 2]
    assert ids(pages) == [str(number) for number in range(3, 9)]
    assert pages[-1].head_seq == 10
    assert ids(all_pages(hub, epoch=group.epoch, after=2, through=995)) == [
        str(number) for number in range(5, 11)
    ]


def test_after_a_cursor_late_events_come_as_over_a_websocket() -> None:
    group = log_group([event(1, 1_000)])
    group.ingest([event(2, 5)], "backfill")
    group.ingest([event(3, 5)], "repair")
    assert ids(all_pages(hub_of(group), epoch=group.epoch, after=0, since=900)) == ["1", "3"]


def test_the_filter_applies() -> None:
    group = log_group(
        events(range(1, 2_000), lambda n: n, "a"), events(range(2_000, 2_010), lambda n: n, "b")
    )
    pages = all_pages(hub_of(group), filter=Filter(streams=("b",)))
    assert ids(pages) == [str(number) for number in range(2_000, 2_010)]


@pytest.mark.parametrize("cursor", [{}, {"after": 0}])
def test_a_rare_stream_is_searched_over_several_pages(
    cursor: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "EXAMINED_ROWS_MAX", 100)
    monkeypatch.setattr(log_pages, "LONG_SLICES_MAX", 2)
    group = log_group(events(range(1, 5_000), lambda n: n, "a"), [event(5_000, 5_000, stream="b")])
    asked = {"epoch": group.epoch, **cursor} if cursor else {}
    pages = all_pages(hub_of(group), filter=Filter(streams=("b",)), **asked)
    assert ids(pages) == ["5000"]
    assert len(pages) > 2
    assert not pages[0].items


def test_a_large_page_yields_to_other_tasks() -> None:
    hub = hub_of(log_group(events(range(1, 10_500), lambda n: n)))
    page, pauses = page_of(hub, LogsQuery())
    assert len(page.items) == 10_000
    assert pauses >= 19


@pytest.mark.parametrize("text", ["x" * 300_000, "\x01" * 200_000, "\ud800" * 200_000])
def test_pages_keep_within_four_megabytes_and_a_larger_item_goes_alone(text: str) -> None:
    hub = hub_of(log_group([event(number, number, text) for number in range(1, 20)]))
    query: dict[str, Any] = {}
    seen: list[str] = []
    while True:
        steps = LogsPageBuilder(hub, LogsQuery(**query)).body()
        raw = b""
        try:
            while True:
                next(steps)
        except StopIteration as done:
            raw = done.value
        page = decode_body(raw, LogsPage)
        assert len(raw) <= LOGS_PAGE_BYTES_MAX or len(page.items) == 1
        assert page.items
        seen += [item.id for item in page.items]
        if page.next is None:
            break
        query = {"next": page.next}
    assert seen == [str(number) for number in range(1, 20)]


def test_bodies_are_fetched_again_first() -> None:
    group = log_group(events(range(1, 6), lambda n: n))
    group.journal.retire(before=3)
    feed = FakeFeed(group)
    feed.bodies = {"1": "line 1", "2": "line 2"}
    hub = Hub(group, feed)
    assert ids(all_pages(hub)) == ["1", "2", "3", "4", "5"]
    assert feed.refetched == [(1, 2)]


def test_missing_bodies_end_the_page_or_refuse_it() -> None:
    group = log_group(events(range(1, 6), lambda n: n))
    group.journal.retire(before=6)
    group.journal.restore({"1": "line 1"})
    hub = hub_of(group)
    page, _ = page_of(hub, LogsQuery())
    assert ids([page]) == ["1"]
    assert page.next is not None
    with pytest.raises(RequestError) as refused:
        page_of(hub, LogsQuery(next=page.next))
    assert refused.value.status == 503
    assert isinstance(hub.feed, FakeFeed)
    assert len(hub.feed.refetched) == FETCHES_MAX


def test_lost_rows_are_left_out() -> None:
    group = log_group(events(range(1, 6), lambda n: n))
    group.journal.retire(before=3)
    group.journal.mark_lost(["1", "2"], "gone")
    assert ids(all_pages(hub_of(group))) == ["3", "4", "5"]


def test_a_new_chain_between_two_slices_is_a_conflict() -> None:
    group = log_group(events(range(1, 2_000), lambda n: n))
    steps = LogsPageBuilder(hub_of(group), LogsQuery()).body()
    next(steps)
    group.begin_chain("made anew")
    with pytest.raises(RequestError) as refused:
        next(steps)
    assert (refused.value.status, refused.value.epoch) == (409, group.epoch)


def test_complete_through_is_that_of_the_first_page() -> None:
    group = log_group(events(range(1, 6), lambda n: NOW + n))
    known = events(range(1, 6), lambda n: NOW + n)
    scan(group, NOW, None, known, at=NOW + 5_000)
    hub = hub_of(group)
    first, _ = page_of(hub, LogsQuery(since=NOW, limit=3))
    scan(group, NOW, None, known, at=NOW + 9_000)
    second, _ = page_of(hub, LogsQuery(since=NOW, limit=3, next=first.next))
    assert first.complete_through == second.complete_through == NOW + 3_000
    earlier, _ = page_of(hub, LogsQuery(since=NOW, epoch=group.epoch, after=0, until_seq=4))
    assert earlier.complete_through is None


@given(
    stamps=st.lists(st.integers(0, 20), max_size=60),
    limit=st.integers(1, 7),
    since=st.integers(0, 20),
    by_seq=st.booleans(),
)
def test_pages_together_are_the_whole(
    stamps: list[int], limit: int, since: int, *, by_seq: bool
) -> None:
    group = log_group([event(number, at) for number, at in enumerate(stamps, 1)])
    cursor: dict[str, Any] = {"epoch": group.epoch, "after": 0} if by_seq else {"since": since}
    pages = all_pages(hub_of(group), limit=limit, **cursor)
    numbered = [(at, number) for number, at in enumerate(stamps, 1)]
    wanted = numbered if by_seq else sorted(one for one in numbered if one[0] >= since)
    assert ids(pages) == [str(number) for _, number in wanted]
