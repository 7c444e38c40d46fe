"""tests.unit.simulator.oracle.test_verdict."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulator.cloudwatch.altered_texts import Alteration
from simulator.oracle.record import BRIEF_MS, SCAN_MS, LedgerEvent
from simulator.oracle.verdict import Verdict, judge
from tests.support.simulator.viewer_records import accepted, faithful, gap, mark, record, shown

EVENTS = [accepted(10 * number, f"m{number}", accepted_ms=10 * number) for number in range(1, 6)]


def findings(verdict: Verdict) -> dict[str, int]:
    """What is not as it should be."""
    names = (
        "lost",
        "undeclared",
        "pending",
        "duplicated",
        "misordered",
        "unexpected",
        "altered",
        "marks_lied",
    )
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_a_correct_record_is_clean() -> None:
    verdict = judge(EVENTS, record([*faithful(EVENTS), mark(0, 100, 200)]))
    assert findings(verdict) == {}
    assert verdict.clean
    assert (verdict.accepted, verdict.owed, verdict.shown, verdict.marks) == (5, 5, 5, 1)


def test_a_missing_event_is_lost_and_undeclared() -> None:
    verdict = judge(EVENTS, record(faithful(EVENTS)[1:]))
    assert findings(verdict) == {"lost": 1, "undeclared": 1}
    assert not verdict.clean
    assert not verdict.honest
    assert verdict.examples["lost"] == ["10 s/1 m1"]


@pytest.mark.parametrize("state", ["suspected", "repairing", "unrecoverable"])
def test_a_loss_that_the_viewer_declares_is_honest_but_not_clean(state: str) -> None:
    verdict = judge(EVENTS, record([*faithful(EVENTS)[1:], gap(5, 10, state)]))
    assert findings(verdict) == {"lost": 1}
    assert verdict.honest
    assert not verdict.clean


def test_lost_bodies_are_declared_too() -> None:
    lost = {"type": "lost", "from": 0, "through": 15, "reason": "retention"}
    assert findings(judge(EVENTS, record([*faithful(EVENTS)[1:], lost]))) == {"lost": 1}


def test_a_repaired_gap_declares_nothing() -> None:
    verdict = judge(EVENTS, record([*faithful(EVENTS)[1:], gap(5, 10, "repaired")]))
    assert findings(verdict) == {"lost": 1, "undeclared": 1}


def test_the_same_event_twice_is_duplicated() -> None:
    lines = faithful(EVENTS)
    verdict = judge(EVENTS, record([lines[0], *lines]))
    assert findings(verdict) == {"duplicated": 1}


def test_the_same_event_under_another_id_is_duplicated() -> None:
    lines = [*faithful(EVENTS), shown(EVENTS[-1], 99)]
    assert findings(judge(EVENTS, record(lines))) == {"duplicated": 1}


def test_equal_events_are_counted() -> None:
    twins = [accepted(10), accepted(10)]
    assert judge(twins, record(faithful(twins))).clean
    assert findings(judge(twins, record(faithful(twins[:1])))) == {"lost": 1, "undeclared": 1}
    # One of the two shown twice is not both of them.
    twice = record([shown(twins[0], 1), shown(twins[0], 1)])
    assert findings(judge(twins, twice)) == {"lost": 1, "undeclared": 1, "duplicated": 1}


def test_events_in_the_wrong_order_are_misordered() -> None:
    lines = faithful(EVENTS)
    lines[1], lines[2] = lines[2], lines[1]
    assert findings(judge(EVENTS, record(lines))) == {"misordered": 1}


def test_within_a_millisecond_ids_are_compared_as_numbers() -> None:
    twins = [accepted(10, "a"), accepted(10, "b")]
    right = [shown(twins[0], 9), shown(twins[1], 10)]
    assert judge(twins, record(right)).clean
    assert findings(judge(twins, record(right[::-1]))) == {"misordered": 1}


def test_an_event_never_accepted_is_unexpected() -> None:
    lines = [*faithful(EVENTS), shown(accepted(900, "invented"), 900)]
    assert findings(judge(EVENTS, record(lines))) == {"unexpected": 1}


@pytest.mark.parametrize("changed", [{"message": "m3 "}, {"timestamp": 31}, {"log_stream": "s/2"}])
def test_an_event_with_another_message_time_or_stream_is_altered(changed: dict[str, str]) -> None:
    lines = faithful(EVENTS)
    lines[2] |= changed
    assert findings(judge(EVENTS, record(lines))) == {"altered": 1}


def test_events_in_flight_may_be_shown_and_need_not_be() -> None:
    flying = accepted(900, "flying")
    lines = [*faithful(EVENTS), shown(flying, 900)]
    assert judge(EVENTS, record(lines), in_flight=[flying.identity]).clean
    assert judge(EVENTS, record(faithful(EVENTS)), in_flight=[flying.identity]).clean
    twice = [*lines, shown(flying, 901)]
    verdict = judge(EVENTS, record(twice), in_flight=[flying.identity])
    assert findings(verdict) == {"duplicated": 1}


def test_showing_nothing_is_not_clean_if_there_was_something() -> None:
    assert not judge(EVENTS, record([])).clean
    assert not judge(EVENTS, record([], targets=[{"since": 1_000}])).clean
    assert not judge(EVENTS, record([]), expected_before_ms=0).clean
    assert judge([], record([])).clean


def test_events_not_visible_yet_are_pending() -> None:
    hidden = accepted(60, "hidden", accepted_ms=60, visible_ms=500)
    events = [*EVENTS, hidden]
    verdict = judge(events, record(faithful(EVENTS)), expected_before_ms=500)
    assert findings(verdict) == {"pending": 1}
    assert verdict.clean
    late = judge(events, record(faithful(EVENTS)), expected_before_ms=501)
    assert findings(late) == {"lost": 1, "undeclared": 1}


def test_only_requested_events_are_owed() -> None:
    other = accepted(30, "other", stream="t/2")
    events = [*EVENTS, other]
    mine = faithful(EVENTS)
    for target in (
        {"filter": {"streams": ["s/1"]}},
        {"filter": {"executions": ["1"]}},
        {"filter": {"prefixes": ["s/"]}},
        {"name": "ws", "since": None, "filter": {"streams": ["s/1"], "executions": []}},
    ):
        verdict = judge(events, record(mine, targets=[target]))
        assert findings(verdict) == {}
        assert verdict.owed == 5
    since = judge(EVENTS, record(mine[2:], targets=[{"since": 30}]))
    assert since.clean
    assert since.owed == 3


def test_events_older_than_requested_may_be_shown() -> None:
    assert judge(EVENTS, record(faithful(EVENTS), targets=[{"since": 30}])).clean


def test_a_mark_over_a_missing_event_is_false() -> None:
    lines = faithful(EVENTS)[1:]
    verdict = judge(EVENTS, record([*lines, mark(0, 100, 200), mark(11, 100, 200)]))
    assert findings(verdict) == {"lost": 1, "undeclared": 1, "marks_lied": 1}
    assert not verdict.clean


def test_a_mark_is_about_what_was_visible_when_its_scan_began() -> None:
    event = accepted(10, accepted_ms=20, visible_ms=300)
    events = [event, accepted(5, "x")]
    lines = faithful(events[1:])
    assert judge(events, record([*lines, mark(0, 100, 299)])).marks_lied == 0
    assert judge(events, record([*lines, mark(0, 100, 300)])).marks_lied == 1


def test_a_mark_that_was_not_equal_claims_nothing() -> None:
    lines = [*faithful(EVENTS)[1:], mark(0, 100, 200, equal=False)]
    verdict = judge(EVENTS, record(lines))
    assert (verdict.marks, verdict.marks_lied) == (0, 0)


def test_a_mark_is_about_the_streams_of_its_target() -> None:
    targets = [{"name": name, "filter": {"streams": [name]}} for name in ("s/1", "t/2")]
    lines = faithful(EVENTS)[1:]
    for target, lies in ((0, 1), (1, 0)):
        judged = judge(EVENTS, record([*lines, mark(0, 100, 200, target=target)], targets=targets))
        assert judged.marks_lied == lies


def test_of_equal_events_the_one_seen_last_is_missing() -> None:
    twins = [accepted(10, visible_ms=500), accepted(10, visible_ms=20)]
    lines = [shown(twins[0], 1), mark(0, 100, 200)]
    assert judge(twins, record(lines)).marks_lied == 0


def test_examples_are_few_and_short() -> None:
    many = [accepted(number, "x" * 500) for number in range(100)]
    verdict = judge(many, record([]))
    assert verdict.lost == 100
    assert len(verdict.examples["lost"]) == 5
    assert max(map(len, verdict.examples["lost"])) < 200


def test_the_report_is_plain_data() -> None:
    report = judge(EVENTS, record(faithful(EVENTS))).report()
    assert report["clean"] is True
    assert report["honest"] is True
    assert report["lost"] == 0


def test_lone_surrogates_are_judged() -> None:
    event: LedgerEvent = accepted(10, "half \ud83d")
    assert judge([event], record(faithful([event]))).clean


def test_events_of_a_recreated_log_group_are_neither_lost_nor_unexpected() -> None:
    gone = [msgspec.structs.replace(one, vanished_ms=100) for one in EVENTS[:3]]
    events = [*gone, *EVENTS[3:]]
    assert judge(events, record(faithful(EVENTS))).clean, "what was read before may stay"
    verdict = judge(events, record([*faithful(EVENTS)[1:], mark(0, 60, 100)]))
    assert findings(verdict) == {}
    assert verdict.vanished == 1
    assert verdict.clean
    assert findings(judge(events, record(faithful(EVENTS)[:4]))) == {"lost": 1, "undeclared": 1}


def test_a_mark_is_false_over_a_missing_event_that_vanishes_later() -> None:
    events = [msgspec.structs.replace(EVENTS[0], vanished_ms=100 + SCAN_MS), *EVENTS[1:]]
    verdict = judge(events, record([*faithful(EVENTS)[1:], mark(0, 60, 99)]))
    assert findings(verdict) == {"marks_lied": 1}
    verdict = judge(events, record([*faithful(EVENTS)[1:], mark(0, 60, 100)]))
    assert findings(verdict) == {}, "it may have gone before the scan came to it"


def test_events_deleted_by_retention_must_be_declared() -> None:
    expired_ms = EVENTS[0].visible_ms + BRIEF_MS
    events = [msgspec.structs.replace(EVENTS[0], expired_ms=expired_ms), *EVENTS[1:]]
    assert judge(events, record(faithful(EVENTS))).clean, "what was read before is kept"
    shown_rest = faithful(EVENTS)[1:]
    assert findings(judge(events, record(shown_rest))) == {"lost": 1, "undeclared": 1}
    verdict = judge(events, record([*shown_rest, gap(5, 10, "unrecoverable")]))
    assert findings(verdict) == {}
    assert verdict.expired == 1
    assert verdict.clean


def test_events_that_came_and_went_between_two_scans_are_not_lost() -> None:
    expired_ms = EVENTS[0].visible_ms + BRIEF_MS - 1
    events = [msgspec.structs.replace(EVENTS[0], expired_ms=expired_ms), *EVENTS[1:]]
    shown_rest = faithful(EVENTS)[1:]
    verdict = judge(events, record(shown_rest))
    assert (findings(verdict), verdict.vanished) == ({}, 1)
    declared = judge(events, record([*shown_rest, gap(5, 10, "unrecoverable")]))
    assert (declared.vanished, declared.expired) == (0, 1)
    looked = judge(events, record([*shown_rest, mark(0, 60, 50)]))
    assert findings(looked) == {"marks_lied": 1}, "it was there when somebody looked"


def test_of_equal_events_the_deleted_one_is_missing() -> None:
    first, second = EVENTS[0], msgspec.structs.replace(EVENTS[0], visible_ms=5)
    events = [first, msgspec.structs.replace(second, vanished_ms=20)]
    verdict = judge(events, record(faithful([first])))
    assert findings(verdict) == {}
    assert (verdict.owed, verdict.vanished) == (2, 1)


def test_a_scan_of_flapping_events_may_miss_them() -> None:
    lines = [*faithful(EVENTS)[1:], mark(0, 60, 100)]
    assert judge(EVENTS, record(lines), unsteady=[(90, 100)]).marks_lied == 0
    assert judge(EVENTS, record(lines), unsteady=[(90, 99), (101, 200)]).marks_lied == 1


def test_the_clock_of_a_mark_may_be_wrong() -> None:
    lines = [*faithful(EVENTS)[1:], mark(0, 60, 105)]
    for clocks, lied in (
        ([], 1),
        ([(0, 200, 0)], 1),
        ([(0, 200, 96)], 0),  # it began at 9, and the event was visible at 10
        ([(0, 200, 95)], 1),
        ([(0, 8, 96), (8, 200, 0)], 1),  # at 9 the clock was right again
        ([(0, 9, 96), (8, 200, 0)], 0),  # or was it?
        ([(50, 200, 0), (200, 900, -500)], 1),
        ([(600, 900, -500)], 1),
        ([(106, 900, 0)], 0),  # at no moment that is known
    ):
        assert judge(EVENTS, record(lines), clocks=clocks).marks_lied == lied, clocks


def test_a_clock_that_is_ahead_may_be_corrected_by_the_second() -> None:
    lines = [*faithful(EVENTS)[1:], mark(0, 60, 1_009)]
    ahead = [(0, 5_000, 60_000)]
    assert judge(EVENTS, record(lines), clocks=ahead).marks_lied == 0
    lines[-1]["scanned_at"] = 1_010
    assert judge(EVENTS, record(lines), clocks=ahead).marks_lied == 1


# Altered texts: CloudWatch returned another one from 20,000 to 60,000.

ALTERATION = Alteration("x", 1.0, 1, 20_000, 60_000)
MASKED_EVENT = msgspec.structs.replace(
    accepted(10, "m 1"), other_text="m *", alterations=(ALTERATION,)
)
ALTERED_GAP = {**gap(5, 15, "repaired"), "reason": "altered: CloudWatch now returns another text"}


@pytest.mark.parametrize("text", ["m 1", "m *"])
def test_either_text_of_an_altered_event_may_be_shown(text: str) -> None:
    line = shown(MASKED_EVENT, 1, message=text)
    assert judge([MASKED_EVENT], record([line])).clean
    twice = judge([MASKED_EVENT], record([line, shown(MASKED_EVENT, 2)]))
    assert findings(twice) == {"duplicated": 1}


def test_no_third_text_may_be_shown_and_no_other_event_with_that_text() -> None:
    third = judge([MASKED_EVENT], record([shown(MASKED_EVENT, 1, message="m 2")]))
    assert findings(third) == {"altered": 1}
    plain = accepted(20, "m 1")
    verdict = judge([MASKED_EVENT, plain], record([shown(plain, 1, message="m *")]))
    assert findings(verdict)["altered"] == 1


def test_events_with_the_same_other_text_are_told_apart_by_their_number() -> None:
    twin = msgspec.structs.replace(MASKED_EVENT, message="m 2")
    real = accepted(10, "m *")
    events = [MASKED_EVENT, twin, real]
    both = [shown(MASKED_EVENT, number, message="m *") for number in (1, 2, 3)]
    assert judge(events, record(both)).clean
    assert findings(judge(events, record([*both, shown(real, 4)]))) == {"duplicated": 1}
    assert findings(judge(events, record([shown(twin, 1), *both[1:]]))) == {}
    assert findings(judge(events, record(both[:2]))) == {"lost": 1, "undeclared": 1}


@pytest.mark.parametrize(
    ("text", "scanned_at", "lied"),
    [
        ("m 1", 20_000, 0),
        ("m 1", 20_001, 1),
        ("m 1", 49_999, 1),
        ("m 1", 50_000, 0),
        ("m *", 9_999, 1),
        ("m *", 10_000, 0),
        ("m *", 60_000, 0),
        ("m *", 60_001, 1),
    ],
)
def test_a_mark_over_a_text_that_its_scan_did_not_return_is_false(
    text: str, scanned_at: int, lied: int
) -> None:
    lines = [shown(MASKED_EVENT, 1, message=text, seq=7), mark(0, 20, scanned_at, seq=7)]
    verdict = judge([MASKED_EVENT], record(lines))
    assert verdict.marks_lied == lied
    assert judge([MASKED_EVENT], record([*lines, ALTERED_GAP])).clean


def test_a_mark_that_says_nothing_of_an_altered_event_is_true() -> None:
    line = shown(MASKED_EVENT, 1, seq=7)
    claims = [mark(11, 20, 30_000, seq=7), mark(0, 9, 30_000, seq=7), mark(0, 20, 30_000, seq=6),
              mark(0, 20, 30_000, seq=7, confirmed=False)]  # fmt: skip
    for claim in claims[:2] + claims[3:]:
        assert judge([MASKED_EVENT], record([line, claim])).clean
    # The event of that seq was not numbered yet, which is another error.
    assert judge([MASKED_EVENT], record([line, claims[2]])).marks_lied == 1
    other = {**gap(11, 15, "repaired"), "reason": ALTERED_GAP["reason"]}
    lines = [line, mark(0, 20, 30_000, seq=7), other, gap(0, 20, "repaired")]
    assert judge([MASKED_EVENT], record(lines)).marks_lied == 1


EVENT = accepted(10, "late", visible_ms=50)


def healed(seq: int = 7, **changed: object) -> dict[str, Any]:
    """The line of an event that was discovered under a seq."""
    return shown(EVENT, 1, seq=seq, **changed)


def judged(*lines: dict[str, Any], events: tuple[LedgerEvent, ...] = (EVENT,)) -> Verdict:
    return judge(events, record(lines))


def test_a_mark_before_the_event_that_it_claims_is_false_although_all_is_shown_now() -> None:
    verdict = judged(healed(), mark(0, 20, 50, seq=6), mark(0, 20, 60, seq=7))
    assert (verdict.marks_lied, verdict.lost, verdict.clean) == (1, 0, False)
    assert verdict.examples == {"marks_lied": ["10 s/1 late"]}


@pytest.mark.parametrize(
    "claim",
    [
        mark(0, 20, 50, seq=7),
        mark(0, 20, 49, seq=6),
        mark(11, 20, 50, seq=6),
        mark(0, 9, 50, seq=6),
        mark(0, 20, 50, seq=6, equal=False),
        mark(0, 20, 50, seq=6, confirmed=False),
    ],
    ids=["it was there", "not visible yet", "later", "earlier", "refuted", "of another journal"],
)
def test_a_mark_that_does_not_cover_the_event_is_true(claim: dict[str, Any]) -> None:
    assert judged(healed(), claim).clean


def test_both_ends_belong_to_the_claimed_range() -> None:
    assert judged(healed(), mark(10, 10, 50, seq=6)).marks_lied == 1


def test_seqs_of_another_journal_are_not_compared() -> None:
    claim = mark(0, 20, 50, seq=6)
    assert judged(healed(confirmed=False), claim).clean
    printed = healed()
    del printed["confirmed"]
    assert judged(printed, claim).clean, "what an earlier life printed does not say"


def test_two_forwarders_number_each_for_itself() -> None:
    lines = [healed(), mark(0, 20, 50, seq=6, target=1)]
    targets = [{"name": "a"}, {"name": "b"}]
    assert judge([EVENT], record(lines, targets=targets)).clean
    assert judge([EVENT], record(lines, targets=targets[1:])).marks_lied == 1


def test_a_mark_is_about_the_streams_that_were_asked_for() -> None:
    lines = [healed(), mark(0, 20, 50, seq=6)]
    assert judge([EVENT], record(lines, targets=[{"filter": {"streams": ["s/2"]}}])).clean


def test_events_deleted_during_a_scan_need_not_be_returned() -> None:
    claim = mark(0, 20, 50, seq=6)
    gone = msgspec.structs.replace(EVENT, vanished_ms=50 + SCAN_MS)
    assert judged(healed(), claim, events=(gone,)).marks_lied == 0
    later = msgspec.structs.replace(EVENT, vanished_ms=51 + SCAN_MS)
    assert judged(healed(), claim, events=(later,)).marks_lied == 1


def test_of_equal_events_each_may_be_the_visible_one() -> None:
    twins = (EVENT, msgspec.structs.replace(EVENT, visible_ms=500))
    early, late = healed(5), shown(EVENT, 2, seq=9)
    assert judged(early, late, mark(0, 20, 60, seq=6), events=twins).clean
    assert judged(early, late, mark(0, 20, 500, seq=6), events=twins).marks_lied == 1
    assert judged(early, late, mark(0, 20, 60, seq=4), events=twins).marks_lied == 1
    # One is missing, the other came after the mark: one of them should have been there.
    assert judged(late, mark(0, 20, 60, seq=6), events=twins).marks_lied == 1


def test_one_late_event_is_found_among_many() -> None:
    events = tuple(accepted(number, f"m{number}", visible_ms=number) for number in range(3_000))
    lines = [shown(event, number, seq=number + 1) for number, event in enumerate(events)]
    claims = [mark(0, at, at, seq=at + 1) for at in range(0, 3_000, 100)]
    assert judged(*lines, *claims, events=events).clean
    lines[1_234]["seq"] = 3_001
    verdict = judged(*lines, *claims, events=events)
    assert verdict.marks_lied == sum(at >= 1_234 for at in range(0, 3_000, 100))
