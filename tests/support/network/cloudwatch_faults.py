"""A proxy process that puts seeded faults between a client and a moto server.

Reads (FilterLogEvents, GetLogEvents, Describe…) go through the proxy; writers use moto directly.
It imports nothing of the product.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from time import time_ns
from typing import Any, Final

import msgspec

TIMEOUT_S: Final = 60
OK: Final = 200
_READS_OF_EVENTS: Final = ("FilterLogEvents", "GetLogEvents")
_THROTTLING: Final = b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'


class CloudWatchFaults(msgspec.Struct, frozen=True):
    """The faults of a proxy: probabilities per call, drawn in this order."""

    throttle: float = 0.0
    """The call is refused with ThrottlingException."""
    cut: float = 0.0
    """The connection closes in the middle of the response."""
    truncate: float = 0.0
    """The response is 200 with JSON that stops in the middle."""
    outage_at: int = 0
    """Read of events (1 = first, 0 = never) from which ``outage_calls`` calls get a 503."""
    outage_calls: int = 0
    visible_within_ms: int = 0
    """Longest delay from ingestion to visibility; uniformly distributed."""
    seed: int = 1


class CallFault(msgspec.Struct, frozen=True):
    """The fault, if any, of one call."""

    status: int = OK
    is_cut: bool = False
    is_truncated: bool = False


class FaultSchedule:
    """Draws the fault of each call, and the time at which each event becomes visible. Pure."""

    def __init__(self, faults: CloudWatchFaults) -> None:
        self._faults = faults
        self._rng = Random(faults.seed)
        self._reads = 0

    def next(self, *, reads_events: bool) -> CallFault:
        """Draw the fault of the next call."""
        faults = self._faults
        if reads_events:
            self._reads += 1
            if 0 <= self._reads - faults.outage_at < faults.outage_calls and faults.outage_at:
                return CallFault(status=503)
        draws = [self._rng.random() for _ in range(3)]
        if draws[0] < faults.throttle:
            return CallFault(status=400)
        return CallFault(
            is_cut=reads_events and draws[1] < faults.cut,
            is_truncated=reads_events and draws[2] < faults.truncate,
        )

    def is_visible(self, event: dict[str, Any], now_ms: int) -> bool:
        """Whether a scan at that time must return the event; the same for every scan."""
        within_ms = self._faults.visible_within_ms
        if not within_ms:
            return True
        name = f"{self._faults.seed} {event['eventId']} {event['message']}"
        delay_ms = zlib.crc32(name.encode("utf-8", "surrogatepass")) % within_ms
        visible_ms: int = event["ingestionTime"] + delay_ms
        return now_ms >= visible_ms


class _Handler(BaseHTTPRequestHandler):
    """Relays requests to moto and applies the faults to the responses."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write per response, else the body waits for a TCP acknowledgement
    schedule: FaultSchedule
    lock: threading.Lock
    target: int
    faults: CloudWatchFaults

    def setup(self) -> None:
        """Open one connection to moto for each client connection."""
        super().setup()
        self.far = HTTPConnection("127.0.0.1", self.target, timeout=TIMEOUT_S)

    def finish(self) -> None:
        """Close both connections."""
        self.far.close()
        super().finish()

    def do_POST(self) -> None:
        """Relay one AWS API call."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        with self.lock:
            fault = self.schedule.next(reads_events=action in _READS_OF_EVENTS)
        if fault.status != OK:
            self._answer(fault.status, _THROTTLING if fault.status == 400 else b"")
            return
        self.far.request("POST", self.path, body, dict(self.headers.items()))
        response = self.far.getresponse()
        answer = response.read()
        if action == "FilterLogEvents" and response.status == OK:
            answer = self._visible_part(answer)
        if fault.is_truncated:
            answer = answer[: len(answer) // 2]
        self._answer(response.status, answer, sent=len(answer) // 2 if fault.is_cut else None)

    def _visible_part(self, answer: bytes) -> bytes:
        if not self.faults.visible_within_ms:
            return answer
        page = json.loads(answer)
        now_ms = time_ns() // 1_000_000
        page["events"] = [one for one in page["events"] if self.schedule.is_visible(one, now_ms)]
        return json.dumps(page).encode()

    def _answer(self, status: int, body: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        if sent is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnected."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on


@contextmanager
def faulty_cloudwatch(url: str, faults: CloudWatchFaults) -> Iterator[str]:
    """Run a faulty proxy of a CloudWatch endpoint; yields its URL."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.network.cloudwatch_faults",
            url,
            msgspec.json.encode(faults),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the proxy did not start: see its standard error"
        yield f"http://127.0.0.1:{int(line)}"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.network.cloudwatch_faults")
    parser.add_argument("url")
    parser.add_argument("faults")
    given = parser.parse_args()
    _Handler.faults = msgspec.json.decode(given.faults, type=CloudWatchFaults)
    _Handler.schedule = FaultSchedule(_Handler.faults)
    _Handler.lock = threading.Lock()
    _Handler.target = int(given.url.rpartition(":")[2])
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
