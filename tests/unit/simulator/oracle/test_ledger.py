from __future__ import annotations

import json

import pytest

from simulator.acceptance import NEVER, NewEvent, Regime
from simulator.cloudwatch.altered_texts import Alteration, masked
from simulator.errors import SimulatorError
from simulator.oracle import ledger as module
from simulator.oracle.ledger import Ledger, as_line
from simulator.oracle.record import LedgerEvent
from tests.support.simulator.viewer_records import mark, record, shown

EVENT = NewEvent("s/1", 10, "m")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def line(event: NewEvent) -> dict[str, object]:
    return shown(LedgerEvent(event.stream, event.timestamp, event.message, 0, 0), 1)


def test_it_holds_what_was_accepted(ledger: Ledger) -> None:
    ledger.offer([EVENT, EVENT])
    assert len(ledger) == 0
    ledger.accept([EVENT], sent_ms=100, accepted_ms=105)
    assert len(ledger) == 1
    (event,) = ledger.events()
    assert json.loads(as_line(event)) == {
        "log_stream": "s/1",
        "timestamp": 10,
        "message": "m",
        "accepted_ms": 105,
        "visible_ms": 105,
    }


def test_an_event_in_flight_is_not_unexpected(ledger: Ledger) -> None:
    ledger.offer([EVENT])
    assert ledger.verdict(record([line(EVENT)])).unexpected == 0
    ledger.accept([], sent_ms=100, accepted_ms=105)
    assert ledger.verdict(record([line(EVENT)])).unexpected == 1


def test_it_knows_from_when_on_an_event_must_be_seen(ledger: Ledger) -> None:
    ledger.offer([EVENT])
    ledger.accept([EVENT], sent_ms=98, accepted_ms=103)
    ledger.visibility.impose(Regime("a", 50, 0, 1.0, 1, begin_ms=100))
    (event,) = ledger.events()
    assert event.visible_ms == 153
    ledger.visibility.heal("a", 120)
    (event,) = ledger.events()
    assert event.visible_ms == 120


def test_a_delay_that_ended_during_the_call_may_have_hit(
    ledger: Ledger,
) -> None:
    ledger.visibility.impose(Regime("a", 50, 0, 1.0, 1, begin_ms=1))
    ledger.visibility.impose(Regime("a", 5, 0, 1.0, 1, begin_ms=100))
    ledger.offer([EVENT])
    ledger.accept([EVENT], sent_ms=99, accepted_ms=101)
    (event,) = ledger.events()
    assert event.visible_ms == 149


def test_it_is_bounded(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEDGER_EVENTS_MAX", 1)
    ledger.offer([EVENT])
    ledger.accept([EVENT], sent_ms=1, accepted_ms=1)
    with pytest.raises(SimulatorError, match="the ledger is full"):
        ledger.offer([EVENT])


def test_events_sent_before_the_log_group_was_recreated_vanish(ledger: Ledger) -> None:
    for sent_ms in (100, 200, 201):
        ledger.offer([EVENT])
        ledger.accept([EVENT], sent_ms=sent_ms, accepted_ms=205)
    ledger.note_recreation(200)
    ledger.note_recreation(150)
    assert [one.vanished_ms for one in ledger.events()] == [200, 200, NEVER]


def test_retention_deletes_old_events_when_it_is_set_and_later(ledger: Ledger) -> None:
    events = [NewEvent("s/1", timestamp, "m") for timestamp in (10, 50, 90)]
    ledger.offer(events)
    ledger.accept(events, sent_ms=100, accepted_ms=100)
    ledger.note_retention(120, 80)
    assert [one.expired_ms for one in ledger.events()] == [120, NEVER, NEVER]
    verdict = ledger.verdict(record([]), expected_before_ms=131)
    assert (verdict.vanished, verdict.lost) == (2, 1), "two were there for an instant"
    declared = {"type": "lost", "from": 0, "through": 89, "reason": "retention"}
    verdict = ledger.verdict(record([declared]), expected_before_ms=131)
    assert (verdict.expired, verdict.lost, verdict.undeclared) == (2, 1, 1)


def test_no_mark_is_false_because_of_flapping_events(ledger: Ledger) -> None:
    ledger.offer([EVENT])
    ledger.accept([EVENT], sent_ms=100, accepted_ms=100)
    ledger.note_flapping("a", 200_000)
    ledger.note_healing("a", 300_000, 300_000)
    ledger.note_healing("b", 100_000, 100_000)

    def lied(scanned_at: int) -> int:
        return ledger.verdict(record([mark(0, 50, scanned_at)])).marks_lied

    assert [lied(at) for at in (189_999, 190_000, 300_000, 300_001)] == [1, 0, 0, 1]
    ledger.note_flapping("a", 400_000)
    assert [lied(at) for at in (300_001, 390_000, 1 << 50)] == [1, 0, 0]


def test_altered_texts_are_those_of_older_events_while_the_fault_is_on(ledger: Ledger) -> None:
    new = EVENT._replace(message="new")
    for event, at in ((EVENT, 100), (new, 50_000)):
        ledger.offer([event])
        ledger.accept([event], sent_ms=at, accepted_ms=at)
    ledger.note_alteration(Alteration("a", 0.0, 1, 60_000))
    assert [one.other_text for one in ledger.events()] == [None, None]
    ledger.note_alteration(Alteration("a", 1.0, 1, 59_999))
    old, young = ledger.events()
    assert (old.other_text, young.other_text) == (masked(EVENT.message), None)
    assert json.loads(as_line(old))["other_text"] == old.other_text
    assert "other_text" not in json.loads(as_line(young))
    ledger.note_healing("b", 70_000, 70_000)
    assert not next(ledger.events()).may_return(EVENT.message, 70_000)
    ledger.note_healing("a", 80_000, 80_001)
    old, _ = ledger.events()
    # A scan takes up to SCAN_MS, during which the texts may have changed.
    times = (49_998, 49_999, 59_999, 60_000, 70_000, 70_001, 80_001, 80_002)
    assert [old.may_return(EVENT.message, at) for at in times] == [True] * 3 + [False] * 2 + [
        True
    ] * 3
    other = masked(EVENT.message)
    assert [old.may_return(other, at) for at in times] == [False] + [True] * 6 + [False]
    assert not old.may_return("third", 65_000)


def test_the_forwarders_clock_is_known(ledger: Ledger) -> None:
    ledger.offer([EVENT])
    ledger.accept([EVENT], sent_ms=100, accepted_ms=100)
    ledger.note_clock(1_000, after_ms=50, before_ms=60)

    def lied(scanned_at: int) -> int:
        return ledger.verdict(record([mark(0, 50, scanned_at)])).marks_lied

    assert [lied(at) for at in (55, 1_055, 1_099, 1_100)] == [0, 0, 0, 1]
    ledger.note_clock(0, after_ms=150, before_ms=160)
    assert [lied(at) for at in (1_100, 1_160, 160, 155)] == [1, 1, 1, 1]


@pytest.mark.parametrize("message", ["plain", "ä\u2028\U0001f600\x00", "\ud800 alone"])
def test_a_line_has_every_message(message: str) -> None:
    line = as_line(LedgerEvent("a", 1, message, 2, 3))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line)["message"] == message
