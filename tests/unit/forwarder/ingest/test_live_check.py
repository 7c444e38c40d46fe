from __future__ import annotations

import pytest

from forwarder.ingest import live_check as module
from forwarder.ingest.live_check import CHANCE_MS, PROBATION_MS, SETTLING_MS, Agreement, Punctuality
from forwarder.ingest.scan import Ingested, Scan
from forwarder.records import LiveSource, LogEvent, Row

NOW = 1_795_000_000_000
OURS = LiveSource("1", ("f",))
OTHERS = LiveSource("2", ("f",))


def event(number: int, at: int = NOW, text: str | None = None, stream: str = "s") -> LogEvent:
    return LogEvent(str(number), at, None, stream, f"m{number}" if text is None else text)


def scan(number: int, begun_ms: int, *, head_seq: int = 1_000, from_: int = 0) -> Scan:
    def take(_scan: Scan, _events: object, _ends: object) -> Ingested:
        raise AssertionError

    return Scan(
        "live",
        from_,
        None,
        begun_ms=begun_ms,
        number=number,
        head_seq=head_seq,
        take=take,
        set_aside=lambda _scan, _events: None,
    )


def returned(one: Agreement, number: int, begun_ms: int, *events: LogEvent) -> None:
    """A whole scan, of one page."""
    made = scan(number, begun_ms)
    one.compare_page(made, events)
    one.finish_scan(made, 0)


def verdict(one: Agreement) -> tuple[str | None, str | None]:
    """Why no source can be trusted, and why rows must be removed."""
    return one.difference, one.refuted


def agreed() -> Agreement:
    one = Agreement()
    delivered = [event(number) for number in (1, 2, 3)]
    one.add_hints(OURS, delivered, NOW)
    returned(one, 1, NOW + 1_000, *delivered)
    assert one.admits(OURS)
    return one


def test_records_are_hints_until_scans_have_returned_enough_of_them() -> None:
    one = Agreement()
    delivered = [event(number) for number in (1, 2, 3)]
    one.add_hints(OURS, delivered, NOW)
    assert not one.admits(OURS)
    returned(one, 1, NOW + 1_000, *delivered[:2])
    assert not one.admits(OURS)
    returned(one, 2, NOW + 2_000, *delivered)
    assert one.is_trusted
    assert one.admits(OURS)
    assert one.returned_count == 3


def test_repeating_one_event_is_no_evidence() -> None:
    one = Agreement()
    for number in range(10):
        one.add_hints(OURS, [event(0)], NOW)
        returned(one, number + 1, NOW + number, event(0))
    assert not one.is_trusted


def test_a_source_with_other_ids_only_hints() -> None:
    one = Agreement()
    delivered = [event(number, text=f"text {number}") for number in (1, 2, 3)]
    one.add_hints(OURS, delivered, NOW)
    theirs = [event(number + 50, text=f"text {number}") for number in (1, 2, 3)]
    returned(one, 1, NOW + 1_000, *theirs)
    assert verdict(one)[0] is None  # its twin may not be visible yet
    returned(one, 2, NOW + module.OTHER_ID_MS, *theirs)
    assert one.difference == module.OTHER_IDS
    again = [event(number) for number in range(10, 20)]
    one.add_hints(OURS, again, NOW + 20_000)
    returned(one, 3, NOW + 30_000, *again)
    assert not one.is_trusted
    assert verdict(one)[1] is None  # nothing of it is in the journal


def test_late_twins_are_not_other_ids() -> None:
    one = Agreement()
    one.add_hints(OURS, [event(1, text="same")], NOW)
    returned(one, 1, NOW + 5_000, event(2, text="same"))
    returned(one, 2, NOW + 60_000, event(1, text="same"), event(2, text="same"))
    assert verdict(one)[0] is None
    assert one.returned_count == 1


def test_a_scan_that_broke_off_refutes_nothing() -> None:
    one = Agreement()
    one.add_hints(OURS, [event(1, text="same")], NOW)
    broken = scan(1, NOW + 60_000)
    one.compare_page(broken, [event(2, text="same")])
    one.abandon_scan(broken)
    returned(one, 2, NOW + 61_000)
    assert verdict(one)[0] is None


def test_the_same_id_with_another_text_differs() -> None:
    one = Agreement()
    one.add_hints(OURS, [event(1, text="transformed")], NOW)
    returned(one, 1, NOW + 1, event(1, text="as written"))
    assert one.difference == module.OTHER_TEXT


def test_each_account_and_filter_must_agree_separately() -> None:
    one = agreed()
    assert not one.admits(OTHERS)
    one.add_hints(OTHERS, [event(9, text="planted")], NOW)
    returned(one, 2, NOW + 60_000)
    assert not one.admits(OTHERS)
    assert one.admits(OURS)


def test_sources_are_bounded() -> None:
    one = Agreement()
    for number in range(module.SOURCES_MAX + 5):
        delivered = [event(number * 10 + part) for part in (1, 2, 3)]
        source = LiveSource(str(number), ())
        one.add_hints(source, delivered, NOW)
        returned(one, number + 1, NOW, *delivered)
        assert one.admits(source) == (number < module.SOURCES_MAX)


def test_rows_are_unscanned_until_a_scan_returns_them() -> None:
    one = agreed()
    one.add_rows(OURS, [event(4), event(5, NOW + 9)], 4, NOW, NOW - 1)
    late = scan(2, NOW + module.SUSPECT_MS)
    seen = [
        (row.seq, row.timestamp, row.is_overdue, row.arrived_ms) for row in one.unscanned_rows(late)
    ]
    assert seen == [(4, NOW, True, NOW - 1), (5, NOW + 9, True, NOW - 1)]
    assert [row.seq for row in one.unscanned_rows(scan(2, NOW, from_=NOW + 1))] == [5]
    assert [row.seq for row in one.unscanned_rows(scan(2, NOW, head_seq=4))] == [4]
    returned(one, 3, NOW + 1, event(4))
    assert [row.seq for row in one.unscanned_rows(late)] == [5]
    assert verdict(one)[1] is None


def test_rows_of_a_deleted_stream_or_past_retention_are_not_awaited() -> None:
    one = agreed()
    one.add_rows(OURS, [event(4), event(5, stream="t"), event(6, NOW - 10)], 4, NOW, None)
    one.forget_stream("t")
    one.finish_scan(scan(2, NOW + 1), NOW - 5)
    assert [row.seq for row in one.unscanned_rows(scan(3, NOW))] == [4]


def test_a_row_that_no_scan_returns_for_minutes_refutes_the_subscription() -> None:
    one = agreed()
    one.add_rows(OURS, [event(4)], 4, NOW, None)
    returned(one, 2, NOW + module.PHANTOM_MS - 1)
    assert verdict(one)[1] is None
    returned(one, 3, NOW + module.PHANTOM_MS)
    assert one.refuted == module.PHANTOM
    one.reset()
    assert verdict(one)[1] is None
    assert not one.admits(OURS)
    assert one.unscanned_rows(scan(4, NOW)) == []


def test_a_row_returned_with_another_text_or_id_refutes_the_subscription() -> None:
    one = agreed()
    one.add_rows(OURS, [event(4)], 4, NOW, None)
    returned(one, 2, NOW + 1, event(4, text="other"))
    assert one.refuted == module.OTHER_TEXT
    one = agreed()
    one.add_rows(OURS, [event(4, text="t")], 4, NOW, None)
    returned(one, 2, NOW + module.ROW_OTHER_ID_MS - 1, event(99, text="t"))
    assert verdict(one)[1] is None
    returned(one, 3, NOW + module.ROW_OTHER_ID_MS, event(99, text="t"))
    assert one.refuted == module.OTHER_IDS


def test_rows_of_an_earlier_process_are_adopted() -> None:
    one = Agreement()
    row = Row(7, "4", NOW, None, "s", "m4", "live", 0)
    one.adopt_rows([row], NOW)
    assert one.unscanned_rows(scan(1, NOW)) == []  # an earlier scan may have returned it
    returned(one, 1, NOW + 1, event(4))
    returned(one, 2, NOW + module.PHANTOM_MS)
    assert verdict(one)[1] is None
    one.adopt_rows([row], NOW)
    returned(one, 3, NOW + module.PHANTOM_MS)
    assert one.refuted == module.PHANTOM


def test_hints_are_bounded_and_expire() -> None:
    one = Agreement()
    many = [event(number) for number in range(module.HINTS_MAX + 10)]
    one.add_hints(OURS, many, NOW)
    assert len(one._awaited) == module.HINTS_MAX
    one.finish_scan(scan(1, NOW + module.PHANTOM_MS), 0)
    assert not one._awaited
    assert not one._timestamps
    assert not one._fingerprints


def test_new_events_are_hints_while_too_many_rows_are_unscanned() -> None:
    one = agreed()
    many = [event(number) for number in range(10, 10 + module.ROWS_MAX)]
    one.add_rows(OURS, many, 10, NOW, None)
    assert not one.admits(OURS)
    returned(one, 2, NOW + 1, many[0])
    assert one.admits(OURS)


@pytest.mark.parametrize("by_ms", [3_600_000, -3_600_000])
def test_a_clock_that_is_set_makes_no_row_older(by_ms: int) -> None:
    one = agreed()
    one.add_rows(OURS, [event(5)], 1, NOW + 1_000, None)
    under_way = scan(2, NOW + 1_100)
    now_ms = NOW + 1_500 + by_ms
    one.add_rows(OURS, [event(6)], 2, now_ms - 100, None)  # before the change was noticed
    one.shift_clock(by_ms, now_ms, 2)
    one.finish_scan(under_way, 0)
    returned(one, 3, now_ms)
    returned(one, 4, now_ms + module.PHANTOM_MS - 600)
    assert one.refuted is None
    assert len(one.unscanned_rows(scan(5, now_ms))) == 2
    returned(one, 6, now_ms + module.PHANTOM_MS)
    assert one.refuted == module.PHANTOM


LATER = NOW + SETTLING_MS


def read() -> Punctuality:
    one = Punctuality()
    one.note_read(0, NOW)
    return one


def test_what_is_delivered_right_after_a_scan_found_it_is_not_missed() -> None:
    one = read()
    one.expect([("a", LATER), ("b", LATER)])
    one.note_delivered(["a"], LATER)
    one.count_missed(LATER)
    assert one.count_missed(LATER + CHANCE_MS) == 1


def test_an_event_delivered_in_time_is_not_missed() -> None:
    one = read()
    one.expect([("1", LATER), ("2", LATER)])
    assert one.count_missed(LATER) == 0
    one.note_delivered(["1", "2", "3"], LATER + CHANCE_MS - 1)
    one.note_read(0, LATER + CHANCE_MS)
    assert one.count_missed(LATER + CHANCE_MS) == 0
    assert not one.is_late(LATER + CHANCE_MS)


def test_a_missed_event_makes_it_late_until_it_was_on_time_for_a_while() -> None:
    one = read()
    one.expect([("1", LATER), ("2", LATER)])
    one.count_missed(LATER)
    now = LATER + CHANCE_MS
    assert one.count_missed(now) == 2
    assert one.missed_count == 2
    one.note_read(0, now)
    assert one.is_late(now)
    silent = now + PROBATION_MS
    one.note_read(0, silent)
    assert one.is_late(silent)  # it has delivered nothing since
    one.note_delivered(["9"], silent)
    assert not one.is_late(silent)
    one.expect([("4", silent)])
    one.count_missed(silent)
    one.count_missed(silent + CHANCE_MS)
    one.note_delivered(["5"], silent + CHANCE_MS + 1)
    one.note_read(0, silent + CHANCE_MS + 1)
    assert one.is_late(silent + CHANCE_MS + 1)  # too soon after the miss


def test_events_ingested_before_reading_began_are_not_expected() -> None:
    one = Punctuality()
    one.expect([("0", LATER)])
    one.note_read(0, NOW)
    one.expect([("1", LATER - 1), ("2", None)])
    one.count_missed(NOW)
    assert one.count_missed(NOW + 10 * CHANCE_MS) == 0


def test_events_missed_while_it_cannot_be_read_are_excused() -> None:
    one = read()
    one.expect([("1", LATER)])
    one.count_missed(LATER)
    one.note_failure()
    assert one.count_missed(LATER + CHANCE_MS) == 0
    assert not one.had_time(LATER, LATER + 60_000)


def test_a_subscription_that_is_behind_or_not_read_is_late() -> None:
    one = read()
    assert not one.is_late(NOW + module.BEHIND_MAX_MS)
    assert one.is_late(NOW + module.BEHIND_MAX_MS + 1)
    one.note_read(module.BEHIND_MAX_MS + 1, NOW)
    assert one.is_late(NOW)


def test_when_it_had_time_to_deliver() -> None:
    one = read()
    assert one.had_time(LATER, LATER + CHANCE_MS)
    assert not one.had_time(LATER, LATER + CHANCE_MS - 1)
    assert not one.had_time(LATER - 1, LATER + CHANCE_MS)
    assert not one.had_time(None, LATER + CHANCE_MS)


def test_expected_events_are_bounded() -> None:
    one = read()
    one.expect((str(number), LATER) for number in range(module.EXPECTED_MAX + 100))
    one.count_missed(LATER)
    one.expect([("more", LATER)])
    assert one.count_missed(LATER + CHANCE_MS) == module.EXPECTED_MAX
