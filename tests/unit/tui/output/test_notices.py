"""One line on stderr at each change: of whether CloudWatch can be read, and of each gap."""

from __future__ import annotations

from forwarder.reconcile.feed import UNREAD
from tui.client.status import UpstreamProblem
from tui.lines.rows import Rule
from tui.output.notices import READABLE_AGAIN, GapNotices, UpstreamNotices

OK = UpstreamProblem()
EXPIRED = UpstreamProblem("credentials_expired", "run `aws sso login`")


def test_each_change_is_one_line() -> None:
    one = UpstreamNotices()
    seen = [one.take([problem], [""]) for problem in (None, OK, EXPIRED, EXPIRED, None, OK, OK)]
    assert seen == [[], [], [EXPIRED.reason], [], [], [READABLE_AGAIN], []]


def test_another_code_is_a_change_another_text_is_not() -> None:
    one = UpstreamNotices()
    assert one.take([EXPIRED], [""])
    assert one.take([UpstreamProblem(EXPIRED.code, "request 2")], [""]) == []
    assert one.take([UpstreamProblem("access_denied", "no")], [""]) == ["no"]


def test_several_targets_are_named() -> None:
    assert UpstreamNotices().take([OK, EXPIRED], ["/a", "/b"]) == [f"/b: {EXPIRED.reason}"]


def gap(state: str, reason: str, through_ms: int = 2_000, key: int = 7) -> Rule:
    return Rule(
        key=key,
        kind="gap",
        target=0,
        from_ms=1_000,
        through_ms=through_ms,
        state=state,
        reason=reason,
        count=0,
    )


def test_a_gap_is_printed_once_for_each_change() -> None:
    one = GapNotices()
    why, span = "answered inconsistently", "(1970-01-01T00:00:01.000Z..1970-01-01T00:00:02.000Z)"
    assert one.take([gap("suspected", why)]) == [f"gap suspected… {why} {span}"]
    assert one.take([gap("repairing", why), gap("suspected", why)]) == [], "scans repeat"
    assert one.take([gap("suspected", why, 9_000)]) == [], "a wider one is the same gap"
    assert one.take([gap("suspected", f"{why}; no permission")]) != []
    assert one.take([gap("unrecoverable", why)]) == [f"not recoverable: {why} {span}"]
    assert one.take([gap("unrecoverable", why)]) == [], "a reconnect sends it again"
    assert one.take([gap("unrecoverable", why, 9_000)]) != []
    assert one.take([gap("repaired", why)]) == [f"gap repaired {span}"]
    assert one.take([gap("repaired", why)]) == []


def test_a_gap_that_was_never_printed_is_repaired_in_silence() -> None:
    assert GapNotices().take([gap("repaired", "the live path missed events")]) == []


def test_the_gap_of_an_outage_is_left_to_the_reason_of_the_outage() -> None:
    one, why = GapNotices(), f"{UNREAD}: credentials expired"
    assert one.take([gap("suspected", why), gap("repairing", why), gap("repaired", why)]) == []
    assert one.take([gap("unrecoverable", why)]) != []
