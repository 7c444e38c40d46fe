from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from simulator import cloudwatch
from simulator.cloudwatch import VISIBILITY_PATH, FaithfulLogs, listen
from simulator.errors import SimulatorError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LEVER = {"name": "a", "delay_ms": 50, "jitter_ms": 0, "toxicity": 1.0, "seed": 1}


class Moto:
    """Answers every request with one event per ingestion time, and says what it was asked."""

    def __init__(self) -> None:
        self.ingested: list[int] = [100]
        self.bodies: list[bytes] = []
        self.status = 200

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self.bodies.append(Request(environ).get_data())
        page = {
            "events": [
                {"timestamp": 1, "message": f"m \ud83d {number}", "ingestionTime": ingested}
                for number, ingested in enumerate(self.ingested)
            ],
            "nextToken": "token",
        }
        return Response(json.dumps(page), self.status)(environ, start_response)


class Simulated:
    """A faithful CloudWatch over that, at a time of our own."""

    def __init__(self) -> None:
        self.moto = Moto()
        self.now_ms = 100
        self.client = Client(FaithfulLogs(self.moto, lambda: self.now_ms))

    def read(self, action: str = "FilterLogEvents") -> list[int]:
        """The ingestion times of the events that it shows."""
        answer = self.client.post(
            "/",
            data=json.dumps({"logStreamName": "s"}),
            headers={"X-Amz-Target": f"Logs_20140328.{action}"},
        )
        page: dict[str, Any] = json.loads(answer.get_data())
        assert page["nextToken"] == "token"
        return [event["ingestionTime"] for event in page["events"]]

    def lever(self, method: str, body: object) -> tuple[int, dict[str, Any]]:
        answer = self.client.open(VISIBILITY_PATH, method=method, data=json.dumps(body))
        return answer.status_code, json.loads(answer.get_data())


@pytest.fixture
def simulated() -> Simulated:
    return Simulated()


def test_it_passes_everything_on(simulated: Simulated) -> None:
    assert simulated.read() == [100]
    assert json.loads(simulated.moto.bodies[0]) == {"logStreamName": "s"}


@pytest.mark.parametrize("action", ["FilterLogEvents", "GetLogEvents"])
def test_it_hides_events_until_their_time(simulated: Simulated, action: str) -> None:
    status, regime = simulated.lever("POST", LEVER)
    assert (status, regime["begin_ms"]) == (200, 101)
    simulated.moto.ingested = [100, 101, 130]
    simulated.now_ms = 130
    assert simulated.read(action) == [100]
    simulated.now_ms = 151
    assert simulated.read(action) == [100, 101]
    simulated.now_ms = 180
    assert simulated.read(action) == [100, 101, 130]
    assert json.loads(simulated.moto.bodies[-1]) == {"logStreamName": "s"}


def test_healing_shows_them_at_once(simulated: Simulated) -> None:
    simulated.lever("POST", LEVER)
    simulated.moto.ingested = [120]
    simulated.now_ms = 125
    assert simulated.read() == []
    assert simulated.lever("DELETE", {"name": "other"})[0] == 200
    assert simulated.read() == []
    assert simulated.lever("DELETE", {"name": "a"}) == (200, {"now_ms": 125})
    assert simulated.read() == [120]


def test_other_calls_and_refusals_are_left_alone(simulated: Simulated) -> None:
    simulated.lever("POST", LEVER)
    simulated.moto.ingested = [120]
    assert simulated.read("StartLiveTail") == [120]
    simulated.moto.status = 400
    assert simulated.read() == [120]


@pytest.mark.parametrize("body", [{}, {**LEVER, "name": None}, [], {"name": 1}])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_malformed_lever_is_refused(simulated: Simulated, method: str, body: object) -> None:
    status, answer = simulated.lever(method, body)
    assert status == 400
    assert answer["error"]


def test_other_methods_are_refused(simulated: Simulated) -> None:
    assert simulated.lever("PUT", LEVER) == (405, {"error": "POST or DELETE"})


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorError, match=f"port {port} can't be had"):
            listen(port)
    with pytest.raises(SimulatorError, match="there is no port 70000"):
        listen(70_000)


def test_main_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert cloudwatch.main(["--port", str(taken.getsockname()[1])]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gapless: port ")
    assert captured.err.count("\n") == 1
