"""PutLogEvents: parameters in, answer out."""

from __future__ import annotations

from typing import Any

from simulator.cloudwatch.delivery import Delivery
from simulator.cloudwatch.levers import Call
from simulator.cloudwatch.logs import Logs
from simulator.cloudwatch.parameters import not_found
from simulator.cloudwatch.putting import accept
from simulator.cloudwatch.reading import FindGroup

SEQUENCE_TOKEN = "0" * 56
"""CloudWatch Logs ignores sequence tokens, and returns one all the same."""


class Writing:
    """The call that writes."""

    def __init__(self, logs: Logs, delivery: Delivery, find_group: FindGroup) -> None:
        """What is accepted goes to the subscription filters, too."""
        self._logs = logs
        self._delivery = delivery
        self._find_group = find_group

    def put_log_events(self, call: Call) -> dict[str, Any]:
        """Store a batch; what is too old or too new of it is told, and the rest stored.

        Raises:
            AwsRefusal: as AWS refuses; nothing is stored.

        """
        asked = call.parameters
        with self._logs.lock:
            store = self._find_group(call.region, asked["logGroupName"])
            if store is None or asked["logStreamName"] not in store.streams:
                raise not_found("log group" if store is None else "log stream")
        taken = accept(asked["logEvents"], call.now_ms, store.retention_ms)
        with self._logs.lock:
            if asked["logStreamName"] not in store.streams:
                what = "log stream"
                raise not_found(what)
            stored = self._logs.put(store, asked["logStreamName"], taken.events)
            if stored:
                # With the lock, so that a log stream's records are in the order of its events.
                self._delivery.offer(store, stored, call.now_ms)
        answer: dict[str, Any] = {"nextSequenceToken": SEQUENCE_TOKEN}
        if taken.rejected:
            answer["rejectedLogEventsInfo"] = taken.rejected
        return answer
