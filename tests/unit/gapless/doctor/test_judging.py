from __future__ import annotations

from errno import EACCES, EADDRINUSE, EADDRNOTAVAIL

import pytest

from gapless.doctor.findings import Finding, as_lines, exit_code
from gapless.doctor.judging import (
    FREE_ENOUGH,
    FREE_LEAST,
    JournalFacts,
    TerminalFacts,
    WayFacts,
    judge_forwarder,
    judge_journal,
    judge_loopback,
    judge_port,
    judge_terminal,
)

XTERM = {"TERM": "xterm-256color"}
ADDRESS = "ws://logs:1/v1/tail"


@pytest.mark.parametrize(
    ("facts", "state", "what", "remedy"),
    [
        (JournalFacts("/s", 0o700, FREE_ENOUGH), "ok", "/s can be written, 1.0 GiB free", ""),
        (JournalFacts("/s"), "ok", "/s can be written", ""),
        (JournalFacts("/s", 0o700, FREE_ENOUGH - 1), "warn", "are left", "--retain-size"),
        (JournalFacts("/s", 0o700, FREE_LEAST - 1), "fail", "almost full", "gapless purge"),
        (JournalFacts("/s", 0o755, FREE_ENOUGH), "warn", "(mode 0755)", "chmod 700 /s"),
        (
            JournalFacts("/s", error="the journal: disk full: make room"),
            "fail",
            "full",
            "make room",
        ),
        (JournalFacts("/s", error="it is broken"), "fail", "it is broken", ""),
    ],
)
def test_the_journal(facts: JournalFacts, state: str, what: str, remedy: str) -> None:
    found = judge_journal(facts)
    assert found.state == state
    assert what in found.what
    assert (remedy in found.remedy) if remedy else not found.remedy


@pytest.mark.parametrize(
    ("env", "window", "encoding", "state", "says"),
    [
        (XTERM, (80, 24), "utf-8", "ok", "xterm-256color, 80x24, UTF-8, 256 colours"),
        (XTERM | {"COLORTERM": "truecolor"}, (80, 24), "UTF8", "ok", "all colours"),
        (XTERM | {"NO_COLOR": "1"}, (80, 24), "utf-8", "ok", "no colours, as NO_COLOR demands"),
        ({"TERM": "vt100"}, (80, 24), "utf-8", "warn", "few colours: set TERM="),
        ({"TERM": "dumb"}, (80, 24), "utf-8", "fail", "TERM is dumb, so no screen"),
        ({}, (80, 24), "utf-8", "fail", "TERM is not set, so no screen"),
        (XTERM, (59, 24), "utf-8", "warn", "59x24 is small: enlarge it to 60x12"),
        (XTERM, (80, 11), "utf-8", "warn", "80x11 is small: enlarge it to 60x12"),
        (XTERM, (80, 24), "ascii", "warn", "its encoding is ascii"),
        ({}, None, "utf-8", "ok", "none, so commands print text"),
    ],
)
def test_the_terminal(
    env: dict[str, str], window: tuple[int, int] | None, encoding: str, state: str, says: str
) -> None:
    found = judge_terminal(TerminalFacts(env, window, encoding))
    assert found.state == state
    assert says in f"{found.what}: {found.remedy}"


@pytest.mark.parametrize(
    ("port", "error", "state", "says"),
    [
        (0, None, "ok", "h has free ports"),
        (1, None, "ok", "port 1 of h is free"),
        (1, OSError(EADDRINUSE, "in use"), "fail", "port 1 of h is in use: give `forward` another"),
        (1, OSError(EACCES, "denied"), "fail", "can't listen on port 1 of h (denied): give a"),
        (1, OSError(EADDRNOTAVAIL, "no"), "fail", "can't listen on port 1 of h (no): check --host"),
    ],
)
def test_the_port(port: int, error: OSError | None, state: str, says: str) -> None:
    found = judge_port("h", port, error)
    assert found.state == state
    assert says in f"{found.what}: {found.remedy}"


def test_loopback() -> None:
    assert judge_loopback(WayFacts("h")).state == "ok"
    found = judge_loopback(WayFacts("h", "timed out"))
    assert found.state == "fail"
    assert "(timed out)" in found.what
    assert "firewall" in found.remedy


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (WayFacts(ADDRESS, "no", is_alive=True), "WebSockets to ws://logs:1/v1/tail are blocked"),
        (WayFacts(ADDRESS, "no"), "can't reach ws://logs:1/v1/tail (no): check the address"),
        (WayFacts(ADDRESS, "bad token", 401, is_answered=True), "refuses this client (bad token)"),
        (WayFacts(ADDRESS, "which?", 400, is_answered=True), "answers: which?: give the address"),
    ],
)
def test_the_way_to_a_forwarder(facts: WayFacts, says: str) -> None:
    (found,) = judge_forwarder(facts)
    assert (found.check, found.state) == ("WebSocket", "fail")
    assert says in f"{found.what}: {found.remedy}"


def test_what_a_forwarder_says_of_itself() -> None:
    upstream = {"/a": {"state": "refused", "code": "x", "reason": "denied: allow it"}}
    ready = {"ready": True, "clock_ahead_ms": -3_000, "upstream": upstream}
    way, refused, clock = judge_forwarder(WayFacts(ADDRESS, ready=ready))
    assert way.state == "ok"
    assert refused == Finding("forwarder", "fail", "/a", "denied: allow it")
    assert (clock.state, clock.what) == ("warn", "its clock is 3 s behind")
    _, starting = judge_forwarder(WayFacts(ADDRESS, ready={"error": "the journal is full: x"}))
    assert starting == Finding("forwarder", "fail", "the journal is full", "x")


def test_lines_stand_below_each_other_and_failures_decide_the_exit_code() -> None:
    findings = [Finding("a", "ok", "fine"), Finding("long", "warn", "so\nso\x1b", "do it")]
    assert as_lines(findings) == [
        ("ok", "ok    a     fine"),
        ("warn", "warn  long  so so\\x1b: do it"),
    ]
    assert exit_code(findings) == 0
    assert exit_code([*findings, Finding("b", "fail", "broken")]) == 1
