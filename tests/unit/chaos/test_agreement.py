from __future__ import annotations

import pytest

from tests.chaos.agreement import CUT, claims_of, contradictions, rows_of

LIVE = " ● LIVE   /gapless/demo"
AWAY = " ✕ RECONNECTING   /gapless/demo  attempt 1"
GREEN = " ✔ COMPLETE to 12:04:31 · 3 provisional · 0 missing"
AMBER = " ○ verified to 12:04:31 · 40 s ago"
KEYS = " F follow  Space freeze"


def wrong_with(state: str, status: str) -> str:
    claims = claims_of({1: state, 2: "PASS 1/2 is only a log line", 3: status, 4: KEYS})
    assert claims is not None
    return "; ".join(contradictions(claims))


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (LIVE, f"{GREEN}  PASS 886/889 · 3 in flight  UTC"),
        (LIVE, f"{GREEN}  PASS 1,886/2,389 · 500 deleted · 3 in flight  UTC"),
        (LIVE, f"{GREEN}  PASS 889/889  UTC  following"),
        (LIVE, f"{GREEN}  WAIT 295/398 · 103 not here yet"),
        (LIVE, f"{GREEN}  WAIT 0/889 · 889 not here yet"),
        (LIVE, f"{GREEN}  WAIT 0/404 · no line is shown yet"),
        (LIVE, f"{AMBER}  PASS 367/479 · 112 i{CUT}  "),
        (LIVE, f"{AMBER}  PASS 367/479 · 1{CUT}"),
        (LIVE, GREEN),
        (AWAY, f"{AMBER}  WAIT 295/398 · 103 not here yet"),
        (AWAY, " ✕ 214 MISSING 12:00:10 to 12:00:14 · complete to 12:04:31  PASS 1/1"),
    ],
)
def test_screens_that_agree_with_themselves(state: str, status: str) -> None:
    assert not wrong_with(state, status)


@pytest.mark.parametrize(
    ("state", "status", "wrong"),
    [
        (AWAY, f"{GREEN}  PASS 889/889", "nothing newer can be verified"),
        (" ✕ CREDENTIALS EXPIRED   /gapless", GREEN, "nothing newer can be verified"),
        (LIVE, f"{GREEN}  PASS 886/889", "do not add up"),
        (LIVE, f"{GREEN}  PASS 1,886/2,389 · 3 in flight", "do not add up"),
        (LIVE, f"{GREEN}  WAIT 295/398 · 104 not here yet", "do not add up"),
        (LIVE, f"{AMBER}  PASS 480/479 · 1{CUT}", "do not add up"),
        (LIVE, f"{GREEN}  PASS 295/398 · 103 not here yet", "PASS although"),
        (LIVE, f"{GREEN}  FAIL 2 lost, 1 altered · 886/889", "FAIL"),
        (LIVE, f"{GREEN} · 2 MISSING 12:00:10", "green with a range"),
    ],
)
def test_screens_that_contradict_themselves(state: str, status: str, wrong: str) -> None:
    assert wrong in wrong_with(state, status)


def test_a_picture_without_a_status_line_claims_nothing() -> None:
    assert claims_of({1: LIVE, 2: "a line", 3: "another"}) is None
    assert claims_of({}) is None


def test_rows_are_read_from_terminal_output() -> None:
    written = "\x1b[1;1H\x1b[1mab\x1b[0m注d\r\n\x1b[2;1Hsecond row\x1b[1;2HX\x1b]0;title\x07"
    assert rows_of(written, 8) == {1: "aX注d   ", 2: "second r"}
