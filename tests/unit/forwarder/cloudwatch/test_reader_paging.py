"""Which page a scan asks for next, whatever CloudWatch does with tokens, errors and order."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarder.cloudwatch.reader import (
    PAGE_ATTEMPTS_MAX,
    RESTARTS_MAX,
    THROTTLED_ATTEMPTS_MAX,
    PagedScan,
    RetryPolicy,
)
from forwarder.errors import (
    AccessDeniedError,
    CloudWatchError,
    PageTokenError,
    ScanStuckError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.records import LogEvent


def event(timestamp: int, number: int) -> LogEvent:
    return LogEvent(str(number), timestamp, timestamp + 1, "s", "m")


def walk(since: int = 0) -> PagedScan:
    return PagedScan(since, lambda: 0.5)


def asks(of: PagedScan) -> tuple[int, str | None]:
    return of.start, of.token


def test_empty_and_short_pages_with_a_token_go_on() -> None:
    scan = walk(7)
    assert asks(scan) == (7, None)
    assert scan.take_page([], "a") == []
    assert asks(scan) == (7, "a")
    assert not scan.is_done
    one = event(9, 1)
    assert scan.take_page([one], "b") == [one]
    assert asks(scan) == (7, "b")
    scan.take_page([], None)
    assert scan.is_done


def test_only_an_absent_token_ends_it() -> None:
    scan = walk()
    for number in range(1000):
        scan.take_page([], f"token {number}")
        assert not scan.is_done


@pytest.mark.parametrize("error", [PageTokenError("x"), TruncatedResponseError("x")])
def test_a_failed_token_is_replaced_by_the_last_timestamp_seen(error: CloudWatchError) -> None:
    scan = walk()
    events = [event(5, 1), event(8, 2), event(8, 3)]
    scan.take_page(events, "old")
    while scan.token is not None:
        scan.take_error(error)
    assert asks(scan) == (8, None)
    # Inclusive: of that millisecond only events that were not returned before are returned.
    assert scan.take_page([*events[1:], event(8, 4), event(9, 2)], None) == [
        event(8, 4),
        event(9, 2),
    ]
    assert scan.is_done


def test_a_repeated_token_is_given_up_too() -> None:
    scan = walk()
    scan.take_page([event(5, 1)], "a")
    scan.take_page([event(6, 2)], "b")
    scan.take_page([event(7, 3)], "a")
    assert asks(scan) == (7, None)


def test_before_any_event_it_begins_where_it_began() -> None:
    scan = walk(3)
    scan.take_page([], "a")
    scan.take_error(PageTokenError("x"))
    assert asks(scan) == (3, None)


def test_one_millisecond_larger_than_a_page_is_got_through() -> None:
    scan = walk()
    events = [event(5, number) for number in range(30)]
    assert scan.take_page(events[:10], "a") == events[:10]
    assert scan.take_page(events[10:20], "b") == events[10:20]
    scan.take_error(PageTokenError("x"))
    assert asks(scan) == (5, None)
    got = scan.take_page(events[:10], "c")
    got += scan.take_page(events[10:20], "d")
    got += scan.take_page(events[20:], None)
    assert got == events[20:]


def test_a_broken_order_restarts_at_the_beginning() -> None:
    scan = walk(1)
    scan.take_page([event(9, 1), event(5, 2)], "a")
    scan.take_error(PageTokenError("x"))
    assert asks(scan) == (1, None)


def test_pages_out_of_order_among_themselves_are_noticed() -> None:
    scan = walk(1)
    scan.take_page([event(9, 1)], "a")
    scan.take_page([event(5, 2)], "b")
    scan.take_error(PageTokenError("x"))
    assert asks(scan) == (1, None)


def test_restarts_are_capped() -> None:
    scan = walk()
    for _ in range(RESTARTS_MAX):
        scan.take_page([event(5, 1)], "a")
        scan.take_error(PageTokenError("x"))
    scan.take_page([event(5, 1)], "a")
    with pytest.raises(ScanStuckError):
        scan.take_error(PageTokenError("x"))


@pytest.mark.parametrize("times", [(1, 5), (5, 5), (5, 1)])
def test_an_endless_series_of_the_same_pages_ends_after_growing_waits(
    times: tuple[int, int],
) -> None:
    scan, waits = PagedScan(0, lambda: 1.0), []
    page = [event(at, number) for number, at in enumerate(times)]

    def read_for_ever() -> None:
        for _ in range(10 * RESTARTS_MAX):
            scan.take_page(page, "the same")
            waits.append(scan.wait_ms)

    with pytest.raises(ScanStuckError):
        read_for_ever()
    paused = [one for one in waits if one]
    assert RESTARTS_MAX <= len(paused) <= RESTARTS_MAX + 1
    assert paused == sorted(paused)
    assert paused[-1] > 10 * paused[0]
    assert scan.restart_count > 0, "it proves nothing"


def test_each_new_event_allows_new_restarts() -> None:
    scan = walk()
    for number in range(10 * RESTARTS_MAX):
        scan.take_page([event(number, number)], "a")
        scan.take_error(PageTokenError("x"))
    assert scan.start == 10 * RESTARTS_MAX - 1


def test_the_same_page_is_tried_a_few_times() -> None:
    scan = walk()
    scan.take_page([event(5, 1)], "a")
    for _ in range(PAGE_ATTEMPTS_MAX - 1):
        assert scan.take_error(TruncatedResponseError("x")) > 0
        assert scan.token == "a"
    scan.take_page([], "b")
    assert scan.take_error(TruncatedResponseError("x")) > 0
    assert scan.token == "b"


def test_a_first_page_that_never_comes_whole_fails_the_scan() -> None:
    scan = walk()
    for _ in range(PAGE_ATTEMPTS_MAX - 1):
        scan.take_error(TruncatedResponseError("x"))
    with pytest.raises(TruncatedResponseError):
        scan.take_error(TruncatedResponseError("x"))


def test_an_unreachable_endpoint_fails_the_scan_whatever_token_it_has() -> None:
    scan = walk()
    scan.take_page([event(5, 1)], "a")
    for _ in range(PAGE_ATTEMPTS_MAX - 1):
        scan.take_error(UnreachableError("x"))
    with pytest.raises(UnreachableError):
        scan.take_error(UnreachableError("x"))


def test_a_permanent_error_fails_at_once() -> None:
    with pytest.raises(AccessDeniedError):
        walk().take_error(AccessDeniedError("x"))


def test_throttling_is_retried_more_often_with_ever_longer_waits() -> None:
    patience = RetryPolicy(lambda: 1.0)
    waits = [patience.count_failure(ThrottledError("x")) for _ in range(THROTTLED_ATTEMPTS_MAX)]
    assert waits[-1] is None
    numbers = [one for one in waits if one is not None]
    assert len(numbers) == THROTTLED_ATTEMPTS_MAX - 1
    assert numbers == sorted(numbers)


class Pages:
    """A CloudWatch whose replies and failures a seed decides; pages are sorted by time."""

    def __init__(self, events: Sequence[LogEvent], chance: random.Random) -> None:
        self._events = sorted(events, key=lambda one: one.timestamp)
        self._chance = chance
        self._tokens: dict[str, tuple[int, int]] = {}

    def ask(self, start: int, token: str | None) -> tuple[list[LogEvent], str | None]:
        refused = PageTokenError if token is not None else ThrottledError
        error = self._chance.choice(
            [None, None, None, ThrottledError, TruncatedResponseError, refused]
        )
        if error is not None:
            msg = "seeded"
            raise error(msg)
        low, index = self._tokens[token] if token is not None else (start, 0)
        rows = [one for one in self._events if one.timestamp >= low]
        size = self._chance.choice([0, 1, 2, 7])
        page, index = rows[index : index + size], index + size
        if index >= len(rows):
            return page, None
        following = f"token {len(self._tokens)}"
        self._tokens[following] = (low, index)
        return page, following


@given(
    st.lists(st.integers(0, 12), max_size=40),
    st.integers(0, 13),
    st.integers(0, 2**32),
)
def test_a_complete_scan_returns_everything_once(times: list[int], since: int, seed: int) -> None:
    events = [event(timestamp, number) for number, timestamp in enumerate(times)]
    upstream, scan = Pages(events, random.Random(seed)), walk(since)
    got: list[LogEvent] = []
    try:
        while not scan.is_done:
            try:
                page = upstream.ask(scan.start, scan.token)
            except CloudWatchError as error:
                scan.take_error(error)
            else:
                got += scan.take_page(*page)
    except CloudWatchError:
        return  # a scan that fails claims nothing
    wanted = [one for one in events if one.timestamp >= since]
    assert sorted(got, key=lambda one: int(one.id)) == wanted
