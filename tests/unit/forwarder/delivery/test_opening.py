from __future__ import annotations

import pytest

from forwarder.delivery.opening import Opening
from tests.support.session_client import NOW, event, log_group
from wire.limits import DEFAULT_PAST_MS
from wire.order import Interval, first_key
from wire.query import Filter, TailQuery

SINCE = NOW - 1_000


def opening(**query: object) -> Opening:
    group = log_group([event(1, NOW - 10), event(2, NOW - 5)])
    epoch = group.epoch if query.get("epoch") == "present" else query.get("epoch")
    return Opening(TailQuery(**{**query, "epoch": epoch}), group.journal, NOW)  # type: ignore[arg-type] # the query's own fields


@pytest.mark.parametrize(
    ("wanted", "since"),
    [
        (Filter(), NOW - DEFAULT_PAST_MS),
        (Filter(streams=("a",)), NOW - DEFAULT_PAST_MS),
        (Filter(executions=("a",)), 0),
    ],
)
def test_from_when_on_without_since(wanted: Filter, since: int) -> None:
    assert opening(filter=wanted).since == since


def test_fresh() -> None:
    one = opening(since=SINCE)
    assert (one.outcome, one.after, one.base) == ("fresh", 2, 0)
    assert one.past.intervals[0].low == first_key(SINCE)


def test_resumed_with_held_owes_the_rest_of_the_past() -> None:
    held = Interval(first_key(NOW - 500), None)
    one = opening(since=SINCE, epoch="present", after=1, held=held)
    assert (one.outcome, one.after) == ("resumed", 1)
    assert one.past.intervals == [Interval(first_key(SINCE), first_key(NOW - 500) - 1)]


def test_resumed_without_held_owes_no_past() -> None:
    assert opening(since=SINCE, epoch="present", after=1).past.intervals == []


@pytest.mark.parametrize(("epoch", "after"), [("another", 1), ("present", 3)])
def test_rebased_owes_everything_whatever_is_held(epoch: str, after: int) -> None:
    one = opening(since=SINCE, epoch=epoch, after=after, held=Interval(0, None), base=1)
    assert (one.outcome, one.after, one.base) == ("rebased", 2, 1)
    assert one.past.intervals[0].low == first_key(SINCE)


def test_what_is_owed_and_has_no_body() -> None:
    group = log_group([event(1, NOW - 10, stream="a"), event(2, NOW - 5, stream="b")])
    group.journal.retire(before=NOW)
    query = TailQuery(since=SINCE)
    assert Opening(query, group.journal, NOW).bodiless() == (NOW - 10, NOW - 5)
    only_b = TailQuery(since=SINCE, filter=Filter(streams=("b",)))
    assert Opening(only_b, group.journal, NOW).bodiless() == (NOW - 5, NOW - 5)
    later = TailQuery(since=NOW - 7)
    assert Opening(later, group.journal, NOW).bodiless() == (NOW - 5, NOW - 5)
    group.journal.mark_lost(["2"], "gone")
    assert Opening(query, group.journal, NOW).bodiless() == (NOW - 10, NOW - 10)
