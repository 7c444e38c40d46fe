"""The simulator's CloudWatch storage without moto or a server, with a settable clock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from simulator.cloudwatch.delivery import Delivery, DeliveryError
from simulator.cloudwatch.levers import Batch, Call, Lever, Rack
from simulator.cloudwatch.logs import GroupStore, Logs, StreamStore
from simulator.cloudwatch.parameters import AwsRefusal, check
from simulator.cloudwatch.putting import Writing
from simulator.cloudwatch.reading import Reading

GROUP: Final = "/jobs/nightly"
REGION: Final = "us-east-1"
NOW: Final = 1_800_000_000_000


class StoredLogs:
    """One log group with log streams, and the calls that read and write it."""

    def __init__(self, *streams: str, levers: Mapping[str, type[Lever]] | None = None) -> None:
        self.now_ms = NOW
        self.sent: list[Batch] = []
        self.is_broken = False
        self.store = GroupStore(GROUP)
        self.store.streams = {name: StreamStore(f"arn:{name}", NOW) for name in streams}
        self.logs = Logs(lambda: self.now_ms)
        self.rack = Rack(self.logs, levers or {}, lambda: self.now_ms)
        self.delivery = Delivery(self._send, self.rack.deliver, self.logs.ids, lambda: self.now_ms)
        reading = Reading(self.logs, self.rack, self._find, lambda *_: [])
        writing = Writing(self.logs, self.delivery, self._find)
        self._calls = {
            "FilterLogEvents": reading.filter_log_events,
            "GetLogEvents": reading.get_log_events,
            "DescribeLogStreams": reading.describe_log_streams,
            "PutLogEvents": writing.put_log_events,
        }

    def ask(self, action: str, *, events_max: int | None = None, **given: object) -> Any:  # noqa: ANN401 - JSON
        """Call an action and return its answer; raises AwsRefusal."""
        source = {} if "logGroupIdentifier" in given else {"logGroupName": GROUP}
        body = json.dumps({**source, **given}).encode()
        call = Call("logs", action, REGION, body, self.now_ms)
        if events_max is not None:
            call.events_max = events_max
        check(action, call.parameters)
        return self._calls[action](call)

    def refused(self, action: str, **given: Any) -> tuple[str, str]:  # noqa: ANN401 - JSON
        """Call an action that must be refused; returns the error's code and message."""
        try:
            answer = self.ask(action, **given)
        except AwsRefusal as error:
            return error.code, error.message
        msg = f"{action} was not refused: {answer}"
        raise AssertionError(msg)

    def put(self, stream: str, *events: tuple[int, str]) -> dict[str, Any]:
        """Write (ms from ``NOW``, message) pairs."""
        answer: dict[str, Any] = self.ask(
            "PutLogEvents",
            logStreamName=stream,
            logEvents=[{"timestamp": NOW + at, "message": text} for at, text in events],
        )
        return answer

    def messages(self, **given: Any) -> list[str]:  # noqa: ANN401 - JSON
        """Messages that one FilterLogEvents call returns."""
        return texts(self.ask("FilterLogEvents", **given)["events"])

    def _find(self, region: str, name: str, account: str) -> GroupStore | None:
        del account
        return self.store if (region, name) == (REGION, GROUP) else None

    def _send(self, batch: Batch) -> None:
        if self.is_broken:
            msg = "broken"
            raise DeliveryError(msg)
        self.sent.append(batch)


def texts(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """The messages of events."""
    return [event["message"] for event in events]
