"""How the difference of the clocks is taken from answers, and told."""

from __future__ import annotations

import logging
from email.utils import formatdate
from typing import Any

import pytest

from forwarder.cloudwatch.skew import TOLD_MS, Skew
from forwarder.records import LogEvent

NOW = 1_795_000_000_000


def answer(at_ms: int, *ingested_ms: int | None) -> dict[str, Any]:
    """As the SDK gives it, with events that were ingested then."""
    events = [LogEvent("1", NOW, one, "s", "m") for one in ingested_ms]
    headers = {"date": formatdate(at_ms // 1000, usegmt=True)}
    return {"events": events, "ResponseMetadata": {"HTTPHeaders": headers}}


class Machine:
    """One whose clock is ahead of CloudWatch's, and that asks once a second."""

    def __init__(self) -> None:
        self.ahead = 0
        self.timer = 0
        self.skew = Skew(lambda: NOW + self.timer + self.ahead, lambda: self.timer)

    def hear(self, *ingested_ms: int | None, answer_ms: int | None = None) -> None:
        self.timer += 1_000
        at_ms = NOW + self.timer if answer_ms is None else answer_ms
        self.skew.heard(answer(at_ms, *ingested_ms), self.timer - 5, self.timer)


@pytest.mark.parametrize(
    "strange",
    [
        None,
        [],
        ([], None),
        {},
        {"ResponseMetadata": {}},
        {"ResponseMetadata": {"HTTPHeaders": None}},
        {"ResponseMetadata": {"HTTPHeaders": {}}},
        {"ResponseMetadata": {"HTTPHeaders": {"date": "yesterday"}}},
    ],
)
def test_what_does_not_tell_the_time_says_nothing(strange: object) -> None:
    skew = Skew(lambda: NOW, lambda: 0)
    skew.heard(strange, 0, 0)
    assert (skew.ms, skew.told_ms, skew.time.at_most(0)) == (0, 0, None)


def test_it_is_told_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine()
    with caplog.at_level(logging.WARNING):
        for ahead_ms in (0, 0, 60_000, 60_000, 61_000, 0, 0, -60_000, -60_000, 0):
            machine.ahead = ahead_ms
            machine.hear()
    said = [record.getMessage() for record in caplog.records]
    assert [one.split("'s", 1)[1].split(" CloudWatch")[0] for one in said] == [
        " clock is 59 s ahead of",
        " clock agrees with",
        " clock is 60 s behind",
        " clock agrees with",
    ]


def test_what_is_little_is_not_worth_a_word() -> None:
    machine = Machine()
    machine.ahead = TOLD_MS - 500
    machine.hear()
    assert machine.skew.ms > 0
    assert machine.skew.told_ms == 0
    machine.ahead = TOLD_MS + 1_500
    machine.hear()
    assert machine.skew.told_ms == machine.skew.ms


def test_the_latest_ingestion_refutes_a_date() -> None:
    machine = Machine()
    machine.ahead = 60_000
    machine.hear(None, NOW, NOW - 5, answer_ms=NOW - 3_600_000)
    assert machine.skew.ms == 0
    machine.hear(NOW)
    assert machine.skew.ms > 58_000
