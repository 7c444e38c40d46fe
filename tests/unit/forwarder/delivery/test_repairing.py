from __future__ import annotations

from forwarder.delivery.frames import Slices
from forwarder.delivery.repairing import Repairing
from tests.support.session_client import event, events, log_group
from wire.query import Filter


def test_a_crossed_range_is_done_at_once() -> None:
    assert Repairing(5, 4, 0).is_done


def test_the_range_in_display_order_and_then_what_live_frames_brought_of_it() -> None:
    group = log_group(events(range(1, 21), lambda n: 100 - n))
    slices = Slices(group.journal)
    repairing = Repairing(85, 95, sent_seq=20)
    found = repairing.cut(slices, Filter(), 4, sent_seq=20, base=0)
    assert [item.timestamp for item in found.items] == [85, 86, 87, 88]
    repairing.sent(found)
    assert repairing.holds_live is bool(found.why == "end")
    # A live frame brings one behind what was sent, one before it, one beyond the range.
    group.ingest([event(50, 86), event(51, 94), event(52, 99)], "live")
    seen = []
    while not repairing.is_done:
        found = repairing.cut(slices, Filter(), 4, sent_seq=23, base=0)
        seen.append([item.id for item in found.items])
        repairing.sent(found)
    assert repairing.holds_live
    assert seen[0] == ["11", "10", "9", "8"]
    assert {one for ids in seen for one in ids} == {*map(str, range(5, 12)), "50", "51"}


def test_what_lies_up_to_the_base_is_left_out() -> None:
    group = log_group(events(range(1, 11), lambda n: n))
    slices = Slices(group.journal)
    repairing = Repairing(0, 100, sent_seq=10)
    sent = []
    while not repairing.is_done:
        found = repairing.cut(slices, Filter(), 500, sent_seq=10, base=7)
        sent += [item.id for item in found.items]
        repairing.sent(found)
    assert sent == ["8", "9", "10"]
