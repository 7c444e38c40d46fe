"""A very fast CloudWatch Logs stand-in, so that benchmarks measure the forwarder.

moto sorts a whole stream at every FilterLogEvents call and would dominate the figures. This one
keeps events encoded and sorted, finds a page by bisection and joins bytes. It supports only the
forwarder's calls and runs as a process: ``python -m tests.bench.standin RATE SECONDS`` prints its
port, then writes RATE events per second for SECONDS, stamped with the current time.
"""

from __future__ import annotations

import bisect
import json
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

GROUP: Final = "/bench/group"
STREAMS: Final = tuple(f"job/main/{number:04d}" for number in range(4))
PAGE_EVENTS_MAX: Final = 10_000
TICK_S: Final = 0.02
LINE: Final = (
    "2026-11-23T12:00:00.000Z INFO worker-3 request finished status=200 duration_ms=12 "
    "path=/v1/orders/{number:08d} user=4711"
)


class Store:
    """The events in order of writing, which is timestamp order."""

    def __init__(self) -> None:
        self.timestamps: list[int] = []
        self.encoded: list[bytes] = []
        self._lock = threading.Lock()

    def write(self, count: int) -> None:
        """Add events stamped with the current time."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            first = len(self.timestamps)
            for number in range(first, first + count):
                self.encoded.append(encode_event(number, now))
                self.timestamps.append(now)

    def page(self, start: int, end: int | None, at: int | None) -> bytes:
        """Encode a page of the events in [start, end], from index ``at`` of a token if given."""
        with self._lock:
            low = bisect.bisect_left(self.timestamps, start) if at is None else at
            high = len(self.timestamps)
            if end is not None:
                high = bisect.bisect_right(self.timestamps, end)
            stop = min(high, low + PAGE_EVENTS_MAX)
            events = self.encoded[low:stop]
        token = b',"nextToken":"%d"' % stop if stop < high else b""
        return b'{"events":[' + b",".join(events) + b'],"searchedLogStreams":[]' + token + b"}"


def encode_event(number: int, timestamp: int) -> bytes:
    """One event of a FilterLogEvents page; ids have 56 digits, as AWS has them."""
    return json.dumps(
        {
            "logStreamName": STREAMS[number % len(STREAMS)],
            "timestamp": timestamp,
            "message": LINE.format(number=number),
            "ingestionTime": timestamp,
            "eventId": f"{(timestamp << 144) + number:056d}",
        }
    ).encode()


def canned_page(count: int) -> bytes:
    """Encode a page of ``count`` events, one per millisecond."""
    store = Store()
    for number in range(count):
        store.timestamps.append(number + 1)
        store.encoded.append(encode_event(number, 1_700_000_000_000 + number))
    return store.page(0, None, None)


def make_handler(store: Store) -> type[BaseHTTPRequestHandler]:
    """Create the request handler class for a store."""

    def filter_events(asked: dict[str, Any]) -> bytes:
        token = asked.get("nextToken")
        start = asked.get("startTime") or 0
        return store.page(start, asked.get("endTime"), None if token is None else int(token))

    def groups(_: dict[str, Any]) -> bytes:
        return json.dumps({"logGroups": [{"logGroupName": GROUP}]}).encode()

    def streams(_: dict[str, Any]) -> bytes:
        return json.dumps({"logStreams": [{"logStreamName": name} for name in STREAMS]}).encode()

    answers: dict[str, Callable[[dict[str, Any]], bytes]] = {
        "Logs_20140328.FilterLogEvents": filter_events,
        "Logs_20140328.DescribeLogGroups": groups,
        "Logs_20140328.DescribeLogStreams": streams,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
            answer = answers.get(self.headers["X-Amz-Target"])
            body = b"{}" if answer is None else answer(asked)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def main(rate: int, seconds: float) -> None:
    """Serve until standard input ends, and write events after a line on it."""
    store = Store()
    server = ThreadingHTTPServer(("127.0.0.1", 0), make_handler(store))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201 - the ready line
    sys.stdin.readline()
    started, written, pause = time.monotonic(), 0, threading.Event()
    while (passed := time.monotonic() - started) < seconds:
        due = int(passed * rate) - written
        store.write(due)
        written += due
        pause.wait(TICK_S)
    print(written, flush=True)  # noqa: T201 - how many there are
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
