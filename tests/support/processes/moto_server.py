"""An unpatched moto server in its own process, and functions to write events with boto3.

The server binds a free port of 127.0.0.1 and prints it as its ready line. It ends when its
standard input does, so it never outlives the tests, even after SIGKILL; at the end of the
``with`` block it is killed by its pid. Credentials are dummies given to the clients alone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import boto3
import msgspec

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef

REGION: Final = "us-east-1"

CREDENTIALS: Final[dict[str, str]] = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""Environment of clients under test; tests must not set it in their own process."""

BATCH_EVENTS_MAX: Final = 10_000
"""Most events in one PutLogEvents call."""

_MAKING: Final = threading.Lock()
"""The session that boto3 shares makes clients in one thread at a time."""

_SERVE: Final = """
import logging, sys
logging.getLogger("werkzeug").setLevel(logging.ERROR)
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", int(sys.argv[1]), verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.buffer.read()
"""


class RawMoto(msgspec.Struct, frozen=True):
    """A running server: its endpoint URL and process id."""

    url: str
    pid: int

    def client(self, region: str = REGION) -> CloudWatchLogsClient:
        """A boto3 client of the server; the caller closes it."""
        with _MAKING:
            return boto3.client(
                "logs",
                endpoint_url=self.url,
                region_name=region,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )

    def kill(self) -> None:
        """Send SIGKILL; all its data is lost."""
        os.kill(self.pid, signal.SIGKILL)

    def create(self, group: str, *streams: str) -> None:
        """Create log streams, and their log group if it does not exist."""
        client = self.client()
        try:
            found = client.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
            if all(one["logGroupName"] != group for one in found):
                client.create_log_group(logGroupName=group)
            for stream in streams:
                client.create_log_stream(logGroupName=group, logStreamName=stream)
        finally:
            client.close()

    def put(self, group: str, stream: str, events: Iterable[tuple[int, str]]) -> None:
        """Write (timestamp in ms, message) pairs to an existing log stream, in batches."""
        client = self.client()
        try:
            put_events(client, group, stream, list(events))
        finally:
            client.close()


def put_events(
    client: CloudWatchLogsClient, group: str, stream: str, events: Sequence[tuple[int, str]]
) -> None:
    """Write events with an existing client, at most 10,000 per call."""
    for start in range(0, len(events), BATCH_EVENTS_MAX):
        batch: list[InputLogEventTypeDef] = [
            {"timestamp": timestamp, "message": message}
            for timestamp, message in events[start : start + BATCH_EVENTS_MAX]
        ]
        answer = client.put_log_events(logGroupName=group, logStreamName=stream, logEvents=batch)
        assert "rejectedLogEventsInfo" not in answer, answer["rejectedLogEventsInfo"]


@contextmanager
def stand_in() -> Iterator[RawMoto]:
    """Run the CloudWatch stand-in, which answers as AWS does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator.moto_process"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready, "the stand-in did not start: see its standard error"
        yield RawMoto(url=json.loads(ready)["cloudwatch"], pid=process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def raw_moto(port: int = 0) -> Iterator[RawMoto]:
    """Run an unpatched moto server; port 0 selects a free one."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        assert ready, "the moto server did not start: see its standard error"
        yield RawMoto(url=f"http://127.0.0.1:{int(ready)}", pid=process.pid)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
