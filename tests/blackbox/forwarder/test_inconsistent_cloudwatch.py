"""A CloudWatch whose answers change ids, log streams and order, over real sockets [17]."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.support.forwarder.scripted_cloudwatch import (
    Asked,
    Reply,
    refusal,
    scripted_cloudwatch,
)
from tests.support.processes.gapless_processes import (
    WAIT_S,
    GaplessProcess,
    Viewer,
    forwarder,
    wait_until,
)
from tests.support.processes.log_writer import now_ms

GROUP = "/jobs/nightly"
STREAM = "job/main/aaaa"
PAGE_EVENTS = 40
EVENTS = 120

pytestmark = pytest.mark.timeout(300)


class Liar:
    """Stored events, and how the answers about them differ from them."""

    def __init__(self) -> None:
        self.begun_ms = now_ms() - 60_000
        self.created_ms = self.begun_ms - 3_600_000
        self.is_denied = False
        self.lie = ""
        self.lies = 0
        self.described = 0
        self._lock = threading.Lock()
        self.events: list[dict[str, Any]] = [
            {
                "eventId": str(number),
                "timestamp": self.begun_ms + number * 10,
                "ingestionTime": self.begun_ms + number * 10,
                "logStreamName": STREAM,
                "message": f"line {number}",
            }
            for number in range(1, EVENTS + 1)
        ]

    def wait_lies(self, count: int) -> None:
        """Wait until this many answers were wrong."""
        wait_until(lambda: self.lies >= count, f"an answer that lies: {self.lie}")

    def answer(self, asked: Asked) -> Reply:
        with self._lock:
            if asked["operation"] == "DescribeLogGroups":
                self.described += 1
                if self.is_denied:
                    return refusal("AccessDeniedException")
                group = {"logGroupName": GROUP, "creationTime": self.created_ms}
                return Reply(body=json.dumps({"logGroups": [group]}).encode())
            if asked["operation"] == "DescribeLogStreams":
                stream = {"logStreamName": STREAM, "creationTime": self.created_ms}
                return Reply(body=json.dumps({"logStreams": [stream]}).encode())
            return self._page(asked)

    def _page(self, asked: Asked) -> Reply:
        low, high = asked.get("startTime", 0), asked.get("endTime", 1 << 60)
        found = [one for one in self.events if low <= one["timestamp"] <= high]
        start = int(asked.get("nextToken", 0))
        if start and self.lie == "token":
            self.lies += 1
            return refusal("InvalidParameterException", "The specified nextToken is invalid.")
        listed = found[start : start + PAGE_EVENTS]
        if listed:
            self.lies += bool(self.lie)
            listed = self._distort(listed, start)
        reply: dict[str, Any] = {"events": listed, "searchedLogStreams": []}
        if start + PAGE_EVENTS < len(found):
            reply["nextToken"] = str(start + PAGE_EVENTS)
        return Reply(body=json.dumps(reply).encode())

    def _distort(self, page: list[Any], start: int) -> list[Any]:
        """A page with a lie; ``mixed`` is another one for each page."""
        first, rest = page[0], page[1:]
        mixed = ("timestamp", "stream", "both")[start // PAGE_EVENTS % 3]
        lies: dict[str, list[Any]] = {
            "timestamp": [{**first, "timestamp": first["timestamp"] + 3}, *rest],
            "stream": [{**first, "logStreamName": "job/main/zzzz"}, *rest],
            "both": [first, {**first, "logStreamName": "job/main/zzzz"}, *rest],
            "order": page[::-1],
            "unreadable": [{**first, "eventId": f"x{first['eventId']}"}, None, *page],
        }
        return lies.get(mixed if self.lie == "mixed" else self.lie, page)


def of_type(viewer: Viewer, kind: str) -> list[dict[str, Any]]:
    return [line for line in viewer.record_now() if line["type"] == kind]


def test_answers_that_contradict_themselves_lose_nothing(tmp_path: Path) -> None:
    liar = Liar()
    with (
        scripted_cloudwatch(liar.answer) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(EVENTS)
        for lie in ("mixed", "order", "token"):
            liar.lie, expected = lie, liar.lies + 2
            liar.wait_lies(expected)
        liar.is_denied, liar.lie = True, "timestamp"
        wait_until(
            lambda: any("DescribeLogGroups" in gap["reason"] for gap in of_type(viewer, "gap")),
            "a gap that names the permission",
        )
        assert len(viewer.shown()) == EVENTS
        liar.lie = ""
        wait_until(
            lambda: {gap["state"] for gap in of_type(viewer, "gap")} == {"repaired"},
            "the repair of all gaps",
        )
        assert not any("began" in line for line in viewer.err.so_far())
        assert liar.described < 20
        messages = [line["message"] for line in viewer.shown()]
        assert messages == [f"line {number}" for number in range(1, EVENTS + 1)]


def test_a_contradiction_ends_a_run_without_follow_and_a_verification(tmp_path: Path) -> None:
    liar = Liar()
    with scripted_cloudwatch(liar.answer) as cloudwatch:
        with (
            forwarder(GROUP, cloudwatch.url, tmp_path) as process,
            Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
        ):
            viewer.wait_shown(EVENTS)
        liar.lie = "timestamp"
        with forwarder(GROUP, cloudwatch.url, tmp_path) as process:
            liar.wait_lies(1)
            end = ("--since", "10m", "--no-follow", "--patience", "4s", "--no-resume")
            with Viewer(process.ready()["websocket"], *end, state=tmp_path) as once:
                assert once.popen.wait(WAIT_S) == 4
                assert len(once.out.wait_end()) == EVENTS
                declared, *_, last = once.err.wait_end()
                reason = "CloudWatch Logs answered inconsistently: event id"
                assert f"gap suspected… {reason}" in declared
                assert "not complete: " in last
                assert reason in last
            aws = ("--endpoint-url", cloudwatch.url, "--region", "us-east-1")
            served = process.ready()["websocket"]
            with GaplessProcess(
                "verify", served, "--since", "10m", *aws, state=tmp_path
            ) as verifying:
                wait_until(
                    lambda: any(reason in line for line in verifying.err.so_far()),
                    "the reason of a verification that waits",
                )


def test_what_cannot_be_shown_is_declared_and_the_rest_is_verified(tmp_path: Path) -> None:
    liar = Liar()
    liar.lie = "unreadable"
    with (
        scripted_cloudwatch(liar.answer) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(EVENTS)
        wait_until(
            lambda: any(
                gap["state"] == "unrecoverable" and "can't be shown" in gap["reason"]
                for gap in of_type(viewer, "gap")
            ),
            "a gap for what can't be shown",
        )
        messages = [line["message"] for line in viewer.shown()]
        assert messages == [f"line {number}" for number in range(1, EVENTS + 1)]


def test_a_recreated_group_is_confirmed_by_its_age(tmp_path: Path) -> None:
    liar = Liar()
    with (
        scripted_cloudwatch(liar.answer) as cloudwatch,
        forwarder(GROUP, cloudwatch.url, tmp_path) as process,
        Viewer(process.ready()["websocket"], "--since", "10m", state=tmp_path) as viewer,
    ):
        viewer.wait_shown(EVENTS)
        at_ms = now_ms()
        with liar._lock:
            liar.created_ms = at_ms
            liar.events = [
                {
                    **one,
                    "timestamp": at_ms + place,
                    "ingestionTime": at_ms,
                    "message": f"new {place}",
                }
                for place, one in enumerate(liar.events)
            ]
        wait_until(
            lambda: sum(line["message"].startswith("new") for line in viewer.shown()) == EVENTS,
            "the events of the new log group",
        )
