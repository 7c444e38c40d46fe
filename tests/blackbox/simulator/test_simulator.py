"""The simulator with a real moto process, real sockets and a fake forwarder."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.parse import urlsplit

import boto3
import psutil
import pytest

from tests.support.simulator.viewer_records import record

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

ROOT: Final = Path(__file__).parents[3]
SCRIPT: Final = ROOT / "tests" / "support" / "simulator" / "simulator_process.py"
GROUP: Final = "/gapless/demo"
WAIT_S: Final = 240.0
SAYS: Final = "import signal, sys; print(sys.argv[1], flush=True); signal.pause()"

pytestmark = pytest.mark.timeout(600)


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition of another process; AssertionError names it on a timeout."""
    pause = threading.Event()
    for _ in range(int(WAIT_S / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail(f"waited in vain for {what}")


class Simulator:
    """A running simulator."""

    def __init__(self, **config: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", str(SCRIPT), json.dumps(config)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready: dict[str, Any] = json.loads(line) if line else {}
        self.family = [
            psutil.Process(self.process.pid),
            *psutil.Process(self.process.pid).children(recursive=True),
        ]

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Call the control API; returns its JSON response."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(
            self.ready["control"] + path, data if body is not None else None, method=method
        )
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def ledger(self) -> list[dict[str, Any]]:
        """The ledger of accepted events."""
        url = self.ready["control"] + "/simulator/ledger"
        with urllib.request.urlopen(url, timeout=WAIT_S) as answer:
            return [json.loads(line) for line in answer]

    def silence(self) -> list[dict[str, Any]]:
        """Pause the workload and return the final ledger."""
        self.ask("POST", "/simulator/workload", {"running": False})
        until(lambda: bool(self.ask("GET", "/simulator/workload")["idle"]), "silence")
        return self.ledger()

    def client(self) -> CloudWatchLogsClient:
        """A boto3 client; the caller closes it."""
        return boto3.client(
            "logs",
            endpoint_url=self.ready["cloudwatch"],
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def scan(self) -> list[FilteredLogEventTypeDef]:
        """All events that FilterLogEvents returns."""
        client = self.client()
        try:
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=GROUP, interleaved=True
            )
            return [event for page in pages for event in page["events"]]
        finally:
            client.close()

    def connect(self) -> socket.socket:
        """Connect through the cable."""
        port = urlsplit(self.ready["http"]).port
        return socket.create_connection(("127.0.0.1", port or 0), timeout=WAIT_S)

    def has_ended(self) -> bool:
        """Whether the process and all its children have ended."""
        return all(
            not one.is_running() or one.status() == psutil.STATUS_ZOMBIE for one in self.family
        )

    def end(self) -> str:
        """End the process; returns its stderr."""
        if self.process.poll() is None:
            self.process.terminate()
        _, errors = self.process.communicate(timeout=WAIT_S)
        return errors


@contextmanager
def simulated(**config: object) -> Iterator[Simulator]:
    simulator = Simulator(**config)
    try:
        yield simulator
        errors = simulator.end()
        assert errors == ""
        assert simulator.process.returncode == 0
        assert simulator.has_ended()
    finally:
        simulator.end()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with simulated(seed=11, rate=50.0) as one:
        yield one
        one.ask("POST", "/simulator/heal", {})


def key(event: FilteredLogEventTypeDef) -> tuple[str, int, str]:
    return (event["logStreamName"], event["timestamp"], event["message"])


def rows(ledger: list[dict[str, Any]]) -> list[tuple[str, int, str]]:
    return [(one["log_stream"], one["timestamp"], one["message"]) for one in ledger]


def as_record(events: list[FilteredLogEventTypeDef]) -> str:
    """The events of FilterLogEvents in display order."""
    lines = [
        {
            "type": "event",
            "id": event["eventId"],
            "timestamp": event["timestamp"],
            "log_stream": event["logStreamName"],
            "message": event["message"],
        }
        for event in sorted(events, key=lambda one: (one["timestamp"], int(one["eventId"])))
    ]
    return "\n".join(record(lines))


def test_the_ready_line_has_all_urls(simulator: Simulator) -> None:
    ready = simulator.ready
    assert ready["ready"] is True
    assert ready["epoch"] == "an-epoch"
    assert ready["group"] == GROUP
    ports = {urlsplit(ready[name]).port for name in ("http", "cloudwatch", "control")}
    assert len(ports) == 3
    assert {urlsplit(ready[name]).hostname for name in ("http", "websocket")} == {"127.0.0.1"}
    assert urlsplit(ready["websocket"]).port == urlsplit(ready["http"]).port
    assert ready["websocket"].endswith("/v1/tail")


def test_history_exists_at_the_start(simulator: Simulator) -> None:
    assert len(simulator.ledger()) >= 100
    assert len({one["log_stream"] for one in simulator.ledger()}) > 4


def test_the_ledger_equals_cloudwatchs_events(simulator: Simulator) -> None:
    ledger = simulator.silence()
    events = simulator.scan()
    assert sorted(map(key, events)) == sorted(rows(ledger))
    verdict = simulator.ask("POST", "/simulator/verdict", as_record(events))
    assert verdict["clean"] is True, verdict
    assert verdict["shown"] == len(ledger)
    worse = simulator.ask("POST", "/simulator/verdict", as_record(events[1:]))
    assert (worse["clean"], worse["lost"], worse["undeclared"]) == (False, 1, 1)
    simulator.ask("POST", "/simulator/workload", {"running": True})
    until(lambda: len(simulator.ledger()) > len(ledger), "the workload to go on")


def test_the_cable_is_disconnected_and_reconnected(simulator: Simulator) -> None:
    with simulator.connect() as connection, connection.makefile("rwb") as stream:
        stream.write(b"hello\n")
        stream.flush()
        assert stream.readline() == b"hello\n"
        simulator.ask("POST", "/simulator/faults", {"type": "disconnect"})
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        simulator.connect()
    simulator.ask("DELETE", "/simulator/faults/disconnect")
    with simulator.connect() as connection, connection.makefile("rwb") as stream:
        stream.write(b"again\n")
        stream.flush()
        assert stream.readline() == b"again\n"


def test_a_timed_disconnection_ends(simulator: Simulator) -> None:
    fault = {"type": "disconnect", "attributes": {"down_ms": 100}}
    assert simulator.ask("POST", "/simulator/faults", fault)["on"] is True
    until(lambda: simulator.ask("GET", "/simulator/faults") == [], "the cable to be plugged")
    simulator.connect().close()


def test_events_are_hidden_until_healed(simulator: Simulator) -> None:
    fault = {"type": "visibility_delay", "attributes": {"delay_ms": 3_600_000}}
    simulator.ask("POST", "/simulator/faults", fault)
    seen = len(simulator.scan())
    until(lambda: len(simulator.ledger()) > seen + 50, "events to be written")
    ledger, events = simulator.silence(), simulator.scan()
    assert len(events) <= seen + 10 < len(ledger)
    hidden = [one for one in ledger if one["visible_ms"] > one["accepted_ms"] + 3_000_000]
    missing = len(ledger) - len(events)
    shown = set(map(key, events))
    assert set(rows(ledger)) - shown <= set(rows(hidden))
    # For events written while the fault began, the ledger has the latest possible time: those of
    # the call that was under way, and of one that ended in that millisecond. A call has as many
    # events as have become due meanwhile, which are more on a busy machine.
    early = [one for one in hidden if rows([one])[0] in shown]
    assert len({(one["log_stream"], one["accepted_ms"]) for one in early}) <= 2
    verdict = simulator.ask("POST", "/simulator/verdict", as_record(events))
    assert (verdict["clean"], verdict["pending"]) == (True, missing)
    simulator.ask("POST", "/simulator/heal", {})
    events = simulator.scan()
    assert sorted(map(key, events)) == sorted(rows(ledger))
    assert simulator.ask("POST", "/simulator/verdict", as_record(events))["clean"] is True
    simulator.ask("POST", "/simulator/workload", {"running": True})


def test_ten_thousand_events_in_one_millisecond(simulator: Simulator) -> None:
    simulator.ask("POST", "/simulator/faults", {"type": "duplicate_timestamps"})

    def burst() -> list[dict[str, Any]]:
        return [one for one in simulator.ledger() if "in one millisecond" in one["message"]]

    until(lambda: len(burst()) == 10_000, "the burst")
    events = burst()
    assert len({one["timestamp"] for one in events}) == 1
    assert len({one["log_stream"] for one in events}) > 1
    assert len({one["message"] for one in events}) == 10_000


def test_errors_are_reported(simulator: Simulator) -> None:
    for method, path, body, code in (
        ("POST", "/simulator/faults", {"type": "x"}, http.client.BAD_REQUEST),
        ("DELETE", "/simulator/faults/x", None, http.client.NOT_FOUND),
        ("POST", "/simulator/verdict", "not a record", http.client.BAD_REQUEST),
    ):
        with pytest.raises(HTTPError) as caught:
            simulator.ask(method, path, body)
        assert caught.value.code == code
        assert json.loads(caught.value.read())["error"]
        caught.value.close()


def test_executions_are_listed(simulator: Simulator) -> None:
    executions = simulator.ask("GET", "/simulator/executions")
    streams = {one["log_stream"] for one in simulator.ledger()}
    assert {one["stream"] for one in executions if one["status"] != "RUNNING"} <= streams
    assert simulator.ask("GET", "/simulator/seed") == {"seed": 11}


def test_unpatched_moto_shows_everything_at_once() -> None:
    with simulated(mode="moto") as one:
        assert len(one.scan()) >= 100
        with pytest.raises(HTTPError) as caught:
            one.ask("POST", "/simulator/faults", {"type": "visibility_delay"})
        assert "unpatched moto" in json.loads(caught.value.read())["error"]
        caught.value.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_on_a_signal_without_orphans(number: signal.Signals) -> None:
    with simulated() as one:
        assert len(one.family) == 3
        one.process.send_signal(number)
        one.process.wait(WAIT_S)
    assert one.has_ended()


def test_its_children_end_even_if_it_is_killed() -> None:
    one = Simulator()
    try:
        assert len(one.family) == 3
        one.process.kill()
        until(one.has_ended, "the children to end")
    finally:
        one.end()


def test_it_ends_with_its_lifeline(tmp_path: Path) -> None:
    path = tmp_path / "held"
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        one = Simulator(while_held=str(path))
        assert one.process.poll() is None
    assert one.process.wait(WAIT_S) == 0
    assert one.end() == ""
    assert one.has_ended()


@pytest.mark.parametrize(
    ("word", "name"),
    [("simulator.moto_process", "the CloudWatch stand-in"), ("fake_forwarder", "the forwarder")],
)
def test_a_dead_child_is_reported(word: str, name: str) -> None:
    one = Simulator()
    try:
        (child,) = (child for child in one.family[1:] if word in " ".join(child.cmdline()))
        child.kill()
        assert one.process.wait(WAIT_S) == 1
        assert one.end() == f"gapless: {name} was ended by SIGKILL\n"
        assert one.has_ended()
    finally:
        one.end()


@pytest.mark.parametrize(
    ("forwarder", "error"),
    [
        (["-c", "raise SystemExit(3)"], "the forwarder ended with exit code 3"),
        (["-c", SAYS, "hello"], "printed b'hello' instead of a ready line"),
        (["-c", SAYS, '{"ready": true}'], "ready line has no 'websocket'"),
        (["/no/such/program.py"], "the forwarder ended with exit code 2"),
    ],
)
def test_a_forwarder_that_does_not_start_is_reported(forwarder: list[str], error: str) -> None:
    one = Simulator(forwarder=[sys.executable, *forwarder])
    assert one.ready == {}
    assert one.process.wait(WAIT_S) == 1
    last = one.end().splitlines()[-1]
    assert last.startswith("gapless: ")
    assert error in last


def test_ports_in_use_are_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for name in ("port", "cloudwatch_port", "control_port"):
            one = Simulator(**{name: port})
            assert one.process.wait(WAIT_S) == 1
            errors = one.end()
            assert errors.startswith(f"gapless: cannot listen on port {port} ")
            assert errors.count("\n") == 1


def test_the_cloudwatch_process_prints_its_url(tmp_path: Path) -> None:
    path = tmp_path / "held"
    command = [sys.executable, "-m", "simulator.moto_process", "--port", "0", "--group", "/g"]
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        process = subprocess.Popen(
            [*command, "--while-held", str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        client = boto3.client(
            "logs",
            endpoint_url=ready["cloudwatch"],
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        groups = client.describe_log_groups()["logGroups"]
        client.close()
        assert [group["logGroupName"] for group in groups] == ["/g"]
    assert process.wait(WAIT_S) == 0
    process.stdout.close()
