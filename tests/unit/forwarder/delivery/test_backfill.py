from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ranges import RangeSet
from forwarder.delivery.backfill import (
    HistoryIntervals,
    StartPoint,
    ViewerBackfill,
    last_wire_key,
    whole_milliseconds,
)
from forwarder.delivery.frames import SliceReader
from forwarder.delivery.lanes import EventCredit, Lanes
from forwarder.ingest.log_group import LogGroup
from tests.support.forwarder.session_client import NOW, event, events, log_group, scan
from wire.limits import DEFAULT_HISTORY_MS
from wire.order import KEY_MAX, KEY_MIN, Interval, first_key, key_of, parse_interval
from wire.query import Filter, History, TailQuery

SINCE, BACKFILL_NOW = 1_000, 5_000


def is_done(past: HistoryIntervals) -> bool:
    return past.is_complete


def all_covered() -> RangeSet:
    return RangeSet([(SINCE, BACKFILL_NOW)])


def test_newest_first_is_open_above_and_grows_downwards() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW)
    assert past.newest_first
    past.advance_to(key_of(4_000, "7"))
    past.extend_held(all_covered())
    assert str(past.held) == "4000:7.."
    assert not is_done(past)
    past.finish_interval()
    past.extend_held(all_covered())
    assert str(past.held) == "1000:0.."
    assert is_done(past)


def test_nothing_is_held_before_the_first_slice() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW)
    past.extend_held(all_covered())
    assert past.held is None


def test_oldest_first_grows_upwards_and_opens_at_the_end() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW, history="oldest")
    assert not past.newest_first
    past.advance_to(key_of(2_000, "7"))
    past.extend_held(all_covered())
    assert str(past.held) == "1000:0..2000:7"
    past.finish_interval()
    past.extend_held(all_covered())
    assert str(past.held) == "1000:0.."
    assert is_done(past)


def test_held_stops_where_scans_have_not_been() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW)
    past.finish_interval()
    past.extend_held(RangeSet([(3_000, BACKFILL_NOW)]))
    assert str(past.held) == "3000:0.."
    assert not is_done(past)
    past.extend_held(RangeSet([(SINCE, 2_000), (3_000, BACKFILL_NOW)]))
    assert str(past.held) == "3000:0.."
    past.extend_held(all_covered())
    assert is_done(past)


def test_oldest_first_stops_where_scans_have_not_been() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW, history="oldest")
    past.finish_interval()
    past.extend_held(RangeSet([(3_000, BACKFILL_NOW)]))
    assert str(past.held) == "None"
    past.extend_held(RangeSet([(SINCE, 2_000), (3_000, BACKFILL_NOW)]))
    assert past.held == Interval(first_key(SINCE), last_wire_key(2_000))
    assert parse_interval(str(past.held)) == past.held
    past.extend_held(all_covered())
    assert is_done(past)


def test_without_coverage_only_the_present_is_held() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW)
    past.finish_interval()
    past.extend_held(RangeSet())
    assert str(past.held) == "5000:0.."


def test_not_done_before_a_scan_that_began_after_connecting() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW)
    past.finish_interval()
    past.extend_held(RangeSet([(SINCE, BACKFILL_NOW - 1)]))
    assert str(past.held) == "1000:0.."
    assert not is_done(past)
    past.extend_held(RangeSet([(SINCE, BACKFILL_NOW)]))
    assert is_done(past)


def test_since_in_the_future_is_done_at_once() -> None:
    past = HistoryIntervals(BACKFILL_NOW + 1_000, BACKFILL_NOW)
    past.finish_interval()
    past.extend_held(RangeSet())
    assert is_done(past)


def test_what_is_held_is_not_sent_again() -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW, held=Interval(key_of(3_000, "5"), None))
    assert past.unsent == [Interval(first_key(SINCE), key_of(3_000, "5") - 1)]
    assert past.newest_first


def test_held_with_both_ends_grows_out_from_it() -> None:
    held = Interval(key_of(3_000, "5"), key_of(4_000, "5"))
    past = HistoryIntervals(SINCE, BACKFILL_NOW, held=held)
    assert past.unsent == [
        Interval(key_of(4_000, "5") + 1, KEY_MAX),
        Interval(first_key(SINCE), key_of(3_000, "5") - 1),
    ]
    assert not past.newest_first
    past.finish_interval()
    past.extend_held(all_covered())
    assert str(past.held) == "3000:5.."
    past.finish_interval()
    past.extend_held(all_covered())
    assert is_done(past)


def test_held_open_below_stays_open_below() -> None:
    past = HistoryIntervals(
        SINCE, BACKFILL_NOW, held=Interval(None, key_of(4_000, "5")), history="oldest"
    )
    past.extend_held(all_covered())
    assert str(past.held) == "..4000:5"
    past.finish_interval()
    past.extend_held(all_covered())
    assert str(past.held) == ".."
    assert is_done(past)


@pytest.mark.parametrize("held", [Interval(0, 0), Interval(0, first_key(SINCE) - 1)])
def test_held_outside_the_past_is_nothing(held: Interval) -> None:
    past = HistoryIntervals(SINCE, BACKFILL_NOW, held=held)
    assert past.unsent == [Interval(first_key(SINCE), KEY_MAX)]
    assert past.newest_first


def test_with_a_cursor_and_no_held_the_history_is_complete() -> None:
    past = HistoryIntervals.complete(SINCE, BACKFILL_NOW)
    assert is_done(past)
    assert str(past.held) == "1000:0.."


def test_the_whole_milliseconds_of_an_interval() -> None:
    assert whole_milliseconds(Interval(first_key(7), None))[0] == 7
    assert whole_milliseconds(Interval(key_of(7, "1"), None))[0] == 8
    assert whole_milliseconds(Interval(None, last_wire_key(7)))[1] == 6
    assert whole_milliseconds(Interval(None, None))[0] == 0


@given(
    keys=st.lists(
        st.builds(key_of, st.integers(SINCE, BACKFILL_NOW + 100), st.integers(0, 30).map(str)),
        unique=True,
        max_size=60,
    ),
    slice_size=st.integers(1, 7),
    held=st.none() | st.tuples(st.integers(SINCE, BACKFILL_NOW), st.integers(1, 1_000)),
    newest=st.booleans(),
    floor=st.integers(SINCE, BACKFILL_NOW),
)
def test_held_only_grows_and_never_claims_what_was_not_sent(
    keys: list[int],
    slice_size: int,
    held: tuple[int, int] | None,
    floor: int,
    *,
    newest: bool,
) -> None:
    given_held = None
    if held is not None:
        given_held = Interval(first_key(held[0]), first_key(held[0] + held[1]))
    past = HistoryIntervals(
        SINCE, BACKFILL_NOW, held=given_held, history="newest" if newest else "oldest"
    )
    sent = {key for key in keys if given_held is not None and key in given_held}
    claims = [given_held]
    coverage = RangeSet([(floor, BACKFILL_NOW)])
    while (interval := past.next_interval) is not None:
        rest = sorted((key for key in keys if key in interval), reverse=past.newest_first)
        assert not sent.intersection(rest)
        sent.update(rest[:slice_size])
        if len(rest) > slice_size:
            past.advance_to(rest[slice_size - 1])
        else:
            past.finish_interval()
        past.extend_held(coverage)
        claim = past.held
        if claim is not None:
            assert {key for key in keys if key in claim} <= sent
        claims.append(claim)
    past.extend_held(all_covered())
    claims.append(past.held)
    assert is_done(past)
    assert sent == set(keys)
    known = [claim for claim in claims if claim is not None]
    for before, after in pairwise(known):
        assert after.low is None or (before.low is not None and after.low <= before.low)
        assert after.high is None or (before.high is not None and after.high >= before.high)


@pytest.mark.parametrize("history", ["newest", "oldest"])
def test_a_single_position_is_held_like_any_other_interval(history: History) -> None:
    key = key_of(3_000, "7")
    past = HistoryIntervals(SINCE, BACKFILL_NOW, held=Interval(key, key), history=history)
    assert {(one.low, one.high) for one in past.unsent} == {
        (first_key(SINCE), key - 1),
        (key + 1, KEY_MAX),
    }
    while past.next_interval is not None:
        past.finish_interval()
    past.extend_held(all_covered())
    assert past.is_complete


@pytest.mark.parametrize("since", [0, SINCE])
def test_the_smallest_key_means_that_nothing_is_held(since: int) -> None:
    past = HistoryIntervals(since, BACKFILL_NOW, held=Interval(KEY_MIN, KEY_MIN))
    assert past.held is None
    assert past.newest_first
    assert past.unsent == [Interval(first_key(since), KEY_MAX)]


OPENING_SINCE = NOW - 1_000


def start_point(**query: object) -> StartPoint:
    group = log_group([event(1, NOW - 10), event(2, NOW - 5)])
    epoch = group.epoch if query.get("epoch") == "present" else query.get("epoch")
    return StartPoint(TailQuery(**{**query, "epoch": epoch}), group.journal, NOW)  # type: ignore[arg-type] # the query's own fields


@pytest.mark.parametrize(
    ("wanted", "since"),
    [
        (Filter(), NOW - DEFAULT_HISTORY_MS),
        (Filter(streams=("a",)), NOW - DEFAULT_HISTORY_MS),
        (Filter(executions=("a",)), 0),
    ],
)
def test_default_start_without_since(wanted: Filter, since: int) -> None:
    assert start_point(filter=wanted).since == since


def test_fresh() -> None:
    one = start_point(since=OPENING_SINCE)
    assert (one.outcome, one.after, one.base) == ("fresh", 2, 0)
    assert one.history().unsent[0].low == first_key(OPENING_SINCE)


def test_resumed_with_held_sends_the_rest_of_the_history() -> None:
    held = Interval(first_key(NOW - 500), None)
    one = start_point(since=OPENING_SINCE, epoch="present", after=1, held=held)
    assert (one.outcome, one.after) == ("resumed", 1)
    assert one.history().unsent == [Interval(first_key(OPENING_SINCE), first_key(NOW - 500) - 1)]


def test_resumed_without_held_sends_no_history() -> None:
    assert start_point(since=OPENING_SINCE, epoch="present", after=1).history().unsent == []


@pytest.mark.parametrize(("epoch", "after"), [("another", 1), ("present", 3)])
def test_rebased_sends_everything_whatever_is_held(epoch: str, after: int) -> None:
    one = start_point(since=OPENING_SINCE, epoch=epoch, after=after, held=Interval(0, None), base=1)
    assert (one.outcome, one.after, one.base) == ("rebased", 2, 1)
    assert one.history().unsent[0].low == first_key(OPENING_SINCE)


def test_missing_bodies_of_the_first_events() -> None:
    group = log_group([event(1, NOW - 10, stream="a"), event(2, NOW - 5, stream="b")])
    group.journal.retire(before=NOW)
    query = TailQuery(since=OPENING_SINCE)
    assert StartPoint(query, group.journal, NOW).missing_bodies() == (NOW - 10, NOW - 5)
    only_b = TailQuery(since=OPENING_SINCE, filter=Filter(streams=("b",)))
    assert StartPoint(only_b, group.journal, NOW).missing_bodies() == (NOW - 5, NOW - 5)
    later = TailQuery(since=NOW - 7)
    assert StartPoint(later, group.journal, NOW).missing_bodies() == (NOW - 5, NOW - 5)
    group.journal.mark_lost(["2"], "gone")
    assert StartPoint(query, group.journal, NOW).missing_bodies() == (NOW - 10, NOW - 10)


VIEWER_SINCE = NOW - 100_000


def needs_fetch(backfill: ViewerBackfill) -> bool:
    return backfill.needs_fetch


def backfill_of(group: LogGroup, **query: object) -> tuple[ViewerBackfill, Lanes]:
    asked = TailQuery(since=VIEWER_SINCE, **query)  # type: ignore[arg-type] # the query's own fields
    start = StartPoint(asked, group.journal, NOW)
    backfill = ViewerBackfill(group, start)
    lanes = Lanes(start, backfill, SliceReader(group.journal), EventCredit(asked.credit))
    return backfill, lanes


def test_ranges_are_clipped_to_nothing_before_anything_is_held() -> None:
    backfill, lanes = backfill_of(log_group(events(range(1, 4), lambda n: NOW - n)))
    assert backfill.report_growth(lanes.read_seq) is None
    low, high = backfill.clip(0, NOW)
    assert low > high >= 0
    low, high = backfill.clip(0, 0)
    assert low > high >= 0


def test_ranges_are_clipped_to_held_until_done_and_then_to_since() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    scan(group, VIEWER_SINCE, None, [], at=NOW)
    backfill, lanes = backfill_of(group)
    lanes.read_ahead(group.head_seq)
    assert lanes.next_frame() is not None
    said = backfill.report_slice(lanes.read_seq)
    assert said is not None
    assert (said.held, said.total, said.done) == (f"{NOW - 500}:500..", 1_000, False)
    assert backfill.clip(0, NOW) == (NOW - 499, NOW)
    while not backfill.is_done:
        lanes.next_frame()
        backfill.report_slice(lanes.read_seq)
        backfill.report_growth(lanes.read_seq)
    assert backfill.clip(0, NOW) == (VIEWER_SINCE, NOW)


def test_a_slice_is_closed_once() -> None:
    group = log_group(events(range(1, 4), lambda n: NOW - n))
    backfill, lanes = backfill_of(group)
    lanes.next_frame()
    assert backfill.report_slice(lanes.read_seq) is not None
    assert backfill.report_slice(lanes.read_seq) is None


def test_a_resuming_viewer_starts_with_what_it_holds() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    held = Interval(key_of(NOW - 500, "7"), None)
    backfill, _ = backfill_of(group, epoch=group.epoch, after=1_000, held=held)
    assert backfill.clip(0, NOW) == (NOW - 499, NOW)
    assert backfill.held == held


def test_without_held_a_cursor_has_all_of_the_history_at_once() -> None:
    group = log_group()
    backfill, lanes = backfill_of(group, epoch=group.epoch, after=0)
    said = backfill.report_growth(lanes.read_seq)
    assert said is not None
    assert (said.held, said.done) == (str(Interval(first_key(VIEWER_SINCE), None)), True)
    assert backfill.report_growth(lanes.read_seq) is None


def test_a_fetch_is_needed_until_the_history_is_covered() -> None:
    group = log_group()
    backfill, _ = backfill_of(group, history="oldest")
    assert needs_fetch(backfill)
    scan(group, NOW - 5_000, None, [], at=NOW - 500)
    assert needs_fetch(backfill)
    scan(group, VIEWER_SINCE, NOW - 5_000, [], at=NOW, kind="backfill")
    assert not needs_fetch(backfill)
