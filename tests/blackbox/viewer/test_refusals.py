"""CloudWatch refuses: the reason comes on stderr at once, and what must end does."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    ScriptedCloudWatch,
    page,
    refusal,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until

pytestmark = pytest.mark.timeout(600)

GROUP = "/jobs/nightly"

REFUSALS = {
    "expired": (refusal("ExpiredTokenException", "The security token is expired"), "expired: "),
    "denied": (refusal("AccessDeniedException", "not authorized"), "AWS denies access: "),
    "deleted": (refusal("ResourceNotFoundException"), f"there is no log group '{GROUP}' in us-e"),
    "throttled": (refusal("ThrottlingException", "Rate exceeded"), "throttles calls in us-east-1"),
    "silent": (Reply(hold=threading.Event()), "CloudWatch Logs at http://127.0.0.1"),
    "gone": (Reply(closes=True), "can't reach CloudWatch Logs at http://127.0.0.1"),
    "clock": (
        refusal("InvalidSignatureException", "Signature expired: 2026 is now earlier than 2027"),
        "this machine's clock is wrong: ",
    ),
}


def figures(kind: str, what: str, begun_s: float) -> None:
    """Write how long something took; nothing is asserted of it, as the machine may be busy."""
    sys.stderr.write(f"FIGURE {kind}: {what} after {time.monotonic() - begun_s:.1f} s\n")


def working() -> Callable[[Asked], Reply]:
    """Three events, and an answer to every other call."""
    now_ms = time.time_ns() // 1_000_000
    events = [(number, now_ms - 60_000 + number, "s") for number in (1, 2, 3)]

    def reply(asked: Asked) -> Reply:
        if asked["operation"] != "FilterLogEvents":
            listed = f'{{"logGroups":[{{"logGroupName":"{GROUP}","creationTime":1}}]}}'
            return Reply(body=listed.encode())
        low, high = asked.get("startTime", 0), asked.get("endTime", 1 << 60)
        return page([one for one in events if low <= one[1] <= high])

    return reply


@pytest.fixture
def cloudwatch() -> Iterator[ScriptedCloudWatch]:
    with scripted_cloudwatch(working()) as scripted:
        yield scripted


def tail(cloudwatch: ScriptedCloudWatch, state: Path, *options: str) -> GaplessProcess:
    where = ("--endpoint-url", cloudwatch.url, "--region", "us-east-1")
    return GaplessProcess("tail", GROUP, *where, "--since", "10m", *options, state=state)


def until() -> str:
    """The present time, as --until takes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def has_line(process: GaplessProcess, text: str) -> bool:
    return any(text in line for line in process.err.so_far())


@pytest.mark.parametrize("kind", REFUSALS)
def test_the_reason_comes_at_once_and_a_run_without_follow_ends(
    kind: str, cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    reply, text = REFUSALS[kind]
    with tail(cloudwatch, tmp_path, "--output", "text") as following:
        following.out.wait_for(3, "lines")
        cloudwatch.default, works = lambda _: reply, cloudwatch.default
        begun_s = time.monotonic()
        wait_until(lambda: has_line(following, text), "the reason")
        figures(kind, "reason on stderr", begun_s)
        for end in (("--no-follow",), ("--until", until(), "--output", "text")):
            begun_s = time.monotonic()
            with tail(cloudwatch, tmp_path, *end, "--patience", "4s") as once:
                code = once.popen.wait(WAIT_S)
                figures(kind, f"{end[0]}, journal: exit {code}", begun_s)
                assert code == 4
                assert len(once.out.wait_end()) == 3, "what there is"
                [last] = [line for line in once.err.wait_end() if "not complete: " in line]
                assert text in last
                assert "..20" in last, f"the missing range: {last}"
        cloudwatch.default = works
        wait_until(lambda: has_line(following, "can be read again"), "the all-clear")
        told = [line for line in following.err.so_far() if text in line and "could not" not in line]
        # A silence becomes a timeout if the machine is busy.
        assert 1 <= len(told) <= (2 if kind == "silent" else 1), "one line at each change"


@pytest.mark.parametrize("follow", ["--until", "--no-follow"])
@pytest.mark.parametrize("kind", REFUSALS)
def test_a_forwarder_that_starts_while_cloudwatch_refuses(
    kind: str, follow: str, cloudwatch: ScriptedCloudWatch, tmp_path: Path
) -> None:
    reply, text = REFUSALS[kind]
    cloudwatch.default = lambda _: reply
    begun_s = time.monotonic()
    end = ("--until", until()) if follow == "--until" else (follow,)
    with tail(cloudwatch, tmp_path, *end, "--output", "text", "--patience", "4s") as once:
        code = once.popen.wait(WAIT_S)
        figures(kind, f"{follow}, no journal: exit {code}", begun_s)
        assert code == 3
        assert once.out.wait_end() == []
        assert any(text in line for line in once.err.wait_end())
