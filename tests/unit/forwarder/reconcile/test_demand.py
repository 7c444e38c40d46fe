"""The next window of a backfill."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet
from forwarder.reconcile.demand import (
    LEASES_MAX,
    WINDOW_EVENTS_MAX,
    WINDOW_FIRST_MS,
    BackfillDemand,
    BackfillRequest,
)

MINUTE = 60_000
NOW = 10_000 * MINUTE


def wanting(since: int, history: str = "newest") -> BackfillDemand:
    demand = BackfillDemand()
    demand.request("viewer", BackfillRequest(since, "oldest" if history == "oldest" else "newest"))
    return demand


def all_windows(
    demand: BackfillDemand, coverage: RangeSet, floor: int = 0
) -> list[tuple[int, int]]:
    found = []
    while (window := demand.next_window(coverage, NOW, floor)) is not None:
        found.append(window)
        coverage.add(*window)
        demand.record_window(0)
    return found


def test_without_requests_there_is_no_window() -> None:
    demand = BackfillDemand()
    assert demand.next_window(RangeSet(), NOW, 0) is None
    assert demand.earliest_since is None
    assert not demand.reaches(NOW)
    assert demand.missing(RangeSet(), NOW) == []


def test_newest_first_and_doubling() -> None:
    assert all_windows(wanting(NOW - 7 * MINUTE + 1), RangeSet()) == [
        (NOW - MINUTE + 1, NOW),
        (NOW - 3 * MINUTE + 1, NOW - MINUTE),
        (NOW - 7 * MINUTE + 1, NOW - 3 * MINUTE),
    ]


def test_oldest_first_and_doubling() -> None:
    assert all_windows(wanting(NOW - 7 * MINUTE + 1, "oldest"), RangeSet()) == [
        (NOW - 7 * MINUTE + 1, NOW - 6 * MINUTE),
        (NOW - 6 * MINUTE + 1, NOW - 4 * MINUTE),
        (NOW - 4 * MINUTE + 1, NOW),
    ]


def test_newest_first_if_any_request_says_so() -> None:
    both = wanting(0, "oldest")
    both.request("other", BackfillRequest(5, "newest"))
    assert both.history == "newest"
    left = wanting(0, "oldest")
    left.request("other", BackfillRequest(5, "newest"))
    left.withdraw("other")
    assert left.history == "oldest"


def test_only_what_is_missing() -> None:
    coverage = RangeSet([(NOW - 4 * MINUTE, NOW - 10)])
    windows = all_windows(wanting(NOW - 5 * MINUTE), coverage)
    assert windows == [(NOW - 9, NOW), (NOW - 5 * MINUTE, NOW - 4 * MINUTE - 1)]


def test_time_before_any_event_is_one_window() -> None:
    floor = NOW - 2 * MINUTE
    windows = all_windows(wanting(0), RangeSet(), floor)
    assert windows[-1] == (0, floor - 1)
    assert windows[0] == (NOW - MINUTE + 1, NOW)
    oldest = all_windows(wanting(0, "oldest"), RangeSet(), floor)
    assert oldest[0] == (0, floor - 1)


def test_a_new_request_starts_with_a_small_window() -> None:
    demand = wanting(0)
    for _ in range(5):
        demand.record_window(0)
    demand.request("viewer", BackfillRequest(0))  # the same as before
    window = demand.next_window(RangeSet(), NOW, 0)
    assert window is not None
    assert window[1] - window[0] + 1 == WINDOW_FIRST_MS << 5
    demand.request("other", BackfillRequest(3))
    assert demand.next_window(RangeSet(), NOW, 0) == (NOW - MINUTE + 1, NOW)


def test_dense_windows_become_shorter() -> None:
    demand = wanting(0)
    for _ in range(3):
        demand.record_window(0)
    demand.record_window(WINDOW_EVENTS_MAX + 1)
    window = demand.next_window(RangeSet(), NOW, 0)
    assert window == (NOW - 4 * MINUTE + 1, NOW)
    for _ in range(10):
        demand.record_window(WINDOW_EVENTS_MAX + 1)
    assert demand.next_window(RangeSet(), NOW, 0) == (NOW - MINUTE + 1, NOW)


def test_withdrawn_history_is_not_fetched() -> None:
    demand = wanting(100)
    assert demand.reaches(100)
    assert not demand.reaches(99)
    demand.request("other", BackfillRequest(50, executions=("a", "b")))
    assert demand.reaches(99)
    assert demand.executions == {"a", "b"}
    demand.withdraw("other")
    demand.withdraw("nobody")
    assert not demand.reaches(99)


ranges = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 60)), max_size=6)


@given(ranges, st.integers(0, 500), st.integers(-10, 510), st.booleans())
def test_windows_cover_all_that_is_missing_and_nothing_twice(
    covered: list[tuple[int, int]],
    since: int,
    floor: int,
    oldest: bool,  # noqa: FBT001 - drawn
) -> None:
    # A minute is one step here, so that the windows are as small as the ranges.
    coverage = RangeSet([(low * MINUTE, (low + size) * MINUTE) for low, size in covered])
    demand = wanting(since * MINUTE, "oldest" if oldest else "newest")
    end = 520 * MINUTE
    for _ in range(100):
        window = demand.next_window(coverage, end, floor * MINUTE)
        if window is None:
            break
        assert since * MINUTE <= window[0] <= window[1] <= end
        assert coverage.missing(*window) == [window]
        coverage.add(*window)
        demand.record_window(0)
    assert coverage.missing(since * MINUTE, end) == []


def test_a_polling_viewer_expires() -> None:
    demand = wanting(NOW)
    demand.request("poll", BackfillRequest(NOW - MINUTE, expires_ms=NOW + 10))
    demand.expire(NOW + 9)
    assert demand.earliest_since == NOW - MINUTE
    demand.request("poll", BackfillRequest(NOW - MINUTE, expires_ms=NOW + 20))
    demand.expire(NOW + 10)
    assert demand.earliest_since == NOW - MINUTE
    demand.expire(NOW + 20)
    assert demand.earliest_since == NOW


def test_requests_of_polling_viewers_are_capped_and_displace_no_connected_one() -> None:
    demand = wanting(NOW - MINUTE)
    for number in range(LEASES_MAX + 1):
        demand.request(number, BackfillRequest(number, expires_ms=NOW))
    assert demand.earliest_since == 1
    demand.expire(NOW)
    assert demand.earliest_since == NOW - MINUTE
