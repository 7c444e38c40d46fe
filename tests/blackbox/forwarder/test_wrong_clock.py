"""A forwarder whose clock is ahead never marks the future as complete."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, Viewer, wait_until

pytestmark = pytest.mark.timeout(600)

HOUR_MS = 3_600_000
SLACK_MS = 1_500
"""Tolerance: ``Date`` has whole seconds, and the first responses take some time."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def ask(url: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data), timeout=WAIT_S) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def complete_through(viewer: Viewer) -> int:
    """The viewer's verified time; checks that no mark it received reaches into the future."""
    record = viewer.record_now()
    marks = [one for one in record if one["type"] == "mark"]
    assert marks
    for mark in marks:
        assert mark["through"] <= now_ms() + SLACK_MS
        assert mark["scanned_at"] <= now_ms() + SLACK_MS
    through: int | None = [one for one in record if one["type"] == "status"][-1]["complete_through"]
    return through or 0


def answered(url: str) -> dict[str, Any]:
    """The forwarder's JSON response; empty while it is not ready."""
    try:
        answer: dict[str, Any] = ask(url)
    except OSError:
        return {}
    return answer


def epoch_of(http: str) -> str | None:
    epoch: str | None = answered(http + "/v1/logs?since=0&limit=1").get("epoch")
    return epoch


def wait_for_marks(http: str, viewer: Viewer, ahead_ms: int) -> str | None:
    """Wait until the forwarder reports its clock error and sends marks; returns its epoch."""
    begun_ms = now_ms()
    wait_until(
        lambda: answered(http + "/readyz").get("clock_ahead_ms", 0) > ahead_ms - 2_500,
        "the forwarder to report its clock error",
    )
    wait_until(lambda: complete_through(viewer) > begun_ms, "further marks")
    return epoch_of(http)


def judge(control: str, viewer: Viewer) -> dict[str, Any]:
    """Heal, wait until all events are shown, and return the verdict on the record."""
    ask(control + "/heal", {})
    ask(control + "/workload", {"running": False})
    verdict: dict[str, Any] = {}

    def is_settled() -> bool:
        viewer.record_now()
        verdict.update(ask(control + "/verdict", viewer.record_path.read_bytes()))
        return bool(verdict["pending"] == verdict["lost"] == 0)

    wait_until(is_settled, f"everything to be shown: {verdict}")
    return verdict


@pytest.mark.parametrize("ahead_ms", [60_000, 6 * HOUR_MS])
def test_no_mark_reaches_into_the_future(ahead_ms: int, tmp_path: Path) -> None:
    with GaplessProcess("simulate", "--rate", "50", "--seed", "7", state=tmp_path) as simulator:
        ready = simulator.ready()
        control, target = ready["control"] + "/simulator", ready["websocket"]
        http = target.replace("ws://", "http://").removesuffix("/v1/tail")
        with Viewer(target, "--since", "30m", state=tmp_path) as viewer:
            viewer.wait_shown(50)
            attributes = {"ahead_ms": ahead_ms}
            ask(control + "/faults", {"type": "clock_jump", "attributes": attributes})
            epoch = wait_for_marks(http, viewer, ahead_ms)
            crash = {"within_ms": 0, "down_ms": 100}
            ask(control + "/faults", {"type": "forwarder_crash", "attributes": crash})
            wait_until(lambda: epoch_of(http) not in (None, epoch), "another forwarder")
            wait_for_marks(http, viewer, ahead_ms)  # started with the wrong time
            verdict = judge(control, viewer)
            assert verdict["clean"], verdict
            assert verdict["marks"] > 0
