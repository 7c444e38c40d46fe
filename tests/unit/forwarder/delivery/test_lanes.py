from __future__ import annotations

from forwarder.delivery.backfill import StartPoint, ViewerBackfill
from forwarder.delivery.frames import SliceReader
from forwarder.delivery.lanes import LIVE_RUN_MAX, EventCredit, Lanes, RangeRepair
from forwarder.ingest.log_group import LogGroup
from tests.support.forwarder.session_client import NOW, event, events, log_group
from wire.codec import decode_server
from wire.messages import Events
from wire.query import Filter, TailQuery

SINCE = NOW - 100_000
ONE, TWO = "app/one", "app/two"


def lanes_of(group: LogGroup, **query: object) -> Lanes:
    asked = TailQuery(since=SINCE, **query)  # type: ignore[arg-type] # the query's own fields
    start = StartPoint(asked, group.journal, NOW)
    backfill = ViewerBackfill(group, start)
    return Lanes(start, backfill, SliceReader(group.journal), EventCredit(asked.credit))


def pull(lanes: Lanes, group: LogGroup) -> list[Events]:
    frames: list[Events] = []
    while True:
        lanes.read_ahead(group.head_seq)
        frame = lanes.next_frame()
        if frame is None and not lanes.backfill.has_open_slice:
            return frames
        lanes.backfill.has_open_slice = False
        if frame is not None:
            frames.append(frame)


def test_history_frames_are_neutral_and_live_frames_move_the_cursor() -> None:
    group = log_group(events(range(1, 4), lambda n: NOW - n))
    lanes = lanes_of(group)
    group.ingest([event(9, NOW)], "live")
    live, neutral = pull(lanes, group)
    assert (live.after, live.seq, [item.id for item in live.items]) == (3, 4, ["9"])
    assert (neutral.after, neutral.seq) == (4, 4)
    assert [item.id for item in neutral.items] == ["1", "2", "3"]
    assert lanes.has_sent_all
    assert lanes.credit.sent == 4


def test_every_fourth_frame_is_history_among_many_live_ones() -> None:
    group = log_group(events(range(1, 1_501), lambda n: NOW - n))
    lanes = lanes_of(group)
    group.ingest(events(range(5_000, 9_000), lambda n: NOW + n), "live")
    neutral = [frame.after == frame.seq for frame in pull(lanes, group)]
    assert neutral[: 2 * (LIVE_RUN_MAX + 1)] == ([False] * LIVE_RUN_MAX + [True]) * 2


def test_credit_counts_all_lanes_together() -> None:
    group = log_group(events(range(1, 101), lambda n: NOW - n))
    lanes = lanes_of(group, credit=70)
    group.ingest(events(range(500, 560), lambda n: NOW + n), "live")
    assert [len(frame.items) for frame in pull(lanes, group)] == [60, 10]
    lanes.credit.grant(50)
    assert pull(lanes, group) == []
    lanes.credit.grant(75)
    assert [len(frame.items) for frame in pull(lanes, group)] == [5]


def test_a_slice_read_ahead_is_cut_again_if_history_used_the_credit() -> None:
    group = log_group(events(range(1, 2_001), lambda n: NOW - n))
    lanes = lanes_of(group, credit=2_300)
    group.ingest(events(range(5_000, 7_000), lambda n: NOW + n), "live")
    assert sum(len(frame.items) for frame in pull(lanes, group)) == 2_300
    lanes.credit.grant(10_000)
    pull(lanes, group)
    assert lanes.credit.sent == 4_000


def test_the_cursor_frame_covers_what_the_filter_leaves_out() -> None:
    group = log_group()
    lanes = lanes_of(group, filter=Filter(streams=(ONE,)))
    assert lanes.advance_cursor() is None
    group.ingest([event(1, stream=TWO), event(2, stream=TWO), event(3, stream=ONE)], "live")
    lanes.read_ahead(group.head_seq)
    frame = lanes.advance_cursor()
    assert frame is not None
    assert (frame.after, frame.seq, frame.items) == (0, 2, [])
    (frame,) = pull(lanes, group)
    assert (frame.after, frame.seq) == (2, 3)


def test_a_lane_that_waits_for_bodies_delays_no_other() -> None:
    group = log_group(events(range(1, 11), lambda n: NOW - n))
    group.journal.retire(before=NOW - 5)
    lanes = lanes_of(group)
    group.ingest([event(99, NOW)], "live")
    frames = pull(lanes, group)
    assert [item.id for frame in frames for item in frame.items] == ["99", *map(str, range(1, 6))]
    assert lanes.missing_bodies["history"] == (NOW - 10, NOW - 6)
    assert lanes.missing_bodies["live"] is None


def test_a_repair_shares_with_history_and_holds_live_at_its_end() -> None:
    group = log_group(events(range(1, 11), lambda n: NOW - n))
    lanes = lanes_of(group)
    pull(lanes, group)
    lanes.repair = RangeRepair(NOW - 3, NOW - 1, lanes.sent_seq)
    frames = pull(lanes, group)
    assert [item.id for frame in frames for item in frame.items] == ["3", "2", "1"]
    assert lanes.repair.is_done
    group.ingest([event(99, NOW)], "live")
    assert pull(lanes, group) == []
    lanes.repair = None
    assert len(pull(lanes, group)) == 1


def test_the_bytes_of_a_frame() -> None:
    group = log_group(events(range(1, 4), lambda n: NOW - n))
    lanes = lanes_of(group)
    (frame,) = pull(lanes, group)
    assert decode_server(b"".join(lanes.encode_frame(frame))) == frame
    other = Events(n=3, after=1, seq=1, items=frame.items[:1])
    assert decode_server(b"".join(lanes.encode_frame(other))) == other


def test_a_crossed_range_is_done_at_once() -> None:
    assert RangeRepair(5, 4, 0).is_done


def test_the_range_in_display_order_and_then_what_live_frames_brought_of_it() -> None:
    group = log_group(events(range(1, 21), lambda n: 100 - n))
    slices = SliceReader(group.journal)
    repair = RangeRepair(85, 95, sent_seq=20)
    found = repair.cut(slices, Filter(), 4, sent_seq=20, base=0)
    assert [item.timestamp for item in found.items] == [85, 86, 87, 88]
    repair.record_sent(found)
    assert repair.holds_live is bool(found.stop == "end")
    # Live frames bring an event before the repair's progress, one after it, one out of range.
    group.ingest([event(50, 86), event(51, 94), event(52, 99)], "live")
    seen = []
    while not repair.is_done:
        found = repair.cut(slices, Filter(), 4, sent_seq=23, base=0)
        seen.append([item.id for item in found.items])
        repair.record_sent(found)
    assert repair.holds_live
    assert seen[0] == ["11", "10", "9", "8"]
    assert {one for ids in seen for one in ids} == {*map(str, range(5, 12)), "50", "51"}


def test_events_up_to_the_base_are_left_out() -> None:
    group = log_group(events(range(1, 11), lambda n: n))
    slices = SliceReader(group.journal)
    repair = RangeRepair(0, 100, sent_seq=10)
    sent = []
    while not repair.is_done:
        found = repair.cut(slices, Filter(), 500, sent_seq=10, base=7)
        sent += [item.id for item in found.items]
        repair.record_sent(found)
    assert sent == ["8", "9", "10"]
