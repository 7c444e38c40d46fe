"""Feeds of events that match a filter pattern, on the stand-in and on an unpatched moto.

Each test compares what matches among the accepted events with the viewer's output and record.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.support.network.cable import Cable
from tests.support.processes.gapless_processes import Viewer, clean_environment, forwarder
from tests.support.processes.log_writer import (
    CLEAN,
    Ledger,
    Load,
    Written,
    compare,
    events_of,
    now_ms,
)
from tests.support.processes.moto_server import RawMoto, raw_moto, stand_in

GROUP = "/jobs/nightly"
STREAMS = ("job/main/aaaa", "job/main/bbbb", "job/main/cccc")

pytestmark = pytest.mark.timeout(600)


class Filtered(NamedTuple):
    """A CloudWatch, a filter pattern that it understands, and what that matches."""

    moto: RawMoto
    pattern: str
    matches: Callable[[str], bool]

    def among(self, written: list[Written]) -> list[Written]:
        return [one for one in written if self.matches(one[2])]


def line(number: int) -> str:
    """A line of JSON; every third one is an error."""
    return json.dumps({"level": "ERROR" if number % 3 == 0 else "info", "n": number})


@pytest.fixture(params=["moto", "stand-in"])
def filtered(request: pytest.FixtureRequest) -> Iterator[Filtered]:
    """Moto matches words alone; the stand-in understands AWS's language."""
    if request.param == "moto":
        with raw_moto() as server:
            yield Filtered(server, "ERROR", lambda message: "ERROR" in message)
        return
    with stand_in() as server:
        pattern = '{ $.level = "ERROR" && $.n > 10 }'
        yield Filtered(server, pattern, lambda text: "ERROR" in text and json.loads(text)["n"] > 10)


@pytest.fixture
def ledger(filtered: Filtered) -> Iterator[Ledger]:
    one = Ledger(filtered.moto, GROUP, STREAMS)
    yield one
    one.close()


def gapless(
    state: Path, moto: RawMoto, command: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    aws = ("--endpoint-url", moto.url, "--region", "us-east-1")
    return subprocess.run(
        [sys.executable, "-m", "gapless", command, *arguments, *aws],
        env=clean_environment(state),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def settle(viewer: Viewer, wanted: list[Written]) -> None:
    """Wait until the viewer is verified, then compare its output and record."""
    viewer.wait_shown(len(wanted))
    viewer.wait_complete(max(timestamp for _, timestamp, _ in wanted))
    record = viewer.finish()
    assert compare(wanted, events_of(record)) == CLEAN
    assert compare(wanted, viewer.shown()) == CLEAN
    marks = [one for one in record if one["type"] == "mark"]
    assert marks
    assert marks[-1]["equal"] is True


def test_kills_under_load_lose_nothing_that_matches_and_add_nothing_else(
    filtered: Filtered, ledger: Ledger, tmp_path: Path
) -> None:
    moto, pattern = filtered.moto, filtered.pattern
    with forwarder(GROUP, moto.url, tmp_path) as first:
        websocket = urlsplit(first.ready()["websocket"])
        with (
            # The cable keeps the port while no forwarder runs.
            Cable(websocket.port or 0) as cable,
            Load(ledger, 200, make=line) as load,
            Viewer(
                f"ws://127.0.0.1:{cable.port}{websocket.path}",
                *("--filter-pattern", pattern),
                state=tmp_path,
            ) as viewer,
            Viewer(
                f"ws://127.0.0.1:{cable.port}{websocket.path}", state=tmp_path, name="whole"
            ) as whole,
        ):
            viewer.wait_shown(50)
            first.kill()
            load.run_for(1)
            with forwarder(GROUP, moto.url, tmp_path) as second:
                cable.target = urlsplit(second.ready()["websocket"]).port or 0
                viewer.wait_shown(len(viewer.shown()) + 100)
                late = [(now_ms() - 60_000, line(number)) for number in range(3_000, 3_012)]
                ledger.put(STREAMS[0], late)
                load.stop()
                connections = [one for one in viewer.record_now() if one["type"] == "connection"]
                settle(viewer, filtered.among(ledger.accepted))
                settle(whole, ledger.accepted)
                url = second.ready()["websocket"]
                done = gapless(tmp_path, moto, "verify", url, "--filter-pattern", pattern)
    assert [one["outcome"] for one in connections] == ["fresh", "resumed"]
    count = len(filtered.among(ledger.accepted))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{count:,} events of {GROUP} matching {pattern}" in done.stdout


def test_the_background_forwarder_serves_a_pattern_on_demand(
    filtered: Filtered, ledger: Ledger, tmp_path: Path
) -> None:
    moto, pattern = filtered.moto, filtered.pattern
    start = now_ms() - 60_000
    ledger.put(STREAMS[0], [(start + number, line(number)) for number in range(100)])
    tail = ("--since", "10m", "--no-follow", "--output", "json", "--filter-pattern", pattern)
    done = gapless(tmp_path, moto, "tail", GROUP, *tail, "--resume", "errors")
    assert (done.returncode, done.stderr) == (0, "")
    shown = [json.loads(text) for text in done.stdout.splitlines()]
    assert compare(filtered.among(ledger.accepted), shown) == CLEAN
    ledger.put(STREAMS[1], [(start + number, line(number)) for number in range(100, 200)])
    done = gapless(tmp_path, moto, "tail", GROUP, *tail[2:], "--resume", "errors")
    assert (done.returncode, done.stderr) == (0, "")
    shown += [json.loads(text) for text in done.stdout.splitlines()]
    assert compare(filtered.among(ledger.accepted), shown) == CLEAN
    done = gapless(tmp_path, moto, "verify", GROUP, "--filter-pattern", pattern, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["pattern"] == pattern
    assert report["cloudwatch"] == report["equal"] == len(filtered.among(ledger.accepted))


def test_a_pattern_that_cloudwatch_refuses(tmp_path: Path) -> None:
    with stand_in() as moto:
        moto.create(GROUP, *STREAMS)
        with forwarder(GROUP, moto.url, tmp_path) as process:
            url = process.ready()["websocket"]
            refused = ("--filter-pattern", "err:")
            asked = [("tail", GROUP), ("verify", GROUP), ("tail", url), ("verify", url)]
            done = [gapless(tmp_path, moto, *words, *refused) for words in asked]
            done.append(gapless(tmp_path, moto, "tail", f"{url}?group={GROUP}&pattern=err:"))
    for one in done:
        assert (one.returncode, one.stdout) == (2, "")
        assert "AWS refuses --filter-pattern 'err:': quote terms" in one.stderr
        assert one.stderr.count("\n") == 1
