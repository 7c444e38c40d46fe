"""Which window of the past is fetched next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet
from forwarder.reconcile.demand import LEASES_MAX, WINDOW_EVENTS_MAX, WINDOW_FIRST_MS, Want, Wants

MINUTE = 60_000
NOW = 10_000 * MINUTE


def wanting(since: int, history: str = "newest") -> Wants:
    wants = Wants()
    wants.put("viewer", Want(since, "oldest" if history == "oldest" else "newest"))
    return wants


def all_windows(wants: Wants, coverage: RangeSet, floor: int = 0) -> list[tuple[int, int]]:
    found = []
    while (window := wants.next_window(coverage, NOW, floor)) is not None:
        found.append(window)
        coverage.add(*window)
        wants.window_done(0)
    return found


def test_nobody_wants_anything() -> None:
    wants = Wants()
    assert wants.next_window(RangeSet(), NOW, 0) is None
    assert wants.oldest is None
    assert not wants.is_wanted(NOW)
    assert wants.missing(RangeSet(), NOW) == []


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


def test_newest_first_if_anybody_wants_that() -> None:
    both = wanting(0, "oldest")
    both.put("other", Want(5, "newest"))
    assert both.history == "newest"
    left = wanting(0, "oldest")
    left.put("other", Want(5, "newest"))
    left.drop("other")
    assert left.history == "oldest"


def test_only_what_is_missing() -> None:
    coverage = RangeSet([(NOW - 4 * MINUTE, NOW - 10)])
    windows = all_windows(wanting(NOW - 5 * MINUTE), coverage)
    assert windows == [(NOW - 9, NOW), (NOW - 5 * MINUTE, NOW - 4 * MINUTE - 1)]


def test_what_nobody_can_have_written_is_one_window() -> None:
    floor = NOW - 2 * MINUTE
    windows = all_windows(wanting(0), RangeSet(), floor)
    assert windows[-1] == (0, floor - 1)
    assert windows[0] == (NOW - MINUTE + 1, NOW)
    oldest = all_windows(wanting(0, "oldest"), RangeSet(), floor)
    assert oldest[0] == (0, floor - 1)


def test_a_new_want_starts_with_a_small_window() -> None:
    wants = wanting(0)
    for _ in range(5):
        wants.window_done(0)
    wants.put("viewer", Want(0))  # the same as before
    window = wants.next_window(RangeSet(), NOW, 0)
    assert window is not None
    assert window[1] - window[0] + 1 == WINDOW_FIRST_MS << 5
    wants.put("other", Want(3))
    assert wants.next_window(RangeSet(), NOW, 0) == (NOW - MINUTE + 1, NOW)


def test_dense_windows_become_shorter() -> None:
    wants = wanting(0)
    for _ in range(3):
        wants.window_done(0)
    wants.window_done(WINDOW_EVENTS_MAX + 1)
    window = wants.next_window(RangeSet(), NOW, 0)
    assert window == (NOW - 4 * MINUTE + 1, NOW)
    for _ in range(10):
        wants.window_done(WINDOW_EVENTS_MAX + 1)
    assert wants.next_window(RangeSet(), NOW, 0) == (NOW - MINUTE + 1, NOW)


def test_what_nobody_wants_any_more() -> None:
    wants = wanting(100)
    assert wants.is_wanted(100)
    assert not wants.is_wanted(99)
    wants.put("other", Want(50, executions=("a", "b")))
    assert wants.is_wanted(99)
    assert wants.executions == {"a", "b"}
    wants.drop("other")
    wants.drop("nobody")
    assert not wants.is_wanted(99)


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
    wants = wanting(since * MINUTE, "oldest" if oldest else "newest")
    end = 520 * MINUTE
    for _ in range(100):
        window = wants.next_window(coverage, end, floor * MINUTE)
        if window is None:
            break
        assert since * MINUTE <= window[0] <= window[1] <= end
        assert coverage.missing(*window) == [window]
        coverage.add(*window)
        wants.window_done(0)
    assert coverage.missing(since * MINUTE, end) == []


def test_who_polls_is_gone_once_the_time_is_over() -> None:
    wants = wanting(NOW)
    wants.put("poll", Want(NOW - MINUTE, until_ms=NOW + 10))
    wants.expire(NOW + 9)
    assert wants.oldest == NOW - MINUTE
    wants.put("poll", Want(NOW - MINUTE, until_ms=NOW + 20))
    wants.expire(NOW + 10)
    assert wants.oldest == NOW - MINUTE
    wants.expire(NOW + 20)
    assert wants.oldest == NOW


def test_wants_of_those_who_poll_are_bounded_and_take_no_viewer_s_place() -> None:
    wants = wanting(NOW - MINUTE)
    for number in range(LEASES_MAX + 1):
        wants.put(number, Want(number, until_ms=NOW))
    assert wants.oldest == 1
    wants.expire(NOW)
    assert wants.oldest == NOW - MINUTE
