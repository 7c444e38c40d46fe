"""CloudWatch's clock as ``Date`` headers show it, and the skew of this machine's clock."""

from __future__ import annotations

import logging
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import Any

import pytest

from forwarder.cloudwatch import clock
from forwarder.cloudwatch.clock import (
    CONTRADICTION_MS,
    REPLIES_MAX,
    REPORTED_MS,
    STRANGE_MS,
    ClockSkew,
    ServerClock,
    wall_clock,
)
from forwarder.errors import ConfigError
from forwarder.records import LogEvent


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "wall_clock_ms", lambda: 1_000_000)


@pytest.mark.usefixtures("wall")
def test_the_wall_clock_is_right_without_a_skew_file() -> None:
    assert wall_clock(None)() == 1_000_000


@pytest.mark.usefixtures("wall")
def test_the_wall_clock_is_wrong_by_the_current_value_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_bytes(bytes(8))
    now_ms = wall_clock(path)
    assert now_ms() == 1_000_000
    for offset_ms in (90_000, -90_000, 0):
        with path.open("r+b") as file:
            file.write(offset_ms.to_bytes(8, "little", signed=True))
        assert now_ms() == 1_000_000 + offset_ms


@pytest.mark.parametrize("content", [None, b"", b"1234567"])
def test_an_invalid_skew_file_is_a_config_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "clock"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="can't be used"):
        wall_clock(path)


NOW = 1_795_000_000_400
"""CloudWatch's clock where the timer is 0."""
HOUR = 3_600_000


def date(at_ms: int) -> str:
    return formatdate(at_ms // 1000, usegmt=True)


class Clocks:
    """CloudWatch's clock, the timer, and a wall clock with an error."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.timer = 0
        self.slept = 0
        self.ahead = ahead_ms
        skew = ClockSkew(lambda: self.wall, lambda: self.timer)
        self.time, self.held_back = skew.server, skew.now_ms

    @property
    def truth(self) -> int:
        return NOW + self.timer + self.slept

    @property
    def wall(self) -> int:
        return self.truth + self.ahead

    @property
    def skew(self) -> int:
        return self.time.skew_ms(self.wall, self.timer)

    def ask(
        self,
        header: str | None = None,
        *,
        there_ms: int = 10,
        back_ms: int = 10,
        pause_ms: int = 1_037,
        ingested_ms: int | None = None,
    ) -> None:
        """One call, with CloudWatch's own ``Date`` unless another is given."""
        asked = self.timer
        self.timer += there_ms
        header = date(self.truth) if header is None else header
        self.timer += back_ms
        self.time.observe(
            header,
            asked_at_ms=asked,
            at_ms=self.timer,
            wall_ms=self.wall,
            ingested_ms=ingested_ms,
        )
        self.timer += pause_ms


def test_without_an_answer_the_clock_is_as_it_is() -> None:
    clocks = Clocks(HOUR)
    assert (clocks.held_back(), clocks.skew) == (clocks.wall, 0)


@pytest.mark.parametrize("there_ms", [0, 10, 5_000])
@pytest.mark.parametrize("back_ms", [0, 10, 5_000])
def test_a_clock_that_is_right_is_never_held_back(there_ms: int, back_ms: int) -> None:
    clocks = Clocks()
    for _ in range(3 * REPLIES_MAX):
        clocks.ask(there_ms=there_ms, back_ms=back_ms)
        assert clocks.held_back() == clocks.wall
        assert clocks.skew == 0


@pytest.mark.parametrize("ahead_ms", [300, 5_000, HOUR, 24 * HOUR])
def test_a_clock_that_is_ahead_is_held_back_to_cloudwatchs(ahead_ms: int) -> None:
    clocks = Clocks(ahead_ms)
    clocks.ask()
    assert clocks.truth <= clocks.held_back() <= max(clocks.truth + 1_030, 0)
    for _ in range(REPLIES_MAX):
        clocks.ask()
        assert clocks.held_back() >= clocks.truth
    assert clocks.held_back() <= clocks.truth + 60
    assert ahead_ms - 60 <= clocks.skew <= ahead_ms


def test_a_clock_that_is_behind_claims_less_anyway() -> None:
    clocks = Clocks(-HOUR)
    for _ in range(REPLIES_MAX):
        clocks.ask()
    assert clocks.held_back() == clocks.wall
    assert -HOUR <= clocks.skew <= -HOUR + 60


def test_a_clock_that_is_set_while_it_runs_is_held_back_at_once() -> None:
    clocks = Clocks()
    for _ in range(5):
        clocks.ask()
    clocks.ahead = 60_000
    assert clocks.held_back() <= clocks.truth + 1_030
    clocks.ahead = 0
    assert clocks.held_back() == clocks.wall


@pytest.mark.parametrize(
    "header",
    [
        "",
        "garbage",
        "\0",
        "0",
        "Thu, 99 Foo 2026 25:61:61 GMT",
        "Mon, 23 Nov 99999 18:06:00 GMT",
        "Mon, 23 Nov 2026 18:06:00 +9999",
        formatdate(0, usegmt=True),
        date(NOW - STRANGE_MS - HOUR),
        date(NOW + STRANGE_MS + HOUR),
    ],
)
def test_an_invalid_date_is_ignored(header: str) -> None:
    clocks = Clocks(60_000)
    clocks.ask(header)
    assert (clocks.held_back(), clocks.skew) == (clocks.wall, 0)
    clocks.ask()
    held = clocks.held_back()
    clocks.ask(header, pause_ms=0, there_ms=0, back_ms=0)
    assert clocks.held_back() == held


def test_a_missing_date_is_ignored() -> None:
    time = ServerClock()
    time.observe(None, asked_at_ms=0, at_ms=1, wall_ms=NOW)
    assert time.latest_ms(5) is None


@pytest.mark.parametrize("header", ["Sat, 18 Nov 2026 11:06:40 GMT", "Wed Nov 18 11:06:40 2026"])
def test_the_other_forms_of_a_date_are_understood(
    header: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time = ServerClock()
    time.observe(header, asked_at_ms=0, at_ms=0, wall_ms=NOW)
    assert time.latest_ms(0) == 1_795_000_000_000 + 1_000


def test_a_single_date_that_is_later_is_not_believed() -> None:
    clocks = Clocks(HOUR)
    for _ in range(3):
        clocks.ask()
    clocks.ask(date(clocks.truth + HOUR))
    assert clocks.held_back() <= clocks.truth + 1_030
    clocks.ask()
    clocks.ask(date(clocks.truth + HOUR))
    assert clocks.held_back() <= clocks.truth + 1_030


def test_a_single_date_that_is_earlier_holds_back_until_the_answers_agree_again() -> None:
    clocks = Clocks()
    for _ in range(3):
        clocks.ask()
    clocks.ask(date(clocks.truth - HOUR))
    assert clocks.held_back() <= clocks.truth - HOUR + 1_030
    clocks.ask()
    clocks.ask()
    assert clocks.held_back() == clocks.wall


def test_a_machine_that_slept_is_right_after_two_answers() -> None:
    clocks = Clocks()
    for _ in range(5):
        clocks.ask()
    clocks.slept = HOUR
    assert clocks.held_back() < clocks.wall
    clocks.ask()
    clocks.ask()
    assert clocks.held_back() == clocks.wall


def test_the_date_of_a_proxy_whose_clock_is_behind_is_refuted_by_an_event() -> None:
    clocks = Clocks()
    for _ in range(3):
        clocks.ask(date(clocks.truth - HOUR))
    assert clocks.held_back() < clocks.wall - HOUR + 5_000
    clocks.ask(date(clocks.truth - HOUR), ingested_ms=clocks.truth)
    assert clocks.held_back() == clocks.wall
    clocks.ask(date(clocks.truth - HOUR))
    assert clocks.held_back() == clocks.wall


def test_an_ingestion_a_little_later_than_the_date_refutes_nothing() -> None:
    clocks = Clocks(HOUR)
    clocks.ask(ingested_ms=clocks.truth + CONTRADICTION_MS - 100)
    assert clocks.held_back() <= clocks.truth + 1_030


def test_an_impossible_ingestion_time_refutes_nothing() -> None:
    clocks = Clocks(HOUR)
    clocks.ask(ingested_ms=clocks.truth + 3 * STRANGE_MS)
    assert clocks.held_back() <= clocks.truth + 1_030


def test_it_never_says_less_than_the_truth_however_calls_take() -> None:
    random = Random(7)
    clocks = Clocks(HOUR)
    for _ in range(2_000):
        clocks.ask(
            there_ms=random.choice((0, 1, 30, 2_000)),
            back_ms=random.choice((0, 1, 30, 9_000)),
            pause_ms=random.choice((0, 500, 5_001)),
        )
        assert clocks.truth <= clocks.held_back() <= clocks.truth + 3_000


SKEW_NOW = 1_795_000_000_000


def answer(at_ms: int, *ingested_ms: int | None) -> dict[str, Any]:
    """As the SDK gives it, with events that were ingested then."""
    events = [LogEvent("1", SKEW_NOW, one, "s", "m") for one in ingested_ms]
    headers = {"date": formatdate(at_ms // 1000, usegmt=True)}
    return {"events": events, "ResponseMetadata": {"HTTPHeaders": headers}}


class Machine:
    """One whose clock is ahead of CloudWatch's, and that asks once a second."""

    def __init__(self) -> None:
        self.ahead = 0
        self.timer = 0
        self.skew = ClockSkew(lambda: SKEW_NOW + self.timer + self.ahead, lambda: self.timer)

    def hear(self, *ingested_ms: int | None, answer_ms: int | None = None) -> None:
        self.timer += 1_000
        at_ms = SKEW_NOW + self.timer if answer_ms is None else answer_ms
        self.skew.observe(answer(at_ms, *ingested_ms), self.timer - 5, self.timer)


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
def test_replies_without_a_date_are_ignored(strange: object) -> None:
    skew = ClockSkew(lambda: SKEW_NOW, lambda: 0)
    skew.observe(strange, 0, 0)
    assert (skew.ms, skew.reported_ms, skew.server.latest_ms(0)) == (0, 0, None)


def test_a_skew_is_logged_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
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


def test_a_small_skew_is_not_reported() -> None:
    machine = Machine()
    machine.ahead = REPORTED_MS - 500
    machine.hear()
    assert machine.skew.ms > 0
    assert machine.skew.reported_ms == 0
    machine.ahead = REPORTED_MS + 1_500
    machine.hear()
    assert machine.skew.reported_ms == machine.skew.ms


def test_the_latest_ingestion_refutes_a_date() -> None:
    machine = Machine()
    machine.ahead = 60_000
    machine.hear(None, SKEW_NOW, SKEW_NOW - 5, answer_ms=SKEW_NOW - 3_600_000)
    assert machine.skew.ms == 0
    machine.hear(SKEW_NOW)
    assert machine.skew.ms > 58_000


def test_a_process_that_is_stopped_between_its_clocks_has_no_wrong_clock(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stopped_ms = 0

    def read(begun_ms: int) -> int:
        nonlocal stopped_ms
        now_ms = begun_ms + stopped_ms
        stopped_ms += 5_000
        return now_ms

    skew = ClockSkew(lambda: read(SKEW_NOW), lambda: read(0))
    with caplog.at_level(logging.WARNING):
        skew.observe(answer(SKEW_NOW), 0, 0)
        assert (skew.ms, skew.reported_ms) == (0, 0)
    assert caplog.messages == []
