"""CloudWatch refuses: the reason comes on stderr at once, and what must end does."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.forwarder.refusals import GROUP, REFUSALS, working
from tests.support.forwarder.scripted_cloudwatch import ScriptedCloudWatch, scripted_cloudwatch
from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until

pytestmark = pytest.mark.timeout(600)

PATIENCE = ("--patience", "8s")
"""Long enough to be connected to the forwarder and to have what it has, on a busy machine."""


def figures(kind: str, what: str, begun_s: float) -> None:
    """Write how long something took; nothing is asserted of it, as the machine may be busy."""
    sys.stderr.write(f"FIGURE {kind}: {what} after {time.monotonic() - begun_s:.1f} s\n")


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
    refused = REFUSALS[kind]
    reply, text = refused.reply, refused.text
    with tail(cloudwatch, tmp_path, "--output", "text") as following:
        following.out.wait_for(3, "lines")
        cloudwatch.default, works = lambda _: reply, cloudwatch.default
        begun_s = time.monotonic()
        wait_until(lambda: has_line(following, text), "the reason")
        figures(kind, "reason on stderr", begun_s)
        for end in (("--no-follow",), ("--until", until(), "--output", "text")):
            begun_s = time.monotonic()
            with tail(cloudwatch, tmp_path, *end, *PATIENCE) as once:
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
    refused = REFUSALS[kind]
    reply, text = refused.reply, refused.text
    cloudwatch.default = lambda _: reply
    begun_s = time.monotonic()
    end = ("--until", until()) if follow == "--until" else (follow,)
    with tail(cloudwatch, tmp_path, *end, "--output", "text", *PATIENCE) as once:
        code = once.popen.wait(WAIT_S)
        figures(kind, f"{follow}, no journal: exit {code}", begun_s)
        assert code == 3
        assert once.out.wait_end() == []
        assert any(text in line for line in once.err.wait_end())
