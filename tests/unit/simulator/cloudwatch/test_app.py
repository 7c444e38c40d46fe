"""tests.unit.simulator.cloudwatch.test_app."""

from __future__ import annotations

import gc
import json
import signal
import socket
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from moto.logs import models
from werkzeug.test import Client, TestResponse

from simulator.cloudwatch import LEVERS_PATH, wall_clock_ms
from simulator.cloudwatch import app as app_module
from simulator.cloudwatch.app import FaithfulLogs, build_moto, call
from simulator.cloudwatch.levers import Answer, Call, Lever, Next, refusal
from simulator.cloudwatch.moto_logs import all_groups
from simulator.errors import SimulatorError
from simulator.moto_process import lever_types, main
from simulator.network.cable import listen

GROUP = "/app"
MOTO_LOG_GROUP = models.LogGroup


class Breaking(Lever):
    """Does what its attribute says to reads."""

    def call(self, call: Call, then: Next) -> Answer:
        answer = then(call)
        if call.is_read and self.attributes.get("throttle"):
            return refusal("ThrottlingException", "Rate exceeded")
        if call.is_read and self.attributes.get("cut"):
            answer.content_length = len(answer.body)
            answer.body = answer.body[:10]
        answer.is_dropped = bool(call.is_read and self.attributes.get("drop"))
        return answer


class Rig:
    """The whole WSGI application over moto, in this process."""

    def __init__(self, app: FaithfulLogs) -> None:
        self.app = app
        self.client = Client(app)

    def raw(self, action: str, body: bytes, **headers: str) -> TestResponse:
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/logs/aws4_request, x=y"
        target = f"Logs_20140328.{action}"
        return self.client.post(
            "/", data=body, headers={"Authorization": scope, "X-Amz-Target": target, **headers}
        )

    def ask(self, action: str, **given: object) -> tuple[int, dict[str, Any]]:
        answer = self.raw(action, json.dumps({"logGroupName": GROUP, **given}).encode())
        text = answer.get_data()
        return answer.status_code, json.loads(text) if text else {}

    def lever(self, **attributes: int) -> None:
        order = {"name": "b", "type": "breaking", "attributes": attributes}
        assert self.client.post(LEVERS_PATH, json=order).status_code == 200

    def put(self, *messages: str) -> None:
        now_ms = wall_clock_ms()
        events = [{"timestamp": now_ms, "message": message} for message in messages]
        assert self.ask("PutLogEvents", logStreamName="s", logEvents=events)[0] == 200

    def messages(self, action: str = "FilterLogEvents", **given: object) -> list[str]:
        status, answer = self.ask(action, **given)
        assert status == 200, answer
        return [event["message"] for event in answer["events"]]


@pytest.fixture
def rig() -> Iterator[Rig]:
    app = FaithfulLogs(build_moto(), {"breaking": Breaking}, wall_clock_ms)
    rig = Rig(app)
    assert rig.ask("CreateLogGroup")[0] == 200
    assert rig.ask("CreateLogStream", logStreamName="s")[0] == 200
    yield rig
    rig.ask("DeleteLogGroup")
    app.close()
    assert models.LogGroup is MOTO_LOG_GROUP


def test_events_go_in_and_come_out(rig: Rig) -> None:
    rig.put("one", "two \ud83d")
    assert rig.messages() == ["one", "two \ud83d"]
    assert rig.messages("GetLogEvents", logStreamName="s") == ["one", "two \ud83d"]
    _, answer = rig.ask("DescribeLogStreams")
    assert [one["logStreamName"] for one in answer["logStreams"]] == ["s"]


def test_log_groups_of_a_linked_account_are_listed_and_read_by_their_arn(rig: Rig) -> None:
    other = {"X-Moto-Account-Id": "222222222222"}

    def there(action: str, **given: object) -> None:
        body = json.dumps({"logGroupName": GROUP, **given}).encode()
        assert rig.raw(action, body, **other).status_code == 200

    def raw(action: str, **given: object) -> tuple[int, Any]:
        answer = rig.raw(action, json.dumps(given).encode())
        return answer.status_code, json.loads(answer.get_data())

    there("CreateLogGroup")
    there("CreateLogStream", logStreamName="s")
    event = {"timestamp": wall_clock_ms(), "message": "of the other account"}
    there("PutLogEvents", logStreamName="s", logEvents=[event])
    rig.put("of our own")
    _, listed = raw("DescribeLogGroups", logGroupNamePrefix=GROUP)
    assert len(listed["logGroups"]) == 1
    arns = []
    for accounts in ({}, {"accountIdentifiers": ["222222222222"]}):
        asked = {"logGroupNamePrefix": GROUP, "includeLinkedAccounts": True, "limit": 1, **accounts}
        status, listed = raw("DescribeLogGroups", **asked)
        assert status == 200, listed
        arns.append([one["arn"].split(":")[4] for one in listed["logGroups"]])
        while "nextToken" in listed:
            _, listed = raw("DescribeLogGroups", **asked, nextToken=listed["nextToken"])
            arns[-1] += [one["arn"].split(":")[4] for one in listed["logGroups"]]
    assert arns == [["123456789012", "222222222222"], ["222222222222"]]
    arn = f"arn:aws:logs:us-east-1:222222222222:log-group:{GROUP}"
    status, found = raw("FilterLogEvents", logGroupIdentifier=arn)
    assert status == 200, found
    assert [one["message"] for one in found["events"]] == ["of the other account"]
    assert rig.messages() == ["of our own"]
    _, streams = raw("DescribeLogStreams", logGroupIdentifier=arn)
    assert [one["logStreamName"] for one in streams["logStreams"]] == ["s"]
    nobody = arn.replace("222222222222", "333333333333")
    status, refused = raw("FilterLogEvents", logGroupIdentifier=nobody)
    assert (status, refused["__type"]) == (400, "ResourceNotFoundException")
    there("DeleteLogGroup")


def test_every_fault_that_names_a_lever_can_be_engaged() -> None:
    app = FaithfulLogs(build_moto(), lever_types(), wall_clock_ms)
    try:
        client = Client(app)
        order = {
            "name": "v",
            "type": "visibility_delay",
            "attributes": {"delay_ms": 5, "jitter_ms": 0},
        }
        assert client.post(LEVERS_PATH, json=order).status_code == 200
        assert [one["name"] for one in client.get(LEVERS_PATH).get_json()] == ["v"]
        assert client.delete(LEVERS_PATH, json={"name": "v"}).status_code == 200
        assert client.post(LEVERS_PATH, json={**order, "type": "none"}).status_code == 400
    finally:
        app.close()


def test_levers_break_calls_and_others_still_pass(rig: Rig) -> None:
    rig.lever(throttle=1)
    status, answer = rig.ask("FilterLogEvents")
    assert (status, answer["__type"]) == (400, "ThrottlingException")
    rig.put("one")
    rig.lever(cut=1)
    answer_ = rig.raw("FilterLogEvents", json.dumps({"logGroupName": GROUP}).encode())
    assert len(answer_.get_data()) == 10
    assert int(answer_.headers["Content-Length"]) > 10
    rig.lever(drop=1)
    with pytest.raises(ConnectionAbortedError):
        rig.ask("FilterLogEvents")
    assert rig.client.delete(LEVERS_PATH, json={"name": "b"}).status_code == 200
    assert rig.messages() == ["one"]


def test_refusals_have_the_codes_of_aws(rig: Rig) -> None:
    status, answer = rig.ask("FilterLogEvents", limit=0)
    assert (status, answer["__type"]) == (400, "InvalidParameterException")
    status, answer = rig.ask("FilterLogEvents", logGroupName="/none")
    assert (status, answer["__type"]) == (400, "ResourceNotFoundException")
    for body in (b"{", b"[]", b""):
        broken = rig.raw("FilterLogEvents", body)
        assert (broken.status_code, broken.get_json(force=True)["__type"]) == (
            400,
            "SerializationException",
        )


def test_other_regions_hold_other_groups(rig: Rig) -> None:
    for region in ("eu-central-1", "no-such-region"):
        scope = f"AWS4-HMAC-SHA256 Credential=x/20260101/{region}/logs/aws4_request, x=y"
        body = json.dumps({"logGroupName": GROUP}).encode()
        answer = rig.raw("FilterLogEvents", body, Authorization=scope)
        assert answer.get_json(force=True)["__type"] == "ResourceNotFoundException"


def test_parts_of_moto_that_are_not_ours_see_the_same_events(rig: Rig) -> None:
    rig.put("one", "ERROR two")
    now_s = wall_clock_ms() // 1_000
    query = {
        "logGroupNames": [GROUP],
        "startTime": now_s - 60,
        "endTime": now_s + 60,
        "queryString": "fields @message",
    }
    answer = rig.raw("StartQuery", json.dumps(query).encode())
    assert answer.status_code == 200
    _, found = rig.ask("GetQueryResults", queryId=answer.get_json(force=True)["queryId"])
    assert "ERROR two" in json.dumps(found)
    # Moto's own way, which a request for another account takes.
    body = json.dumps({"logGroupName": GROUP, "filterPattern": "ERROR"}).encode()
    moto = rig.raw("FilterLogEvents", body, **{"x-moto-account-id": "123456789012"})
    events = moto.get_json(force=True)["events"]
    assert [event["message"] for event in events] == ["ERROR two"]
    (ours,) = rig.ask("FilterLogEvents", filterPattern="ERROR")[1]["events"]
    assert events[0]["eventId"] == ours["eventId"]
    _, groups = rig.ask("DescribeLogGroups")
    stored = {one["logGroupName"]: one["storedBytes"] for one in groups["logGroups"]}
    assert stored[GROUP] == len("oneERROR two")


def test_a_group_made_anew_is_empty_and_its_ids_are_new(rig: Rig) -> None:
    rig.put("one")
    before = rig.ask("FilterLogEvents")[1]["events"][0]["eventId"]
    rig.ask("DeleteLogGroup")
    assert rig.ask("FilterLogEvents")[0] == 400
    rig.ask("CreateLogGroup")
    assert rig.messages() == []
    rig.ask("CreateLogStream", logStreamName="s")
    rig.put("one")
    assert rig.ask("FilterLogEvents")[1]["events"][0]["eventId"] != before


def test_a_deleted_group_is_freed(rig: Rig) -> None:
    rig.put("one")
    (store,) = (weakref.ref(one.store) for one in all_groups() if one.name == GROUP)
    assert store() is not None
    rig.ask("DeleteLogGroup")
    gc.collect()
    assert store() is None
    rig.ask("CreateLogGroup")


def test_requests_without_measure_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "REQUEST_BYTES_MAX", 5)
    assert rig.raw("FilterLogEvents", b"123456").status_code == 413
    assert rig.raw("FilterLogEvents", b"12345").status_code == 400


def test_retention_and_stream_names_are_checked(rig: Rig) -> None:
    assert rig.ask("PutRetentionPolicy", retentionInDays=2)[1]["__type"] == (
        "InvalidParameterException"
    )
    assert rig.ask("PutRetentionPolicy", retentionInDays=1)[0] == 200
    old = {"timestamp": wall_clock_ms() - 25 * 3_600_000, "message": "old"}
    answer = rig.ask("PutLogEvents", logStreamName="s", logEvents=[old])[1]
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    assert rig.ask("DeleteRetentionPolicy")[0] == 200
    rig.ask("PutLogEvents", logStreamName="s", logEvents=[old])
    assert rig.messages() == ["old"]
    assert rig.ask("CreateLogStream", logStreamName="a:b")[1]["__type"] == (
        "InvalidParameterException"
    )
    assert rig.ask("DeleteLogStream", logStreamName="s")[0] == 200
    assert rig.messages() == []


def test_requests_without_a_socket_are_refused_in_one_line(rig: Rig) -> None:
    with pytest.raises(SimulatorError, match=r"CreateLogGroup was refused: .*AlreadyExists"):
        call(rig.app, "CreateLogGroup", {"logGroupName": GROUP}, "us-east-1")


def test_a_port_in_use_is_said_in_one_line() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorError, match=f"cannot listen on port {port} "):
            listen(port)
    with pytest.raises(SimulatorError, match="port 70000 does not exist"):
        listen(70_000)


@pytest.fixture
def own_signals() -> Iterator[None]:
    """What ``main`` blocks must not be inherited by processes of later tests."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


@pytest.mark.usefixtures("own_signals")
def test_main_says_what_is_wrong_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--port", str(taken.getsockname()[1])]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("gapless: cannot listen on port ")
    assert captured.err.count("\n") == 1
