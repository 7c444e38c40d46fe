"""Delivery of subscription filters: events chosen by pattern, delayed, sent by one thread.

AWS delivers at least once, asynchronously, a second or several after PutLogEvents. Levers may
drop, duplicate, delay and reorder batches. A batch whose destination is gone is skipped and
counted, as on AWS after a non-retryable error.
"""

from __future__ import annotations

import base64
import gzip
import heapq
import json
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from simulator.cloudwatch.levers import Batch
from simulator.cloudwatch.logs import KEY_BITS, Event, GroupStore, Ids, Subscription
from simulator.cloudwatch.parameters import matcher

DELAY_MS: Final = 100
"""Delay between PutLogEvents and delivery, without faults."""

WAITING_BYTES_MAX: Final = 256 * 1024 * 1024
"""Most bytes that may wait; beyond it batches are skipped, with a message on stderr."""

CONTROL_TEXT: Final = "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."

_EVENT_BYTES: Final = 200

Send = Callable[[Batch], None]
"""Puts one record into its destination; may raise ``DeliveryError``."""


class DeliveryError(Exception):
    """The destination refused the record; the text is one line."""


class Delivery:
    """The queue of waiting batches and the thread that sends them."""

    def __init__(
        self,
        send: Send,
        levers: Callable[[list[Batch]], list[Batch]],
        ids: Ids,
        now_ms: Callable[[], int],
    ) -> None:
        """``levers`` replaces batches before sending; ``ids`` are those of FilterLogEvents."""
        self._send = send
        self._levers = levers
        self._ids = ids
        self._now_ms = now_ms
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, int, Batch]] = []
        self._bytes = 0
        self._number = 0
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.delay_ms = DELAY_MS
        self.sent = 0
        self.skipped = 0

    def offer(self, store: GroupStore, events: Sequence[Event], now_ms: int) -> None:
        """Queue one log stream's events for each subscription filter that matches them."""
        for one in tuple(store.subscriptions.values()):
            matches = matcher(one.pattern)
            chosen = tuple(
                (self._ids.of(event[0]), event[0] >> KEY_BITS, event[3])
                for event in events
                if matches is None or matches(event[3])
            )
            if chosen:
                due_ms, stream = now_ms + self.delay_ms, events[0][2]
                group, name, destination = store.name, one.name, one.destination
                batch = Batch(due_ms, group, stream, name, destination, one.is_random, chosen)
                self.add([batch])

    def probe(self, one: Subscription, now_ms: int) -> None:
        """Send a ``CONTROL_MESSAGE``, as AWS does when a subscription filter is created."""
        events = (("", now_ms, CONTROL_TEXT),)
        self._put(
            [Batch(now_ms, "", "", "", one.destination, one.is_random, events, "CONTROL_MESSAGE")]
        )

    def add(self, batches: list[Batch]) -> None:
        """Queue batches, as changed by the levers."""
        self._put(self._levers(batches))

    def send_due(self, now_ms: int) -> int | None:
        """Send the due batches in order; returns ms until the next one, None without any."""
        while True:
            with self._changed:
                if not self._waiting:
                    return None
                if self._waiting[0][0] > now_ms:
                    return self._waiting[0][0] - now_ms
                _, _, batch = heapq.heappop(self._waiting)
                self._bytes -= _size(batch)
            try:
                self._send(batch)
            except DeliveryError:
                self.skipped += 1
            else:
                self.sent += 1

    def close(self) -> None:
        """Stop sending and end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _put(self, batches: Iterable[Batch]) -> None:
        with self._changed:
            for batch in batches:
                size = _size(batch)
                if self._bytes + size > WAITING_BYTES_MAX:
                    self.skipped += 1
                    if self.skipped == 1:
                        text = (
                            "gapless: the queue of subscription filters is full: skipping batches"
                        )
                        print(text, file=sys.stderr)  # noqa: T201 - for a person
                    continue
                self._bytes += size
                self._number += 1
                heapq.heappush(self._waiting, (batch.due_ms, self._number, batch))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            self.send_due(self._now_ms())
            with self._changed:
                if self._is_closed:
                    return
                # Checked again: a batch may have been queued meanwhile.
                if not self._waiting:
                    self._changed.wait()
                elif (left_ms := self._waiting[0][0] - self._now_ms()) > 0:
                    self._changed.wait(left_ms / 1_000)


def payload(batch: Batch, owner: str) -> dict[str, Any]:
    """The JSON object that AWS sends for a batch; a probe belongs to no log group."""
    is_probe = batch.message_type == "CONTROL_MESSAGE"
    return {
        "messageType": batch.message_type,
        "owner": "CloudwatchLogs" if is_probe else owner,
        "logGroup": batch.group,
        "logStream": batch.stream,
        "subscriptionFilters": [] if is_probe else [batch.filter_name],
        "logEvents": [
            {"id": identity, "timestamp": timestamp, "message": message}
            for identity, timestamp, message in batch.events
        ],
    }


def record_data(batch: Batch, owner: str) -> str:
    """Data of a Kinesis record as moto stores it: gzip in base64."""
    # json escapes lone surrogates; level 1 is fastest, and size does not matter here.
    text = json.dumps(payload(batch, owner), separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 1, mtime=0)).decode()


def _size(batch: Batch) -> int:
    return sum(_EVENT_BYTES + len(message) for _, _, message in batch.events)
