"""Heartbeats of a real forwarder go on while hostile lines meet a hostile ``--lifecycle``."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.forwarder.scripted_cloudwatch import Asked, Reply, scripted_cloudwatch
from tests.support.processes.gapless_processes import forwarder

pytestmark = pytest.mark.timeout(300)

GROUP = "/jobs/hostile"
MB = 1 << 20
ROUNDS = 9
"""Lines that follow the first; one is written each second, a heartbeat is due every 1.5 s."""
WAIT_S = 120.0


class HostileLines:
    """A new line of 1 MB for each second that passes, as polls look."""

    def __init__(self, unit: str) -> None:
        self._message = (unit * (MB // len(unit) + 1))[:MB]
        self._begun_ms = time.time_ns() // 1_000_000

    def __call__(self, asked: Asked) -> Reply:
        if asked["operation"] != "FilterLogEvents":
            listed = f'{{"logGroups":[{{"logGroupName":"{GROUP}","creationTime":1}}]}}'
            return Reply(body=listed.encode())
        now_ms = time.time_ns() // 1_000_000
        low, high = asked.get("startTime", 0), min(asked.get("endTime", now_ms), now_ms)
        moments = [at for at in range(self._begun_ms, high + 1, 1_000) if at >= low]
        token = int(asked.get("nextToken") or 0)
        events = [
            {
                "eventId": str(at),
                "timestamp": at,
                "ingestionTime": at,
                "logStreamName": "job/1",
                "message": self._message,
            }
            for at in moments[token : token + 1]  # a page has 1 MB at most
        ]
        reply: dict[str, object] = {"events": events}
        if token + 1 < len(moments):
            reply["nextToken"] = str(token + 1)
        return Reply(body=json.dumps(reply).encode())


@contextmanager
def watching(rule: str, unit: str, state: Path) -> Iterator[ClientConnection]:
    """A WebSocket of a forwarder that matches such lines against a rule."""
    with (
        scripted_cloudwatch(HostileLines(unit)) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, state, "--lifecycle", f"pattern:{rule}") as process,
        connect(f"{process.ready()['websocket']}?since=0", max_size=None, proxy=None) as viewer,
    ):
        yield viewer


@pytest.mark.parametrize(
    ("rule", "unit"), [("(a+)+b", "a"), ("error.*timeout", "error "), (r"(\w+) failed", "a")]
)
def test_heartbeats_go_on_between_hostile_lines(rule: str, unit: str, tmp_path: Path) -> None:
    first: int | None = None
    last = heartbeats = credit = 0
    with watching(rule, unit, tmp_path) as viewer:
        while first is None or last - first < ROUNDS * 1_000:
            message = json.loads(viewer.recv(WAIT_S))
            if message["type"] == "events" and message["items"]:
                last = max(item[2] for item in message["items"])
                first = last if first is None else first
            heartbeats += first is not None and message["type"] == "heartbeat"
            credit += 100
            viewer.send(json.dumps({"type": "credit", "events": credit}))
    # From the first line to the last: a line was written each second, and all were matched.
    assert heartbeats >= ROUNDS // 3
