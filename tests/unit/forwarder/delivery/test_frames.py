from __future__ import annotations

import pytest

from forwarder.delivery import frames as module
from forwarder.delivery.frames import ITEMS_BYTES_MAX, SliceReader, frame_parts
from tests.support.forwarder.session_client import event, log_group
from wire.codec import decode_server, encode
from wire.limits import FRAME_BYTES_MAX
from wire.messages import Events, Item
from wire.order import KEY_MAX, Interval
from wire.query import Filter

ALL = Filter()
ONE = Filter(streams=("one",))


def ids(items: list[Item]) -> list[str]:
    return [item.id for item in items]


def test_after_a_cursor_in_seq_order() -> None:
    group = log_group([event(number, 100 - number) for number in range(1, 6)])
    found = SliceReader(group.journal).after(2, ALL, 0, 500)
    assert ids(found.items) == ["3", "4", "5"]
    assert found.stop == "end"
    assert found.last is not None
    assert found.last.seq == 5


def test_not_more_than_500_nor_than_the_limit() -> None:
    group = log_group([event(number, number) for number in range(1, 1_203)])
    slices = SliceReader(group.journal)
    assert len(slices.after(0, ALL, 0, 9_999).items) == 500
    found = slices.after(0, ALL, 0, 7)
    assert ids(found.items) == [str(number) for number in range(1, 8)]
    assert found.stop == "full"


def test_without_room_a_slice_says_how_far_nothing_matches() -> None:
    group = log_group(
        [event(number, number, stream="two") for number in range(1, 40)],
        [event(40, 40, stream="one")],
    )
    found = SliceReader(group.journal).after(0, ONE, 0, 0)
    assert found.items == []
    assert found.stop == "full"
    assert found.last is not None
    assert found.last.seq == 39


def test_a_rare_stream_is_searched_for_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMINED_ROWS_MAX", 600)
    group = log_group(
        [event(number, number, stream="two") for number in range(1, 1_500)],
        [event(1_500, 1_500, stream="one")],
    )
    slices = SliceReader(group.journal)
    at, stops = 0, []
    while True:
        found = slices.after(at, ONE, 0, 500)
        stops.append(found.stop)
        assert found.last is not None
        at = found.last.seq
        if found.items:
            break
    assert ids(found.items) == ["1500"]
    assert set(stops[:-1]) == {"long"}


@pytest.mark.parametrize("text", ["x" * 90_000, "\x01" * 30_000, "\ud800" * 30_000, "é" * 90_000])
def test_frames_keep_within_a_megabyte_as_they_are_on_the_wire(text: str) -> None:
    group = log_group([event(number, number, text) for number in range(1, 60)])
    slices = SliceReader(group.journal)
    at, got = 0, []
    while at < group.head_seq:
        found = slices.after(at, ALL, 0, 500)
        assert found.last is not None
        message = Events(n=1, after=at, seq=found.last.seq, items=found.items)
        frame = b"".join(frame_parts(message, found.body))
        assert len(frame) <= FRAME_BYTES_MAX
        decoded = decode_server(frame)
        assert isinstance(decoded, Events)
        assert decoded.items == found.items
        got += ids(found.items)
        at = found.last.seq
    assert got == [str(number) for number in range(1, 60)]


def test_a_larger_event_goes_alone() -> None:
    group = log_group(
        [event(1, 1), event(2, 2, "\x01" * 400_000), event(3, 3, "\x01" * 400_000), event(4, 4)]
    )
    slices = SliceReader(group.journal)
    at, frames = 0, []
    while at < 4:
        found = slices.after(at, ALL, 0, 500)
        assert found.last is not None
        at = found.last.seq
        frames.append(ids(found.items))
        assert len(found.body) <= ITEMS_BYTES_MAX or len(found.items) == 1
    assert frames == [["1"], ["2"], ["3"], ["4"]]


def test_what_was_fetched_for_another_viewer_is_left_out() -> None:
    group = log_group([event(1, 10)])
    group.ingest([event(2, 5), event(3, 50)], "backfill")
    group.ingest([event(4, 5)], "repair")
    slices = SliceReader(group.journal)
    assert ids(slices.after(0, ALL, 20, 500).items) == ["1", "3", "4"]
    assert ids(slices.after(0, ALL, 0, 500).items) == ["1", "2", "3", "4"]


def test_one_slice_is_shared_by_viewers_at_the_same_place() -> None:
    group = log_group([event(number, 100) for number in range(1, 10)])
    slices = SliceReader(group.journal)
    first = slices.after(0, ALL, 0, 500)
    assert slices.after(0, ALL, 50, 500) is first
    assert slices.after(0, Filter(streams=("other",)), 0, 500).items == []
    assert slices.after(1, ALL, 0, 500) is not first
    assert slices.hits == 1


def test_a_slice_is_not_shared_where_since_makes_a_difference() -> None:
    group = log_group([event(1, 100)])
    group.ingest([event(2, 30)], "backfill")
    slices = SliceReader(group.journal)
    assert ids(slices.after(0, ALL, 20, 500).items) == ["1", "2"]
    assert ids(slices.after(0, ALL, 50, 500).items) == ["1"]
    assert ids(slices.after(0, ALL, 50, 500).items) == ["1"]
    assert slices.hits == 1
    assert ids(slices.after(0, ALL, 20, 500).items) == ["1", "2"]


def test_a_cached_slice_of_an_earlier_head_is_still_valid() -> None:
    group = log_group([event(1, 100)])
    slices = SliceReader(group.journal)
    slices.after(0, ALL, 0, 500)
    group.ingest([event(2, 100)], "live")
    found = slices.after(0, ALL, 0, 500)
    assert ids(found.items) == ["1"]
    assert found.last is not None
    assert ids(slices.after(found.last.seq, ALL, 0, 500).items) == ["2"]


def test_the_cache_is_bounded() -> None:
    group = log_group([event(number, number, "x" * 1_000) for number in range(1, 200)])
    slices = SliceReader(group.journal, cache_bytes_max=10_000)
    for at in range(150):
        slices.after(at, ALL, 0, 5)
    assert slices._cache_bytes <= 10_000
    assert len(slices._cache) < 10


def test_between_in_both_directions() -> None:
    group = log_group([event(number, number) for number in range(1, 101)])
    slices = SliceReader(group.journal)
    every = Interval(0, KEY_MAX)
    up = slices.between(every, ALL, 500, until_seq=50)
    assert ids(up.items) == [str(number) for number in range(1, 51)]
    down = slices.between(every, ALL, 60, until_seq=100, newest_first=True)
    assert ids(down.items) == [str(number) for number in range(100, 40, -1)]
    assert down.stop == "full"
    assert ids(slices.between(every, ALL, 500, until_seq=100, base=98).items) == ["99", "100"]


def test_rows_without_bodies_stop_it_and_lost_ones_are_left_out() -> None:
    group = log_group([event(number, number) for number in range(1, 11)])
    group.journal.retire(before=8)
    group.journal.restore({"1": "line 1"})
    group.journal.mark_lost(["2", "3"], "gone")
    found = SliceReader(group.journal).after(0, ALL, 0, 500)
    assert ids(found.items) == ["1"]
    assert found.stop == "bodies"
    assert found.bodies == (4, 7)
    assert found.lost == (2, 3)
    assert found.last is not None
    assert found.last.seq == 3


def test_filtered_rows_without_bodies_stop_nothing() -> None:
    group = log_group([event(1, 1, stream="two"), event(2, 2, stream="one")])
    group.journal.retire(before=2)
    found = SliceReader(group.journal).after(0, ONE, 0, 500)
    assert ids(found.items) == ["2"]
    assert found.stop == "end"


def test_a_slice_that_waits_for_bodies_is_not_cached() -> None:
    group = log_group([event(1, 1), event(2, 2)])
    group.journal.retire(before=3)
    group.journal.restore({"1": "line 1"})
    slices = SliceReader(group.journal)
    assert ids(slices.after(0, ALL, 0, 500).items) == ["1"]
    group.journal.restore({"2": "line 2"})
    assert ids(slices.after(0, ALL, 0, 500).items) == ["1", "2"]


def test_the_parts_of_a_frame_are_what_encode_makes() -> None:
    group = log_group([event(1, 1, 'a "quoted" line\n'), event(2, 2)])
    found = SliceReader(group.journal).after(0, ALL, 0, 500)
    message = Events(n=9, after=0, seq=2, items=found.items)
    assert b"".join(frame_parts(message, found.body)) == encode(message)
