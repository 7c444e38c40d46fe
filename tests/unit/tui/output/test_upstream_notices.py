"""One line on stderr at each change of whether CloudWatch can be read."""

from __future__ import annotations

from tui.client.status import UpstreamProblem
from tui.output.upstream_notices import READABLE_AGAIN, UpstreamNotices

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
