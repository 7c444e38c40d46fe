from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from simulator import control
from simulator.control import Control, Parts
from simulator.faults.board import FAULTS
from simulator.network import http_server
from simulator.network.cable import listen
from simulator.network.http_server import JsonRequestHandler, serve
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
        "affected": 0,
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
    error = said(Client(control_app).get("/simulator/changes"), 409)["error"]
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


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("faults", '{"type": "disconnect", "type": "latency"}', "type"),
        ("faults", '{"type": "disconnect", "\\u0074ype": "disconnect"}', "type"),
        (
            "faults",
            '{"type": "latency", "attributes": {"latency_ms": 1, "latency_ms": 2}}',
            "latency_ms",
        ),
        ("faults", '{"type": "disconnect", "schedule": {"for_ms": 1, "for_ms": 1}}', "for_ms"),
        ("faults", '{"type": "disconnect", "schedule": {}, "schedule": {}}', "schedule"),
        ("faults", '{"type": "disconnect", "x": [{"a\\n": 1, "a\\n": 1}]}', r"a\n"),
        ("scenarios/cable", '{"seed": 1, "seed": 2}', "seed"),
        ("scenario", '{"script": "", "script": "x"}', "script"),
        ("viewers", '{"pid": 1, "pid": 2}', "pid"),
        ("workload", '{"running": false, "running": true}', "running"),
        (
            "verdict",
            '{"type": "record", "version": 1, "targets": [{"name": "a", "name": "b"}]}',
            "name",
        ),
        ("verdict", '{"type": "record", "version": 1}\n{"type": "gap", "type": "lost"}', "type"),
    ],
    ids=str,
)
def test_a_key_that_stands_twice_is_refused(
    client: Client, parts: Parts, path: str, body: str, key: str
) -> None:
    error = said(client.post(f"/simulator/{path}", data=body), 400)["error"]
    assert f"the key '{key}' stands twice in one object: leave one out" in error
    assert "\n" not in error
    assert (parts.board.describe_all(), parts.writer.is_running) == ([], True)


def test_a_body_that_is_too_large_is_refused(client: Client) -> None:
    said(client.post("/simulator/faults", data=b"x" * 70_000), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/simulator", 404),
        ("GET", "/simulator//faults", 404),
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


@pytest.mark.parametrize(
    "fields", ['"log_stream":"a","message":["m"]', '"log_stream":{},"message":""']
)
def test_an_event_whose_texts_are_none_is_refused(client: Client, fields: str) -> None:
    body = '{"type":"record","version":1}\n{"type":"event","id":"1","timestamp":1,' + fields + "}"
    error = said(client.post("/simulator/verdict", data=body), 400)["error"]
    assert error.startswith("line 2 is not of a viewer's record: ")


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
    with served(parts) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=240)
        lines = record(faithful(list(parts.ledger.events())))
        connection.request("POST", "/simulator/verdict", "\n".join(lines))
        assert json.loads(connection.getresponse().read())["clean"] is True
        connection.close()


@contextlib.contextmanager
def served(parts: Parts) -> Iterator[int]:
    """Serve the control API as the simulator does; gives the port."""
    with listen(0) as listener:
        port = listener.getsockname()[1]
        server = serve(listener, Control(parts), "control", JsonRequestHandler)
    try:
        yield port
    finally:
        server.shutdown()


def exchange(port: int, request: bytes, *, ends: bool = False) -> tuple[int, Any]:
    """Send bytes, and return status and JSON of the response; ``ends`` closes the sending side."""
    with socket.create_connection(("127.0.0.1", port), timeout=240) as connection:
        connection.sendall(request)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return answer_of(connection)


def answer_of(connection: socket.socket) -> tuple[int, Any]:
    """Receive a response; returns its status and JSON."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.getheader("Content-Type") == "application/json"
    return response.status, json.loads(response.read())


POST_RUNNING = b"POST /simulator/workload HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400, "bad request"),
        (b"GET /simulator/seed HTTP/2.0\r\n\r\n", 505, "invalid http version"),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414, "too long"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431, "too many headers"),
        (POST_RUNNING + CHUNKED + b'11\r\n{"running": true}\r\n0\r\n\r\n', 200, ""),
        (POST_RUNNING + CHUNKED + b"zz\r\n", 400, "bad request"),
        (POST_RUNNING + CHUNKED + b"-1\r\n", 400, "bad request"),
        (POST_RUNNING + CHUNKED + b"11\r\n{", 400, "bad request"),
        (
            POST_RUNNING + CHUNKED + b"20000\r\n" + b" " * 0x20000 + b"\r\n0\r\n\r\n",
            413,
            "too large",
        ),
        (POST_RUNNING + b"Content-Length: 17\r\n\r\n{", 400, "bad request"),
        (POST_RUNNING + b"Content-Length: 99999999999\r\n\r\n", 413, "too large"),
        (
            b"POST /simulator/verdict HTTP/1.1\r\nHost: localhost\r\n" + CHUNKED + b"zz\r\n",
            400,
            "bad request",
        ),
        (b"GET /simulator/seed HTTP/1.1\r\nHost: [\r\n\r\n", 403, "only programs"),
        (b"GET /simulator/seed HTTP/1.1\r\nHost: ::1]\r\n\r\n", 403, "only programs"),
        (b"GET /simulator/seed HTTP/1.1\r\nHost: a@localhost\r\n\r\n", 403, "only programs"),
        (
            b"GET /simulator/seed HTTP/1.1\r\nHost: localhost:1\r\nHost: x\r\n\r\n",
            403,
            "only programs",
        ),
    ],
    ids=lambda one: repr(one)[:40],
)
def test_odd_requests_are_answered_in_json(
    parts: Parts, request_: bytes, status: int, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with served(parts) as port:
        told, answer = exchange(port, request_, ends=True)
    assert told == status, answer
    assert says in answer.get("error", "").lower()
    assert capfd.readouterr().err == ""


def test_a_body_in_chunks_counts_where_it_may_be_left_out(parts: Parts) -> None:
    head = b"POST /simulator/scenarios/cable HTTP/1.1\r\nHost: localhost\r\n"
    with served(parts) as port:
        status, answer = exchange(port, head + CHUNKED + b'b\r\n{"seed":-1}\r\n0\r\n\r\n')
        assert (status, "seed" in answer["error"]) == (400, True)
        status, answer = exchange(port, head + CHUNKED + b'a\r\n{"seed":9}\r\n0\r\n\r\n')
        assert (status, answer["seed"]) == (200, 9)


def test_a_client_that_stops_in_mid_request_is_dropped(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http_server, "REQUEST_S", 0.01)
    half = POST_RUNNING + b"Content-Length: 17\r\n\r\n{"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listen(0))
        address = listener.getsockname()[:2]
        # Sent before anyone reads: a busy machine may pause for longer than that limit in between.
        in_body, in_head = (
            stack.enter_context(socket.create_connection(address, timeout=240)) for _ in range(2)
        )
        in_body.sendall(half)
        in_head.sendall(b"GET /simul")
        server = serve(listener, Control(parts), "control", JsonRequestHandler)
        stack.callback(server.shutdown)
        status, answer = answer_of(in_body)
        assert (status, answer["error"]) == (408, "post /simulator/workload: request timeout")
        assert in_head.recv(1) == b""
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", [one.rule for one in control._URLS.iter_rules()])
def test_head_changes_nothing_and_is_answered_as_get(client: Client, path: str) -> None:
    said(switch(client, {"type": "disconnect"}))
    path = path.replace("<name>", "disconnect").replace("<int:pid>", "1")
    response = client.head(path)
    assert response.status_code == client.get(path).status_code
    assert response.get_data() == b""
    assert [one["name"] for one in said(client.get("/simulator/faults"))] == ["disconnect"]


def test_an_unexpected_error_is_json_too(
    client: Client, parts: Parts, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        msg = "x"
        raise KeyError(msg)

    monkeypatch.setattr(parts.board, "describe_all", fail)
    assert "unexpected error: KeyError: 'x'" in said(client.get("/simulator/faults"), 500)["error"]
    assert "Traceback" in capfd.readouterr().err


def test_a_number_that_is_given_twice_is_refused(client: Client) -> None:
    answer = said(client.get("/simulator/changes?after=0&after=1"), 400)
    assert answer == {"error": "after is given 2 times: give it once"}


@pytest.mark.parametrize("path", ["/simulator/faults/", "/simulator/scenarios/", "/"])
def test_a_refusal_does_not_repeat_all_of_a_long_name(client: Client, path: str) -> None:
    answer = client.open(path + "a" * 30_000, method="POST" if "scenarios" in path else "GET")
    assert len(said(answer, 404)["error"]) < 1_000


def test_a_fault_of_a_moment_is_over_when_the_answer_comes(client: Client) -> None:
    assert said(switch(client, {"type": "group_recreated"}))["on"] is False
    said(client.get("/simulator/faults/group_recreated"), 404)
