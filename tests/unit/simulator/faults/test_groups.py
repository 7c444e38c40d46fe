"""The faults that change log groups themselves, over moto in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import Client

from simulator.cloudwatch import LEVERS_PATH, wall_clock_ms
from simulator.cloudwatch.app import FaithfulLogs, build_moto
from simulator.faults.base import Cycle
from simulator.faults.board import FAULTS
from simulator.moto_process import lever_types

GROUP = "/groups"
HOUR_MS = 3_600_000


class Rig:
    def __init__(self, client: Client) -> None:
        self.client = client

    def ask(self, action: str, **given: object) -> dict[str, Any]:
        scope = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/logs/aws4_request, x=y"
        body = json.dumps({"logGroupName": GROUP, **given})
        headers = {"Authorization": scope, "X-Amz-Target": f"Logs_20140328.{action}"}
        answer = self.client.post("/", data=body, headers=headers)
        assert answer.status_code == 200, answer.get_data()
        found: dict[str, Any] = json.loads(answer.get_data() or b"{}")
        return found

    def engage(self, kind: str, **attributes: int) -> None:
        order = {"name": "x", "type": kind, "attributes": attributes}
        assert self.client.post(LEVERS_PATH, json=order).status_code == 200

    def messages(self) -> list[str]:
        return [event["message"] for event in self.ask("FilterLogEvents")["events"]]

    def put(self, *hours_ago: int) -> None:
        now_ms = wall_clock_ms()
        events = [{"timestamp": now_ms - h * HOUR_MS, "message": f"{h} h"} for h in hours_ago]
        self.ask("PutLogEvents", logStreamName="s", logEvents=events)


@pytest.fixture
def rig() -> Iterator[Rig]:
    app = FaithfulLogs(build_moto(), lever_types(), wall_clock_ms)
    one = Rig(Client(app))
    one.ask("CreateLogGroup")
    one.ask("CreateLogStream", logStreamName="s")
    yield one
    one.ask("DeleteLogGroup")
    app.close()


def test_retention_deletes_old_events_and_is_described(rig: Rig) -> None:
    rig.put(47, 30, 25)
    rig.put(23, 0)
    rig.engage("retention_expire", days=1)
    assert rig.messages() == ["23 h", "0 h"]
    assert rig.ask("DescribeLogGroups")["logGroups"][0]["retentionInDays"] == 1
    assert FAULTS["retention_expire"].cycle({"days": 1}) == Cycle(on_ms=0)


def test_a_recreated_group_is_empty_and_has_its_log_streams(rig: Rig) -> None:
    rig.put(1)
    first = rig.ask("DescribeLogGroups")["logGroups"][0]["creationTime"]
    rig.engage("group_recreated")
    assert rig.messages() == []
    rig.put(0)
    assert rig.messages() == ["0 h"]
    assert rig.ask("DescribeLogGroups")["logGroups"][0]["creationTime"] >= first
    assert FAULTS["group_recreated"].cycle({}) == Cycle(on_ms=0)
