from __future__ import annotations

import http.client
import json
import threading
import time
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from simulator import control
from simulator.control import Control, Parts
from simulator.faults.board import FAULTS
from simulator.network.cable import listen
from simulator.network.http_server import serve
from tests.support.simulator.simulator_parts import make_parts
from tests.support.simulator.viewer_records import faithful, record


@pytest.fixture
def parts() -> Parts:
    return make_parts()


@pytest.fixture
def client(parts: Parts) -> Client:
    return Client(Control(parts))


def said(response: TestResponse, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/json"
    return json.loads(response.get_data())


def switch(client: Client, body: object) -> TestResponse:
    return client.post("/simulator/faults", data=json.dumps(body))


def test_faults_are_switched_on_shown_and_healed(client: Client) -> None:
    assert said(client.get("/simulator/faults")) == []
    told = said(switch(client, {"type": "disconnect", "attributes": {"down_ms": 10_000}}))
    assert abs(told["since_ms"] - time.time() * 1_000) < 3_600_000
    assert told == {
        "name": "disconnect",
        "type": "disconnect",
        "toxicity": 1.0,
        "attributes": {"down_ms": 10_000, "every_ms": 0},
        "schedule": {"after_ms": 0, "for_ms": 0, "every_ms": 0},
        "on": True,
        "since_ms": told["since_ms"],
        "turns": 1,
    }
    assert said(client.get("/simulator/faults")) == [told]
    assert said(client.get("/simulator/faults/disconnect")) == told
    gone = client.delete("/simulator/faults/disconnect")
    assert (gone.status_code, gone.get_data()) == (204, b"")
    assert said(client.get("/simulator/faults")) == []


def test_a_change_is_reported_at_once_and_once(client: Client, parts: Parts) -> None:
    first = said(client.get("/simulator/changes"))
    assert first == {
        "seq": 0,
        "faults": [],
        "fault_at_ms": None,
        "running": True,
        "forwarder": {"up": False, "starts": 0, "pid": None},
        "scenario": None,
    }
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(said(client.get("/simulator/changes?after=0&wait_ms=30000")))
    )
    waiting.start()
    said(switch(client, {"type": "disconnect"}))
    waiting.join()
    (told,) = answers
    assert told["seq"] >= 1
    assert [one["name"] for one in told["faults"]] == ["disconnect"]
    now = said(client.get("/simulator/changes"))["seq"]
    assert said(client.get(f"/simulator/changes?after={now}&wait_ms=1"))["seq"] == now
    said(client.post("/simulator/workload", data=b'{"running": false}'))
    after = said(client.get(f"/simulator/changes?after={now}&wait_ms=30000"))
    assert (after["seq"], after["running"]) == (now + 1, False)
    said(client.post("/simulator/heal"))
    assert parts.changes.seq > now + 1


@pytest.mark.parametrize("query", ["after=x", "after=-1", "wait_ms=30001", "wait_ms=" + "9" * 5000])
def test_a_malformed_wait_is_refused(client: Client, query: str) -> None:
    error = said(client.get(f"/simulator/changes?{query}"), 400)["error"]
    assert "must be a whole number from 0 to" in error


def test_waiting_requests_are_bounded(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "WAITING_MAX", 0)
    control_app = Control(parts)
    error = said(Client(control_app).get("/simulator/changes"), 400)["error"]
    assert "others wait for changes already" in error


def test_a_scenario_is_run_and_stopped(client: Client) -> None:
    known = said(client.get("/simulator/scenarios"))
    assert [(one["name"], one["doc"]) for one in known] == [
        ("cable", "The cable is out for a day.")
    ]
    assert known[0]["setup"]["expects"] == "clean"
    assert said(client.get("/simulator/scenario")) is None
    run = said(client.post("/simulator/scenarios/cable", data=b'{"seed": 7}'))
    assert (run["name"], run["seed"], run["state"]) == ("cable", 7, "running")
    error = said(client.post("/simulator/scenarios/cable"), 409)["error"]
    assert error == "cable is running; stop it first"
    assert said(client.get("/simulator/changes"))["scenario"]["name"] == "cable"
    assert said(client.delete("/simulator/scenario"))["state"] == "stopped"
    assert said(client.get("/simulator/faults")) == []
    assert "no scenario is called 'x'" in said(client.post("/simulator/scenarios/x"), 404)["error"]


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Host": "[x"}]
)
def test_pages_of_the_web_are_not_answered(client: Client, headers: dict[str, str]) -> None:
    assert "no pages" in said(client.get("/simulator/faults", headers=headers), 403)["error"]


def test_viewers_are_registered(client: Client) -> None:
    assert said(client.get("/simulator/viewers")) == {"pids": []}
    error = said(client.post("/simulator/viewers", data=b'{"pid": 1}'), 409)["error"]
    assert error.startswith("process 1 is no viewer")
    assert said(client.delete("/simulator/viewers/1"), 404)["error"] == "no viewer 1 is registered"


def test_everything_is_healed_at_once(client: Client) -> None:
    said(switch(client, {"type": "disconnect", "name": "one"}))
    said(switch(client, {"type": "visibility_delay", "toxicity": 0.5}))
    assert said(client.post("/simulator/heal")) == {"healed": ["one", "visibility_delay"]}
    assert said(client.get("/simulator/faults")) == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"type": "x"}, "no fault is called 'x'; there are: disconnect"),
        ({"type": "disconnect", "attributes": {"x": 1}}, "it has: down_ms, every_ms"),
        ({"type": "disconnect", "attributes": {"down_ms": "3s"}}, "down_ms|attributes"),
        ({"type": "disconnect", "attributes": {"down_ms": -1}}, "from 0 to"),
        ({"type": "disconnect", "toxicity": 2}, "toxicity"),
        ({"type": "disconnect", "toxity": 1}, "toxity"),
        ({"type": "disconnect", "name": "a b"}, "name"),
        ({"type": "disconnect", "schedule": {"after_ms": -1}}, "after_ms"),
        ({}, "type"),
        ([], "body"),
    ],
)
def test_a_wrong_fault_is_refused_with_the_reason(client: Client, body: object, what: str) -> None:
    error = said(switch(client, body), 400)["error"]
    assert any(one in error for one in what.split("|"))
    assert "\n" not in error


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 60_000])
def test_a_body_that_is_not_json_is_refused(client: Client, body: bytes) -> None:
    response = client.post("/simulator/faults", data=body)
    assert "the body is not as openapi.json has it" in said(response, 400)["error"]


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    said(client.post("/simulator/faults", data=b"x" * 70_000), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/simulator", 404),
        ("GET", "/simulator/faults/x", 404),
        ("DELETE", "/simulator/faults/x", 404),
        ("PUT", "/simulator/faults", 405),
        ("GET", "/simulator/heal", 405),
        ("GET", "/simulator/verdict", 405),
    ],
)
def test_unknown_paths_and_methods_are_refused(
    client: Client, method: str, path: str, status: int
) -> None:
    assert said(client.open(path, method=method), status)["error"]


def test_the_ledger_is_ndjson(client: Client, parts: Parts) -> None:
    response = client.get("/simulator/ledger")
    assert response.mimetype == "application/x-ndjson"
    lines = [json.loads(line) for line in response.get_data().splitlines()]
    assert len(lines) == len(parts.ledger) > 100
    assert set(lines[0]) == {"log_stream", "timestamp", "message", "accepted_ms", "visible_ms"}


def test_a_record_is_judged(client: Client, parts: Parts) -> None:
    lines = faithful(list(parts.ledger.events()))
    body = "\n".join(record(lines))
    verdict = said(client.post("/simulator/verdict", data=body))
    assert verdict["clean"] is True
    assert verdict["accepted"] == verdict["shown"] == len(lines)
    less = "\n".join(record(lines[1:]))
    worse = said(client.post("/simulator/verdict", data=less))
    assert (worse["clean"], worse["lost"]) == (False, 1)


def test_with_a_grace_new_events_are_pending(client: Client, parts: Parts) -> None:
    less = "\n".join(record(faithful(list(parts.ledger.events()))[1:]))
    verdict = said(client.post("/simulator/verdict?grace_ms=1", data=less))
    assert (verdict["clean"], verdict["lost"], verdict["pending"]) == (True, 0, 1)


@pytest.mark.parametrize("query", ["grace_ms=x", "grace_ms=-1", "grace_ms=99999999"])
def test_a_malformed_grace_is_refused(client: Client, query: str) -> None:
    response = client.post(f"/simulator/verdict?{query}", data="")
    assert "grace_ms must be a whole number" in said(response, 400)["error"]


@pytest.mark.parametrize("body", ["", "x", "{}"])
def test_a_body_that_is_no_record_is_refused(client: Client, body: str) -> None:
    assert "record" in said(client.post("/simulator/verdict", data=body), 400)["error"]


def test_executions_seed_and_types_are_listed(client: Client) -> None:
    executions = said(client.get("/simulator/executions"))
    assert {"RUNNING", "SUCCEEDED"} <= {one["status"] for one in executions}
    assert executions[0]["stream"] == f"job/main/{executions[0]['execution']}"
    assert said(client.get("/simulator/seed")) == {"seed": 5}
    types = [one["type"] for one in said(client.get("/simulator/types"))]
    assert types[:3] == ["disconnect", "visibility_delay", "duplicate_timestamps"]
    assert types == list(FAULTS)


def test_the_workload_is_paused_and_resumed(client: Client, parts: Parts) -> None:
    accepted = len(parts.ledger)
    running = {"running": True, "idle": True, "accepted": accepted}
    assert said(client.get("/simulator/workload")) == running
    pause = client.post("/simulator/workload", data=json.dumps({"running": False}))
    assert said(pause) == {"running": False, "idle": True, "accepted": accepted}
    resume = client.post("/simulator/workload", data=json.dumps({"running": True}))
    assert said(resume) == running
    said(client.post("/simulator/workload", data="{}"), 400)


def test_it_is_served_over_http(parts: Parts) -> None:
    with listen(0) as listener:
        port = listener.getsockname()[1]
        server = serve(listener, Control(parts), "control")
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=240)
        lines = record(faithful(list(parts.ledger.events())))
        connection.request("POST", "/simulator/verdict", "\n".join(lines))
        assert json.loads(connection.getresponse().read())["clean"] is True
        connection.close()
    finally:
        server.shutdown()
