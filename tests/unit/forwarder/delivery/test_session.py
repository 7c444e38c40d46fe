from __future__ import annotations

from collections.abc import Sequence

import pytest

from forwarder.delivery.frames import SliceReader
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.session import GAPS_MAX, REQUESTS_MAX, Session
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import RECREATED, LogGroup
from forwarder.records import ExecutionEnd, LogEvent, Reset, ScanDone
from tests.support.forwarder.scans import change_gap
from tests.support.forwarder.session_client import (
    NOW,
    SessionClient,
    event,
    events,
    log_group,
    scan,
)
from wire.limits import CLOSE_RATE_LIMITED, CLOSE_SHUTTING_DOWN, DEFAULT_HISTORY_MS
from wire.messages import (
    Backfill,
    Bye,
    Credit,
    DigestReply,
    End,
    Events,
    Gap,
    Heartbeat,
    Mark,
    Repair,
    ServerMessage,
    Upstream,
    Verify,
    Welcome,
)
from wire.order import Interval
from wire.query import Filter, TailQuery

SINCE = NOW - 600_000
ONE, TWO = "app/one", "app/two"


def past_events(count: int, stream: str = ONE, first: int = 1) -> list[LogEvent]:
    """A line every ten milliseconds, up to now."""
    return events(range(first, first + count), lambda n: NOW - 100_000 + 10 * n, stream)


def covered(*batches: list[LogEvent], at: int = NOW) -> SessionClient:
    """A viewer that connects when all since SINCE is covered."""
    group = log_group(*batches)
    scan(group, SINCE, None, [one for batch in batches for one in batch], at=at)
    group.take_notices()
    return SessionClient(group, TailQuery(since=SINCE))


def pass_notices(client: SessionClient) -> None:
    """Pass the log group's notices to the session, as the hub does."""
    for notice in client.group.take_notices():
        client.session.notice(notice)


def kinds(messages: Sequence[object]) -> list[str]:
    return [type(message).__name__ for message in messages]


# Welcome


def test_fresh_begins_at_the_head() -> None:
    client = covered(past_events(3))
    client.pull()
    welcome = client.welcome
    assert (welcome.outcome, welcome.after, welcome.head_seq) == ("fresh", 3, 3)
    assert (welcome.since, welcome.epoch) == (SINCE, client.group.epoch)
    assert client.ids == ["1", "2", "3"]
    assert client.is_done()


def test_without_since_the_last_ten_minutes_or_all_of_an_execution() -> None:
    group = log_group()
    assert SessionClient(group, TailQuery()).session.since == NOW - DEFAULT_HISTORY_MS
    wanted = Filter(executions=("one",))
    assert SessionClient(group, TailQuery(filter=wanted)).session.since == 0


def test_resumed_brings_exactly_what_follows() -> None:
    client = covered(past_events(10))
    client.pull()
    client.group.ingest([event(99, NOW)], "live")
    again = client.connect()
    pulled = again.pull()
    assert again.welcome.outcome == "resumed"
    assert again.welcome.after == 10
    assert [item.id for frame in again.frames for item in frame.items] == ["99"]
    assert any(isinstance(one, Backfill) and one.done for one in pulled)


def test_cut_in_mid_history_it_goes_on_at_held() -> None:
    client = covered(past_events(2_000))
    while len(client.held_items) < 1_000:
        client.one()
    client.one()
    assert not client.is_done()
    again = client.connect()
    again.pull()
    sent = [item.id for frame in again.frames for item in frame.items]
    assert sorted(map(int, sent)) == list(range(1, 1_001))
    assert again.is_done()
    assert len(again.ids) == 2_000


def test_with_a_cursor_and_without_held_no_history_is_sent() -> None:
    client = covered(past_events(2_000))
    while len(client.held_items) < 500:
        client.one()
    again = client.connect(held=None)
    again.pull()
    assert again.frames == []
    assert again.is_done()


def test_rebased_ignores_held_and_sends_everything() -> None:
    client = covered(past_events(600))
    client.pull()
    client.group.journal.begin_chain()
    client.group.ingest(past_events(600), "live")
    again = client.connect(held=Interval(0, None))
    again.pull()
    assert again.welcome.outcome == "rebased"
    assert len(again.ids) == 600


def test_an_epoch_of_the_chain_resumes_and_one_beyond_it_does_not() -> None:
    client = covered(past_events(5))
    client.pull()
    client.group.journal.begin_epoch()
    assert client.connect().session.start.outcome == "resumed"
    client.group.ingest([event(99, NOW)], "live")
    assert client.connect(after=6).session.start.outcome == "rebased"
    assert client.connect(epoch="another").session.start.outcome == "rebased"


def test_the_start_is_fixed_at_welcome() -> None:
    client = covered(past_events(5))
    client.session.receive(Credit(7))
    client.group.ingest([event(99, NOW)], "live")
    client.at(NOW + 4_000)
    assert client.welcome.after == 6
    assert client.ids[-1] == "99"


def test_lost_is_declared_at_welcome() -> None:
    client = covered(past_events(5))
    client.group.journal.retire(before=NOW)
    client.group.journal.mark_lost(["2", "3"], "the log stream was deleted")
    client.group.journal.restore({one: f"line {one}" for one in "145"})
    client.pull()
    (lost,) = client.welcome.lost
    assert (lost.from_, lost.through) == (NOW - 100_000 + 20, NOW - 100_000 + 30)
    assert client.ids == ["1", "4", "5"]
    assert client.is_done()
    assert not any(isinstance(one, Gap) for one in client.log)


def test_what_is_lost_later_is_a_gap_that_nothing_repairs() -> None:
    client = covered(past_events(5))
    client.one()
    client.group.journal.retire(before=NOW)
    client.group.journal.mark_lost(["2"], "gone")
    client.group.journal.restore({one: f"line {one}" for one in "1345"})
    client.pull()
    (gap,) = [one for one in client.log if isinstance(one, Gap)]
    at = NOW - 100_000 + 20
    assert (gap.from_, gap.through, gap.state, gap.reason) == (at, at, "unrecoverable", "gone")
    assert client.ids == ["1", "3", "4", "5"]


# History and live events


def test_history_frames_are_neutral_and_each_is_followed_by_backfill() -> None:
    client = covered(past_events(1_200))
    client.pull()
    assert all(frame.after == frame.seq == 1_200 for frame in client.frames)
    for at, message in enumerate(client.log):
        if isinstance(message, Events):
            assert isinstance(client.log[at + 1], Backfill)


def test_total_is_sent_if_nothing_must_be_fetched() -> None:
    client = covered(past_events(1_200))
    client.pull()
    assert {one.total for one in client.log if isinstance(one, Backfill)} == {1_200}
    uncovered = SessionClient(client.group, TailQuery(since=SINCE - 1_000))
    uncovered.pull()
    assert {one.total for one in uncovered.log if isinstance(one, Backfill)} == {None}


def test_newest_or_oldest_first() -> None:
    client = covered(past_events(1_200))
    client.pull()
    assert client.frames[0].items[0].id == "1200"
    oldest = SessionClient(client.group, TailQuery(since=SINCE, history="oldest"))
    oldest.pull()
    assert oldest.frames[0].items[0].id == "1"
    assert oldest.is_done()
    assert oldest.ids == client.ids


def test_events_before_since_are_not_history() -> None:
    client = covered([event(1, SINCE - 1), event(2, SINCE)])
    client.pull()
    assert client.ids == ["2"]


def test_late_events_are_sent_and_backfill_of_another_viewer_is_not() -> None:
    client = covered(past_events(3))
    client.pull()
    client.group.ingest([event(50, SINCE - 9_000)], "backfill")
    client.group.ingest([event(51, SINCE - 9_000)], "repair")
    client.group.ingest([event(52, SINCE - 9_000)], "live")
    client.group.ingest([event(53, SINCE)], "backfill")
    client.pull()
    assert {"51", "52", "53"} <= set(client.ids)
    assert "50" not in client.ids
    assert client.cursor == client.group.head_seq


def test_fetched_history_moves_the_cursor_and_held_waits_for_it() -> None:
    group = log_group()
    scan(group, NOW - 60_000, None, [], at=NOW)
    client = SessionClient(group, TailQuery(since=SINCE))
    client.pull()
    needs_fetch = client.session.backfill.needs_fetch
    assert needs_fetch
    assert str(client.held) == f"{NOW - 60_000}:0.."
    scan(group, SINCE, NOW - 60_000, past_events(700), at=NOW + 10, kind="backfill")
    assert not client.session.backfill.needs_fetch
    client.pull()
    assert client.is_done()
    assert len(client.ids) == 700
    assert all(frame.seq > frame.after for frame in client.frames)


def test_held_does_not_grow_before_what_scans_brought_is_sent() -> None:
    group = log_group()
    scan(group, NOW - 60_000, None, [], at=NOW)
    client = SessionClient(group, TailQuery(since=SINCE, credit=100))
    client.pull()
    scan(group, SINCE, NOW - 60_000, past_events(700), at=NOW + 10, kind="backfill")
    client.pull()
    assert len(client.ids) == 100
    assert str(client.held) == f"{NOW - 60_000}:0.."
    assert not client.is_done()
    client.session.receive(Credit(700))
    client.pull()
    assert client.is_done()


def test_not_done_before_a_scan_that_began_after_connecting() -> None:
    group = log_group()
    scan(group, SINCE, None, [], at=NOW - 1)
    client = SessionClient(group, TailQuery(since=SINCE))
    client.pull()
    assert not client.session.backfill.needs_fetch
    assert not client.is_done()
    scan(group, NOW - 5_000, None, [], at=NOW)
    client.pull()
    assert client.is_done()


def test_history_gets_at_least_every_fourth_frame() -> None:
    client = covered(past_events(3_000))
    client.one()
    client.group.ingest(past_events(20_000, first=5_000), "live")
    client.pull()
    neutral = [frame.after == frame.seq for frame in client.frames]
    last = max(at for at, one in enumerate(neutral) if one)
    assert neutral[:8] == [False, False, False, True] * 2
    assert all(any(neutral[at : at + 4]) for at in range(last - 3))


# The cursor and the filter


def test_filtered_rows_move_the_cursor_only_before_a_heartbeat_or_mark() -> None:
    client = covered(past_events(1))
    client = SessionClient(client.group, TailQuery(since=SINCE, filter=Filter(streams=(ONE,))))
    client.pull()
    client.group.ingest(past_events(5, TWO, 100), "live")
    assert client.pull() == []
    frame, beat = client.at(client.session.wake_at_ms)
    assert isinstance(frame, Events)
    assert (frame.after, frame.seq, frame.items) == (1, 6, [])
    assert isinstance(beat, Heartbeat)
    assert (beat.sent_seq, beat.head_seq) == (6, 6)


def test_a_mark_is_preceded_by_the_cursor() -> None:
    client = covered(past_events(1))
    client = SessionClient(client.group, TailQuery(since=SINCE, filter=Filter(streams=(ONE,))))
    client.pull()
    scan(client.group, NOW - 50_000, None, past_events(5, TWO, 10_000), at=NOW + 5_000)
    pass_notices(client)
    assert kinds(client.pull()) == ["Events", "Mark"]
    assert client.unequal == []


def test_a_long_stretch_without_matches_is_reported_on_the_way() -> None:
    client = covered(past_events(1))
    client = SessionClient(client.group, TailQuery(since=SINCE, filter=Filter(streams=(ONE,))))
    client.pull()
    client.group.ingest(past_events(12_000, TWO, 100), "live")
    client.group.ingest([event(99, NOW)], "live")
    frames = client.pull()
    assert "Events" in kinds(frames)
    assert "99" in client.ids
    assert client.cursor == client.group.head_seq


# Credit


def test_credit_bounds_every_item_of_every_frame() -> None:
    client = covered(past_events(1_000))
    client = SessionClient(client.group, TailQuery(since=SINCE, credit=30))
    client.pull()
    assert len(client.ids) == 30
    client.group.ingest([event(9_999, NOW)], "live")
    client.session.receive(Credit(31))
    client.pull()
    assert client.ids[-1] == "9999"
    assert len(client.ids) == 31
    client.session.receive(Credit(10))
    assert client.pull() == []
    client.session.receive(Credit(5_000))
    client.pull()
    assert len(client.ids) == 1_001
    assert client.is_done()


def test_without_credit_the_parameter_left_out_nothing_is_bounded() -> None:
    client = covered(past_events(1_000))
    client.session.receive(Credit(1))
    client.pull()
    assert len(client.ids) == 1_000


def test_without_room_the_filter_still_moves_the_cursor() -> None:
    group = log_group(past_events(10, TWO))
    client = SessionClient(group, TailQuery(since=SINCE, credit=0, filter=Filter(streams=(ONE,))))
    client.pull()
    group.ingest(past_events(10, TWO, 100), "live")
    group.ingest([event(999, NOW)], "live")
    group.ingest(past_events(10, TWO, 200), "live")
    client.at(client.session.wake_at_ms)
    assert client.cursor == 20


# Heartbeats


def test_heartbeats_come_in_silence_and_sooner_than_announced() -> None:
    client = covered(past_events(1))
    client.pull()
    for _ in range(5):
        assert client.session.wake_at_ms < client.now + client.welcome.heartbeat_ms
        assert kinds(client.at(client.session.wake_at_ms)) == ["Heartbeat"]
        assert client.pull() == []


def test_a_clock_set_back_does_not_silence_them() -> None:
    client = covered(past_events(1))
    client.pull()
    assert kinds(client.at(NOW - 3_600_000)) == ["Heartbeat"]
    assert client.at(NOW - 3_600_000 + 10) == []


def test_a_new_state_of_cloudwatch_is_sent_at_once() -> None:
    client = covered(past_events(1))
    client.session._upstream = lambda: Upstream("throttled", 1_234)
    client.pull()
    client.session.upstream_changed()
    (beat,) = client.pull()
    assert isinstance(beat, Heartbeat)
    assert beat.upstream == Upstream("throttled", 1_234)


# Marks


def test_a_mark_waits_until_the_viewer_has_what_the_scan_brought() -> None:
    client = covered(past_events(10))
    client = SessionClient(client.group, TailQuery(since=SINCE, credit=10))
    client.pull()
    scan(client.group, NOW - 50_000, None, [event(99, NOW - 1_000)], at=NOW + 5_000)
    pass_notices(client)
    client.pull()
    assert client.marks == []
    client.session.receive(Credit(11))
    client.pull()
    (mark,) = client.marks
    assert (mark.from_, mark.through) == (NOW - 50_000, NOW + 3_000)
    assert (mark.scanned_at, mark.seq, mark.count) == (NOW + 5_000, 11, 1)
    assert client.unequal == []


def test_marks_begin_at_since() -> None:
    client = covered([event(777, SINCE - 5), *past_events(10)])
    client.pull()
    found = [event(777, SINCE - 5), *past_events(10)]
    scan(client.group, SINCE - 50_000, None, found, at=NOW + 5_000, kind="repair")
    pass_notices(client)
    client.pull()
    (mark,) = client.marks
    assert (mark.from_, mark.count) == (SINCE, 10)
    assert client.unequal == []


def test_until_the_history_is_sent_marks_stay_within_held() -> None:
    client = covered(past_events(1_200))
    scan(client.group, SINCE, None, past_events(1_200), at=NOW + 5_000, kind="repair")
    pass_notices(client)
    client.now = NOW + 5_000
    while not client.is_done():
        assert client.marks == []
        assert client.one() is not None
    client.pull()
    assert [mark.count for mark in client.marks] == [1_200]
    assert client.unequal == []


def test_counts_leave_out_events_up_to_the_base() -> None:
    client = covered(past_events(10))
    client.pull()
    client.group.ingest([event(99, NOW - 30)], "live")
    again = client.connect(base=10, held=None)
    again.held_items = {}
    again.pull()
    scan(client.group, SINCE, None, [*past_events(10), event(99, NOW - 30)], at=NOW + 5_000)
    pass_notices(again)
    again.pull()
    assert [mark.count for mark in again.marks] == [1]
    assert again.unequal == []


def test_pending_marks_are_bounded() -> None:
    client = SessionClient(covered(past_events(10)).group, TailQuery(since=SINCE, credit=0))
    client.pull()
    for step in range(1_000):
        at = NOW + 5_000 + 1_000 * step
        scan(client.group, at - 6_000, None, [event(10_000 + step, at)], at=at)
        pass_notices(client)
    assert len(client.session._marks) <= 256


# Gaps


def test_gaps_in_range_are_sent_after_every_welcome_and_when_they_change() -> None:
    group = log_group(past_events(1))
    group.declare_gap(SINCE - 10, SINCE - 1, "suspected", "before it")
    kept = group.declare_gap(SINCE - 10, SINCE, "suspected", "in it")
    group.take_notices()
    client = SessionClient(group, TailQuery(since=SINCE))
    client.pull()
    assert [one.reason for one in client.log if isinstance(one, Gap)] == ["in it"]
    change_gap(group, kept.id, "unrecoverable")
    pass_notices(client)
    client.pull()
    assert [one.state for one in client.log if isinstance(one, Gap)] == [
        "suspected",
        "unrecoverable",
    ]


def test_a_viewer_that_meets_very_many_gaps_gets_all_and_stays() -> None:
    group = log_group(past_events(1))
    count = GAPS_MAX + 5
    for at in range(count):
        group.declare_gap(NOW + 10 * at, NOW + 10 * at + 5, "unrecoverable", "gone")
    group.take_notices()
    client = SessionClient(group, TailQuery(since=SINCE))
    client.pull()
    assert sum(isinstance(one, Gap) for one in client.log) == count
    assert not any(isinstance(one, Bye) for one in client.log)


def test_of_a_gap_only_the_newest_state_waits() -> None:
    client = covered(past_events(1))
    client.pull()
    gap = client.group.declare_gap(NOW - 10, NOW, "suspected", "polls failed")
    change_gap(client.group, gap.id, "repairing")
    change_gap(client.group, gap.id, "repaired")
    pass_notices(client)
    assert [one.state for one in client.pull() if isinstance(one, Gap)] == ["repaired"]


# Requests


def test_verify_is_answered_in_order_and_clipped_to_since() -> None:
    client = covered(past_events(10))
    client.pull()
    client.session.receive(Verify(0, NOW))
    client.session.receive(Verify(NOW - 99_990, NOW - 99_960))
    first, second = client.pull()
    assert isinstance(first, DigestReply)
    assert isinstance(second, DigestReply)
    assert (first.from_, first.through, first.count) == (SINCE, NOW, 10)
    assert second.count == 4
    assert client.unequal == []


def test_verify_of_what_is_not_held_is_of_nothing() -> None:
    group = log_group(past_events(10))
    client = SessionClient(group, TailQuery(since=SINCE, credit=0))
    client.session.receive(Verify(NOW - 100_000, NOW))
    client.session.receive(Verify(0, 0))
    answers = [one for one in client.pull() if isinstance(one, DigestReply)]
    assert [one.count for one in answers] == [0, 0]
    assert all(one.from_ > one.through >= 0 for one in answers)


def test_repair_sends_a_range_again_and_closes_it_with_a_digest() -> None:
    client = covered(past_events(1_200))
    client.pull()
    client.log.clear()
    client.session._n = 0
    client.session.receive(Repair(NOW - 99_000, NOW - 90_000))
    pulled = client.pull()
    assert kinds(pulled) == ["Events", "Events", "DigestReply"]
    assert all(frame.after == frame.seq == 1_200 for frame in client.frames)
    sent = [item.timestamp for frame in client.frames for item in frame.items]
    assert sent == list(range(NOW - 99_000, NOW - 89_999, 10))
    assert client.unequal == []


def test_a_repair_sends_again_what_live_frames_brought_of_it_meanwhile() -> None:
    client = covered(past_events(1_200))
    client.pull()
    client.session.receive(Repair(SINCE, NOW))
    neutral: set[str] = set()
    group = client.group
    group.ingest([event(50_000, SINCE + 1)], "repair")
    while (message := client.one()) is not None:
        if isinstance(message, Events) and message.after == message.seq:
            neutral |= {item.id for item in message.items}
        if len(neutral) == 500:
            group.ingest([event(50_001, SINCE)], "live")
        if isinstance(message, DigestReply):
            assert message.count == len(neutral)
    assert {"50000", "50001"} <= neutral
    assert client.unequal == []


def test_waiting_requests_are_bounded() -> None:
    client = covered(past_events(1))
    client.pull()
    for _ in range(REQUESTS_MAX + 1):
        client.session.receive(Verify(0, NOW))
    (bye,) = client.pull()
    assert isinstance(bye, Bye)
    assert client.session.close_code == CLOSE_RATE_LIMITED
    assert client.session.is_over


# Ends


def ending(*found: LogEvent) -> SessionClient:
    group = log_group()
    group.lifecycle = Lifecycle.pattern("(?P<SUCCEEDED>exit 0)|(?P<FAILED>exit 1)")
    group._load_chain()
    group.ingest([*found], "live")
    return SessionClient(group, TailQuery(since=SINCE, filter=Filter(executions=("one",))))


def test_an_end_comes_after_done_and_again_with_another_count() -> None:
    last = event(2, NOW - 1_000, "exit 1")
    client = ending(event(1, NOW - 2_000), last)
    client.pull()
    for at in (NOW + 3_000, NOW + 6_000):
        scan(client.group, NOW - 60_000, None, [event(1, NOW - 2_000), last], at=at)
    pass_notices(client)
    client.pull()
    assert not any(isinstance(one, End) for one in client.log)
    scan(client.group, SINCE, NOW, [event(1, NOW - 2_000), last], at=NOW + 7_000, kind="backfill")
    client.pull()
    (end,) = [one for one in client.log if isinstance(one, End)]
    assert (end.execution, end.status, end.count) == ("one", "FAILED", 2)
    assert (end.from_, end.through) == (NOW - 2_000, NOW - 1_000)
    late = event(3, NOW - 1_500)
    for at in (NOW + 9_000, NOW + 12_000, NOW + 15_000):
        scan(client.group, NOW - 60_000, None, [event(1, NOW - 2_000), late, last], at=at)
    pass_notices(client)
    client.pull()
    assert [one.count for one in client.log if isinstance(one, End)] == [2, 3]
    assert client.unequal == []


def test_an_end_is_sent_to_viewers_that_connect_later_and_name_it() -> None:
    last = event(2, NOW - 1_000, "exit 0")
    client = ending(last)
    for at in (NOW, NOW + 3_000):
        scan(client.group, SINCE, None, [last], at=at)
    client.group.take_notices()
    for wanted, ends in (
        (Filter(executions=("one",)), 1),
        (Filter(streams=(ONE,)), 1),
        (Filter(executions=("two",)), 0),
        (Filter(), 0),
    ):
        later = SessionClient(client.group, TailQuery(since=SINCE, filter=wanted))
        later.pull()
        assert sum(isinstance(one, End) for one in later.log) == ends


# Bodies that must be fetched again


def test_missing_bodies_are_reported_before_welcome_and_later() -> None:
    client = covered(past_events(5))
    client.group.journal.retire(before=NOW - 100_000 + 40)
    assert client.session.missing_bodies == (NOW - 100_000 + 10, NOW - 100_000 + 30)
    client.pull()
    assert client.ids == ["4", "5"]
    assert not client.is_done()
    assert client.session.missing_bodies == (NOW - 100_000 + 10, NOW - 100_000 + 30)
    assert kinds(client.at(client.session.wake_at_ms)) == ["Heartbeat"]
    client.group.journal.restore({one: f"line {one}" for one in "123"})
    client.pull()
    assert client.ids == ["1", "2", "3", "4", "5"]
    assert client.is_done()
    assert client.session.missing_bodies is None


def test_a_resumed_viewer_needs_only_the_bodies_of_its_unsent_events() -> None:
    client = covered(past_events(5))
    client.pull()
    client.group.ingest([event(99, NOW)], "live")
    client.group.journal.retire(before=NOW)
    assert client.connect().session.missing_bodies is None
    client.group.journal.retire(before=NOW + 1)
    assert client.connect().session.missing_bodies == (NOW, NOW)


# The end of a connection


def test_bye_goes_before_everything_and_nothing_follows_it() -> None:
    client = covered(past_events(1_000))
    client.pull(3)
    client.session.bye("the forwarder is shutting down", retry_after_ms=500)
    (bye,) = client.pull()
    assert isinstance(bye, Bye)
    assert bye.retry_after_ms == 500
    assert client.session.is_over
    assert client.session.close_code == CLOSE_SHUTTING_DOWN
    client.group.ingest([event(9_999, NOW)], "live")
    assert client.at(NOW + 60_000) == []


def test_a_new_chain_ends_the_connection_with_or_without_a_notice() -> None:
    client = covered(past_events(3))
    client.pull()
    client.group.begin_chain(RECREATED)
    (bye,) = client.pull()
    assert isinstance(bye, Bye)
    again = client.connect()
    again.pull()
    assert again.welcome.outcome == "rebased"


def test_a_new_chain_before_welcome_is_just_the_journal() -> None:
    client = covered(past_events(3))
    scan(client.group, SINCE, None, past_events(3), at=NOW)
    pass_notices(client)
    client.group.begin_chain(RECREATED)
    client.group.ingest([event(1, NOW, stream=TWO)], "live")
    pass_notices(client)
    assert isinstance(client.one(), Welcome)
    client.pull()
    assert client.ids == ["1"]
    assert not any(isinstance(one, Mark) for one in client.log)


def test_n_is_dense_over_all_messages() -> None:
    client = covered(past_events(1_000))
    client.pull()
    client.at(client.session.wake_at_ms)
    assert [message.n for message in client.log] == list(range(1, len(client.log) + 1))


def test_lag_is_zero_while_the_viewer_has_everything() -> None:
    client = covered(past_events(3))
    client.pull()
    assert client.session.lag_ms(NOW + 9_000) == 0
    client.group.ingest([event(99, NOW)], "live")
    assert client.session.lag_ms(NOW + 9_000) == 9_000


def test_a_rule_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lanes, "advance_cursor", lambda _: None)
    client = SessionClient(log_group(), TailQuery(since=SINCE, filter=Filter(streams=(ONE,))))
    client.pull()
    client.group.ingest(past_events(5, TWO), "live")
    (beat,) = client.at(client.session.wake_at_ms)
    assert isinstance(beat, Heartbeat)
    assert (beat.sent_seq, beat.head_seq) == (0, 5)


# A session resumed at the head, with all of its history


def resumed(group: LogGroup, wanted: Filter | None = None) -> Session:
    query = TailQuery(
        since=SINCE, epoch=group.epoch, after=group.head_seq, filter=wanted or Filter()
    )
    session = Session(query, group, now_ms=NOW, slices=SliceReader(group.journal))
    assert kinds(drain(session)) == ["Welcome", "Backfill"]
    return session


def drain(session: Session) -> list[ServerMessage]:
    messages = []
    while (message := session.next(NOW)) is not None:
        messages.append(message)
    return messages


def five() -> LogGroup:
    return log_group(events(range(1, 6), lambda n: NOW - n))


def test_a_mark_describes_the_point_at_which_it_is_sent() -> None:
    session = resumed(five())
    session.group.ingest([event(9, NOW - 3)], "live")
    session.notice(ScanDone(SINCE - 50, NOW, NOW + 5, 6))
    frame, mark = drain(session)
    assert isinstance(frame, Events)
    assert isinstance(mark, Mark)
    assert (mark.from_, mark.through, mark.seq, mark.count) == (SINCE, NOW, 6, 6)


def test_the_cursor_goes_before_a_mark_where_the_filter_left_it_behind() -> None:
    session = resumed(five(), Filter(streams=(ONE,)))
    session.group.ingest([event(9, NOW, stream=TWO)], "live")
    session.notice(ScanDone(SINCE, NOW, NOW + 5, 6))
    frame, mark = drain(session)
    assert isinstance(frame, Events)
    assert (frame.seq, frame.items) == (6, [])
    assert isinstance(mark, Mark)


def test_a_scan_before_since_gives_no_mark() -> None:
    session = resumed(five())
    session.notice(ScanDone(0, SINCE - 1, NOW, 0))
    session._marks.add(ScanDone(0, SINCE - 1, NOW, 0))
    assert drain(session) == []


def test_answers_come_in_the_order_of_the_requests() -> None:
    session = resumed(five())
    session.receive(Repair(NOW - 2, NOW))
    session.receive(Verify(NOW - 1, NOW))
    frame, first, second = drain(session)
    assert isinstance(frame, Events)
    assert isinstance(first, DigestReply)
    assert (first.from_, first.through, first.count) == (NOW - 2, NOW, 2)
    assert isinstance(second, DigestReply)
    assert (second.from_, second.count) == (NOW - 1, 1)


def test_an_end_that_late_events_have_overtaken_is_not_sent() -> None:
    session = resumed(five(), Filter(executions=("one",)))
    session.notice(ExecutionEnd("one", "FAILED", NOW - 5, NOW - 1, 5))
    assert drain(session) == []
    assert session._ends == {}


def test_marks_of_another_journal_are_forgotten() -> None:
    group = five()
    session = Session(TailQuery(since=SINCE), group, now_ms=NOW, slices=SliceReader(group.journal))
    session.notice(ScanDone(SINCE, NOW, NOW, 0))
    session.notice(Reset("another", "recreated"))
    assert "Mark" not in kinds(drain(session))
    assert len(session._marks) == 0
