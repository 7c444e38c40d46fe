from __future__ import annotations

from typing import Any

import msgspec
import pytest

from simulator.oracle.accepted import SCAN_MS
from simulator.oracle.verdict import LedgerEvent, Verdict, judge
from tests.support.records import accepted, mark, record, shown

EVENT = accepted(10, "late", visible_ms=50)


def healed(seq: int = 7, **changed: object) -> dict[str, Any]:
    """The line of an event that was discovered under a seq."""
    return shown(EVENT, 1, seq=seq, **changed)


def judged(*lines: dict[str, Any], events: tuple[LedgerEvent, ...] = (EVENT,)) -> Verdict:
    return judge(events, record(lines))


def test_a_mark_that_came_before_what_it_claimed_lied_though_all_is_shown_now() -> None:
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
def test_a_mark_that_claimed_nothing_of_it_told_the_truth(claim: dict[str, Any]) -> None:
    assert judged(healed(), claim).clean


def test_the_borders_belong_to_what_is_claimed() -> None:
    assert judged(healed(), mark(10, 10, 50, seq=6)).marks_lied == 1


def test_what_another_journal_numbered_is_not_compared() -> None:
    claim = mark(0, 20, 50, seq=6)
    assert judged(healed(confirmed=False), claim).clean
    printed = healed()
    del printed["confirmed"]
    assert judged(printed, claim).clean, "what an earlier life printed does not say"


def test_two_forwarders_number_each_for_itself() -> None:
    lines = [healed(), mark(0, 20, 50, seq=6, target="b")]
    targets = [{"name": "a"}, {"name": "b"}]
    assert judge([EVENT], record(lines, targets=targets)).clean
    assert judge([EVENT], record(lines, targets=targets[1:])).marks_lied == 1


def test_a_mark_is_about_the_streams_that_were_asked_for() -> None:
    lines = [healed(), mark(0, 20, 50, seq=6)]
    assert judge([EVENT], record(lines, targets=[{"name": "", "streams": ["s/2"]}])).clean


def test_what_goes_away_under_a_scan_need_not_be_returned() -> None:
    claim = mark(0, 20, 50, seq=6)
    gone = msgspec.structs.replace(EVENT, vanished_ms=50 + SCAN_MS)
    assert judged(healed(), claim, events=(gone,)).marks_lied == 0
    later = msgspec.structs.replace(EVENT, vanished_ms=51 + SCAN_MS)
    assert judged(healed(), claim, events=(later,)).marks_lied == 1


def test_of_equal_events_each_may_be_the_one_that_was_there() -> None:
    twins = (EVENT, msgspec.structs.replace(EVENT, visible_ms=500))
    early, late = healed(5), shown(EVENT, 2, seq=9)
    assert judged(early, late, mark(0, 20, 60, seq=6), events=twins).clean
    assert judged(early, late, mark(0, 20, 500, seq=6), events=twins).marks_lied == 1
    assert judged(early, late, mark(0, 20, 60, seq=4), events=twins).marks_lied == 1
    # One is missing, the other came after the mark: one of them should have been there.
    assert judged(late, mark(0, 20, 60, seq=6), events=twins).marks_lied == 1


def test_among_many_it_is_found() -> None:
    events = tuple(accepted(number, f"m{number}", visible_ms=number) for number in range(3_000))
    lines = [shown(event, number, seq=number + 1) for number, event in enumerate(events)]
    claims = [mark(0, at, at, seq=at + 1) for at in range(0, 3_000, 100)]
    assert judged(*lines, *claims, events=events).clean
    lines[1_234]["seq"] = 3_001
    verdict = judged(*lines, *claims, events=events)
    assert verdict.marks_lied == sum(at >= 1_234 for at in range(0, 3_000, 100))
