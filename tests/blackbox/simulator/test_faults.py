"""Faults in a real simulator, forwarder and viewer.

Each test injects faults, heals them, and compares the viewer's record with the accepted events.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, Viewer, wait_until

pytestmark = pytest.mark.timeout(600)

GRACE_MS = 5_000


class Stack:
    """``gapless simulate`` and one viewer."""

    def __init__(self, state: Path, simulator: GaplessProcess, viewer: Viewer) -> None:
        self.state = state
        self.control = simulator.ready()["control"] + "/simulator"
        self.viewer = viewer

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the control API; returns its JSON response."""
        data = (
            None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        )
        request = urllib.request.Request(self.control + path, data, method=method)
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def inject(self, kind: str, **attributes: int) -> None:
        """Start a fault."""
        self.ask("POST", "/faults", {"type": kind, "attributes": attributes})

    def accepted(self) -> int:
        """Number of events that CloudWatch has accepted."""
        accepted: int = self.ask("GET", "/workload")["accepted"]
        return accepted

    def wait_for_lines(self, lines: int = 20) -> None:
        """Wait for more lines in the viewer's output."""
        self.viewer.wait_shown(len(self.viewer.shown()) + lines)

    def connections(self) -> list[tuple[int, str]]:
        """(time, outcome) of the latest connections, from the viewer's record."""
        record = self.viewer.record_now()
        return [(one["at"], one["outcome"]) for one in record if one["type"] == "connection"]

    def wait_connected(self, outcome: str, after_ms: int) -> int:
        """Wait for a later connection with an outcome; returns its time."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = [at for at, how in self.connections() if at > after_ms and how == outcome]
            return bool(found)

        wait_until(is_there, f"a connection that is {outcome}")
        return found[-1]

    def count_rebases(self) -> int:
        """Number of rebases that the viewer reported."""
        return sum(
            "can no longer be verified: the forwarder began" in line
            for line in self.viewer.err.so_far()
        )

    def wait_rebased(self, before: int) -> None:
        """Wait for another rebase, by a connection or by polling."""
        wait_until(lambda: self.count_rebases() > before, "the viewer to report another epoch")

    def judge(self) -> dict[str, Any]:
        """Heal, wait until all events are shown, and return the verdict on the record."""
        self.ask("POST", "/heal")
        self.ask("POST", "/workload", {"running": False})
        verdict: dict[str, Any] = {}

        def is_settled() -> bool:
            self.viewer.record_now()
            record = self.viewer.record_path.read_bytes()
            verdict.update(self.ask("POST", "/verdict", record))
            return bool(verdict["pending"] == verdict["lost"] == 0)

        wait_until(is_settled, f"everything to be shown: {verdict}")
        return verdict


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state = tmp_path_factory.mktemp("faults")
    with GaplessProcess("simulate", "--rate", "50", "--seed", "7", state=state) as simulator:
        target = simulator.ready()["websocket"]
        options = ("--order", "arrival", "--since", "30m")
        with Viewer(target, *options, state=state) as viewer:
            one = Stack(state, simulator, viewer)
            viewer.wait_shown(100)
            yield one


@pytest.fixture(autouse=True)
def clean(stack: Stack) -> Iterator[None]:
    """Checks after every test that the verdict is clean and the system runs."""
    yield
    verdict = stack.judge()
    assert verdict["clean"], verdict
    assert verdict["shown"] > 100
    assert verdict["marks"] > 0
    stack.ask("POST", "/workload", {"running": True})


def test_everything_at_once_on_the_network(stack: Stack) -> None:
    last_ms, _ = stack.connections()[-1]
    stack.inject("latency", latency_ms=30, jitter_ms=30)
    stack.inject("drop_frame")
    stack.inject("duplicate_frame")
    stack.inject("reorder_frame")
    stack.wait_connected("resumed", last_ms)
    stack.inject("close", code=4001)
    last_ms = stack.wait_connected("resumed", last_ms)
    stack.inject("limit_data", after_bytes=50_000)
    stack.wait_connected("resumed", last_ms)


def test_the_forwarder_killed_and_its_journal_lost(stack: Stack) -> None:
    last_ms, _ = stack.connections()[-1]
    stack.inject("forwarder_crash", within_ms=100, down_ms=100)
    stack.wait_connected("resumed", last_ms)
    stack.wait_for_lines()
    before = stack.count_rebases()
    stack.inject("journal_lost", down_ms=100)
    stack.wait_rebased(before)


def test_a_journal_rolled_back_while_the_clock_is_wrong(stack: Stack) -> None:
    before = stack.count_rebases()
    stack.inject("clock_jump", ahead_ms=30_000)
    # Even on a slow machine, the copied journal must lack events that the viewer has.
    stack.inject("journal_rolled_back", back_ms=10_000, down_ms=100)
    stack.wait_rebased(before)
    stack.wait_for_lines()
    stack.inject("clock_jump", ahead_ms=0, behind_ms=30_000)
    stack.wait_for_lines()


def test_on_a_full_disk_only_stored_events_are_sent(stack: Stack) -> None:
    stack.inject("disk_full")
    accepted = stack.accepted()
    wait_until(lambda: stack.accepted() > accepted + 100, "more events")
    assert len(stack.viewer.shown()) <= accepted
    stack.ask("POST", "/heal")
    stack.viewer.wait_shown(accepted + 100)


def test_unusual_log_events(stack: Stack) -> None:
    kinds = {
        "identical_messages": {},
        "blank_messages": {},
        "late_events": {"late_ms": 60_000, "jitter_ms": 60_000},
        "future_events": {"ahead_ms": 60_000, "jitter_ms": 60_000},
        "out_of_order_batches": {},
        "burst": {"events": 3_000},
        "huge_event": {"events": 2},
        "hostile_lines": {},
        "new_stream": {},
        "terminal_escapes": {},
        "last_words": {},
    }
    before = stack.accepted()
    for kind, attributes in kinds.items():
        stack.inject(kind, **attributes)
    wait_until(lambda: stack.accepted() > before + 4_000, "all of it to be written")
