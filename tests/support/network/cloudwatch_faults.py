"""Bad weather between a client and CloudWatch Logs, in a process of its own: nothing of ours.

A plain HTTP proxy before a moto server. Reads (FilterLogEvents, GetLogEvents, Describe…) meet
the weather; whoever writes goes to moto directly. Everything is drawn from a seed.
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
    """What goes wrong: probabilities a call, in the order in which they are tried."""

    throttle: float = 0.0
    """The call is refused with ThrottlingException."""
    cut: float = 0.0
    """The connection ends in the middle of the answer."""
    truncate: float = 0.0
    """The answer is 200, and its JSON stops in the middle."""
    outage_at: int = 0
    """From this read of events on (1 = the first; 0 = never) ``outage_calls`` get a 503."""
    outage_calls: int = 0
    visible_within_ms: int = 0
    """An event becomes visible at a time after its ingestion uniform in this range."""
    seed: int = 1


class CallFault(msgspec.Struct, frozen=True):
    """What becomes of one call."""

    status: int = OK
    is_cut: bool = False
    is_truncated: bool = False


class FaultSchedule:
    """Pure: the fate of each call in turn, and whether an event is visible yet."""

    def __init__(self, weather: CloudWatchFaults) -> None:
        self._weather = weather
        self._rng = Random(weather.seed)
        self._reads = 0

    def next(self, *, reads_events: bool) -> CallFault:
        """The fate of the next call."""
        weather = self._weather
        if reads_events:
            self._reads += 1
            if 0 <= self._reads - weather.outage_at < weather.outage_calls and weather.outage_at:
                return CallFault(status=503)
        draws = [self._rng.random() for _ in range(3)]
        if draws[0] < weather.throttle:
            return CallFault(status=400)
        return CallFault(
            is_cut=reads_events and draws[1] < weather.cut,
            is_truncated=reads_events and draws[2] < weather.truncate,
        )

    def is_visible(self, event: dict[str, Any], now_ms: int) -> bool:
        """Whether a scan at that time must return the event; the same for every scan."""
        within_ms = self._weather.visible_within_ms
        if not within_ms:
            return True
        name = f"{self._weather.seed} {event['eventId']} {event['message']}"
        delay_ms = zlib.crc32(name.encode("utf-8", "surrogatepass")) % within_ms
        visible_ms: int = event["ingestionTime"] + delay_ms
        return now_ms >= visible_ms


class _Handler(BaseHTTPRequestHandler):
    """Passes requests on, and lets the weather at the answers."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body together: else each answer waits for an acknowledgement
    forecast: FaultSchedule
    lock: threading.Lock
    target: int
    weather: CloudWatchFaults

    def setup(self) -> None:
        """One connection onwards for each connection that comes."""
        super().setup()
        self.far = HTTPConnection("127.0.0.1", self.target, timeout=TIMEOUT_S)

    def finish(self) -> None:
        """Both ends go together."""
        self.far.close()
        super().finish()

    def do_POST(self) -> None:
        """One call of an AWS API."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        with self.lock:
            fate = self.forecast.next(reads_events=action in _READS_OF_EVENTS)
        if fate.status != OK:
            self._answer(fate.status, _THROTTLING if fate.status == 400 else b"")
            return
        self.far.request("POST", self.path, body, dict(self.headers.items()))
        response = self.far.getresponse()
        answer = response.read()
        if action == "FilterLogEvents" and response.status == OK:
            answer = self._visible_part(answer)
        if fate.is_truncated:
            answer = answer[: len(answer) // 2]
        self._answer(response.status, answer, sent=len(answer) // 2 if fate.is_cut else None)

    def _visible_part(self, answer: bytes) -> bytes:
        if not self.weather.visible_within_ms:
            return answer
        page = json.loads(answer)
        now_ms = time_ns() // 1_000_000
        page["events"] = [one for one in page["events"] if self.forecast.is_visible(one, now_ms)]
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
        """Requests are not logged."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # passed on


@contextmanager
def faulty_cloudwatch(url: str, weather: CloudWatchFaults) -> Iterator[str]:
    """The URL of the same CloudWatch behind the weather, for the length of a ``with`` block."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.network.cloudwatch_faults",
            url,
            msgspec.json.encode(weather),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, "the weather did not start; its standard error says why"
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
    parser.add_argument("weather")
    given = parser.parse_args()
    _Handler.weather = msgspec.json.decode(given.weather, type=CloudWatchFaults)
    _Handler.forecast = FaultSchedule(_Handler.weather)
    _Handler.lock = threading.Lock()
    _Handler.target = int(given.url.rpartition(":")[2])
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    main()
