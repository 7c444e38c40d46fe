from __future__ import annotations

import pytest

from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client.holdings import Holdings, RangeRequest
from tui.client.status import EndStatus, MarkStatus, UnequalRange
from tui.lines.rows import TARGET_BITS
from wire.digest import digest_hex, event_digest
from wire.errors import WireError
from wire.messages import DigestBody, End, Item, Mark


def holding(*items: int, target: int = 0) -> Holdings:
    """Events one millisecond apart from SINCE on, in order."""
    holdings = Holdings(target)
    holdings.proof.since = SINCE
    holdings.store([item(one, SINCE + one) for one in items], live=True)
    return holdings


def test_a_line_has_every_field_of_its_event() -> None:
    holdings = Holdings(3)
    one = item(9, 2_000, "0007", message="hello", stream="s", ingestion_time=2_010)
    stored, keys = holdings.store([one], live=True)
    (line,) = stored.lines
    assert (line.id, line.timestamp, line.target, line.seq) == ("0007", 2_000, 3, 9)
    assert (line.stream, line.message, line.origin) == ("s", "hello", "live")
    assert (line.ingestion_time, line.late_ms, line.era) == (2_010, 0, 0)
    assert keys == [line.key]
    assert line.key & ((1 << TARGET_BITS) - 1) == 3


def test_a_batch_of_new_events_gives_the_same_lines_as_one_by_one() -> None:
    items = [
        item(one, SINCE + one * 10, origin="repair" if one % 3 else "live") for one in range(1, 30)
    ]
    for until in (0, 95, 500):  # nothing, some or all of their time was proved before
        apart, together = holding(), holding()
        for holdings in (apart, together):
            if until:
                holdings.compare_mark(ForwarderMessages([]).mark(SINCE, SINCE + until, 0), 1)
            assert holdings.proof.overlaps_verified(SINCE, SINCE + until) == bool(until)
        each = [line for one in items for line in apart.store([one], live=True)[0].lines]
        stored, keys = together.store(items, live=True)
        assert stored.lines == each
        assert keys == [line.key for line in each]
        assert together.counts == apart.counts
        assert together.counts.late == len([one for one in items if one.timestamp <= SINCE + until])


def test_nothing_of_a_malformed_batch_is_stored() -> None:
    holdings = Holdings()
    with pytest.raises(WireError):
        holdings.store([item(1, 2_000), item(2, 2_000, "no")], live=True)
    assert len(holdings.tally) == 0


def test_duplicates_are_counted_and_not_shown() -> None:
    holdings = holding(1, 2)
    stored, _ = holdings.store([item(2, SINCE + 2), item(3, SINCE + 3)], live=False)
    assert [line.seq for line in stored.lines] == [3]
    assert (holdings.counts.events, holdings.counts.duplicates) == (3, 1)


def test_changed_content_replaces_the_line() -> None:
    holdings = holding(1)
    stored, _ = holdings.store([item(1, SINCE + 1, message="other")], live=False)
    assert stored.lines == []
    assert [line.message for line in stored.confirmed] == ["other"]


def test_an_event_for_a_verified_time_is_late() -> None:
    holdings = holding(1)
    forwarder = ForwarderMessages([item(1, SINCE + 1)])
    holdings.compare_mark(forwarder.mark(SINCE, 5_000, 1, scanned_at=6_000), 1)
    late = item(2, 4_000, ingestion_time=4_042)
    unknown = item(3, 4_100)
    fetched = item(4, 4_200, origin="backfill")
    old = item(5, SINCE - 1, ingestion_time=SINCE)
    new = item(6, 5_001)
    stored, _ = holdings.store([late, unknown, fetched, old, new], live=True)
    assert [line.late_ms for line in stored.lines] == [42, 1_900, 0, 1, 0]
    assert holdings.counts.late == 3
    past, _ = holdings.store([item(7, 4_300)], live=False)
    assert past.lines[0].late_ms == 0


def test_events_that_only_a_scan_found_are_counted() -> None:
    holdings = Holdings()
    holdings.store([item(1, 2_000, origin="repair"), item(2, 2_001)], live=True)
    assert holdings.counts.repaired == 1


def test_an_empty_mark_is_equal_to_an_empty_range() -> None:
    holdings = holding()
    judged = holdings.compare_mark(ForwarderMessages().mark(SINCE, 5_000, 0), 1)
    assert judged.requests == []
    assert holdings.proof.complete_through == 5_000


def claimed(from_: int, through: int, seq: int, count: int, digest: str) -> DigestBody:
    return DigestBody(from_=from_, through=through, seq=seq, count=count, digest=digest)


def test_a_surplus_event_is_as_unequal_as_a_missing_one() -> None:
    holdings = holding(1, 2)
    forwarder = ForwarderMessages([item(1, SINCE + 1)])
    judged = holdings.compare_mark(forwarder.mark(SINCE, 5_000, 2), 1)
    assert [type(one) for one in judged.effects] == [MarkStatus, UnequalRange]
    assert judged.requests == [RangeRequest("repair", SINCE, 5_000, scanned=True)]
    assert (holdings.counts.marks, holdings.counts.marks_unequal) == (1, 1)


def test_equality_without_a_scan_verifies_nothing() -> None:
    holdings = holding(1)
    request = RangeRequest("verify", SINCE, 5_000, scanned=False)
    reply = ForwarderMessages([item(1, SINCE + 1)]).digest(SINCE, 5_000, 1)
    assert holdings.compare_answer(request, reply, (), 1).effects == []
    assert holdings.proof.complete_through is None


def test_an_unequal_verify_has_the_range_sent_again() -> None:
    holdings = holding(1)
    request = RangeRequest("verify", SINCE, 5_000, scanned=False)
    judged = holdings.compare_answer(request, claimed(SINCE, 5_000, 1, 2, "0" * 16), (), 1)
    assert judged.requests == [RangeRequest("repair", SINCE, 5_000, scanned=False)]


def test_an_answer_clipped_to_nothing_is_ignored() -> None:
    holdings = holding(1)
    request = RangeRequest("repair", SINCE, 5_000, scanned=True)
    judged = holdings.compare_answer(request, claimed(5_001, 5_000, 1, 0, "0" * 16), (), 1)
    assert (judged.effects, judged.requests) == ([], [])
    assert holdings.tally.unconfirmed == 0


def bounded() -> Holdings:
    """Holdings with the oldest thousand events and more dropped from the tally."""
    holdings = Holdings(tally_events=2_000)
    holdings.proof.since = SINCE
    holdings.store([item(one, SINCE + one) for one in range(1, 4_001)], live=True)
    assert holdings.floor_ms > SINCE
    assert len(holdings.tally) < 3_100
    return holdings


def test_of_a_mark_below_the_tally_only_the_upper_part_is_compared() -> None:
    holdings = bounded()
    judged = holdings.compare_mark(ForwarderMessages().mark(SINCE, 9_000, 4_000), 1)
    assert judged.effects == []
    assert judged.requests == [RangeRequest("verify", holdings.floor_ms, 9_000, scanned=True)]
    judged = holdings.compare_mark(ForwarderMessages().mark(SINCE, SINCE + 10, 4_000), 1)
    assert (judged.effects, judged.requests) == ([], [])


def test_below_the_tally_only_events_that_must_be_new_are_shown() -> None:
    holdings = bounded()
    again, _ = holdings.store([item(5, SINCE + 5)], live=False)
    assert again.lines == []
    assert holdings.counts.duplicates == 1
    new, _ = holdings.store([item(4_001, SINCE + 5), item(4_002, 9_000)], live=True)
    assert [line.seq for line in new.lines] == [4_001, 4_002]


def test_history_below_the_tally_is_shown_and_reported_as_uncompared() -> None:
    holdings = Holdings(tally_events=2_000)
    holdings.proof.since = 1
    assert not holdings.uncompared_ms
    shown: list[int] = []
    for high in range(6_000, 0, -500):  # the past comes newest first
        items = [item(one, 10 + one) for one in range(high - 499, high + 1)]
        stored, _ = holdings.store(items, live=False)
        shown += [line.seq for line in stored.lines]
    assert sorted(shown) == list(range(1, 6_001))
    assert holdings.counts.duplicates == 0
    assert holdings.floor_ms > 1
    assert holdings.uncompared_ms == holdings.floor_ms
    again, _ = holdings.store([item(5, 15), item(6, 16)], live=False)
    assert (again.lines, holdings.counts.duplicates) == ([], 2)


def test_a_range_verified_before_it_was_dropped_is_not_uncompared() -> None:
    holdings = bounded()
    assert holdings.uncompared_ms == holdings.floor_ms
    holdings.proof.add_verified(SINCE, holdings.floor_ms, 1)
    assert holdings.uncompared_ms is None


def test_two_targets_never_share_a_key() -> None:
    one, other = holding(1, target=0), holding(1, target=1)
    total = one.total(SINCE, 9_000, 1)
    assert total == other.total(SINCE, 9_000, 1)
    assert one.tally.keys_between(0, 1 << 300, 1) != other.tally.keys_between(0, 1 << 300, 1)


# An equal end says that the execution is over, not what was scanned

FAR_AHEAD = 90_000
FAR_ITEMS = [
    Item(1, "1", 1_000, None, "job/a", "begin", "live"),
    Item(2, "2", FAR_AHEAD, None, "job/a", "stamped ahead of the clock", "live"),
]
FAR_DIGEST = digest_hex(
    sum(event_digest(one.id, one.timestamp, one.stream, one.message) for one in FAR_ITEMS)
)


def far_end(digest: str = FAR_DIGEST) -> End:
    return End(
        execution="a",
        status="SUCCEEDED",
        from_=1_000,
        through=FAR_AHEAD,
        seq=2,
        count=2,
        digest=digest,
    )


def holding_far_ahead() -> Holdings:
    held = Holdings()
    held.proof.since = 1_000
    held.store(FAR_ITEMS, live=True)
    return held


def test_an_equal_end_verifies_nothing_beyond_the_marks() -> None:
    held = holding_far_ahead()
    mark = Mark(
        from_=1_000,
        through=5_000,
        scanned_at=7_000,
        seq=2,
        count=1,
        digest=digest_hex(event_digest("1", 1_000, "job/a", "begin")),
    )
    held.compare_mark(mark, 1)
    (ended,) = held.compare_end(far_end()).effects
    assert isinstance(ended, EndStatus)
    assert ended.equal
    assert held.proof.complete_through == 5_000


def test_an_unequal_end_is_compared_again_and_may_become_equal() -> None:
    held = Holdings()
    held.proof.since = 1_000
    held.store(FAR_ITEMS[:1], live=True)
    result = held.compare_end(far_end())
    (request,) = result.requests
    assert (request.kind, request.scanned) == ("verify", False)
    held.store(FAR_ITEMS, live=False)
    claim = claimed(1_000, FAR_AHEAD, 2, 2, FAR_DIGEST)
    (ended,) = held.compare_answer(request, claim, (), 1).effects
    assert isinstance(ended, EndStatus)
    assert ended.equal
    assert held.proof.complete_through is None
