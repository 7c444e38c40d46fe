"""A home directory of its own, and a simulated CloudWatch that the AWS SDK finds there."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import boto3

from tests.support.processes.gapless_processes import clean_environment
from tests.support.processes.moto_server import put_events, stand_in

GROUP: Final = "/ecs/my-service"
"""A log group that always exists."""

REGIONS: Final = ("us-east-1", "eu-west-1")
STREAM: Final = "web/web/4f2a91c0b5d84b6f9c3e0f6a7d1c2b3a"
"""Named as ECS does, by the id of a task that pages use in their examples."""

LINE: Final = "GET /orders timeout after 30 s"
_WRITE_EVERY_S: Final = 0.5
_COMMAND_S: Final = 180


class Sandbox:
    """Where commands run: nothing of this user's settings and state is seen or changed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.line = LINE

    def run(
        self, program: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends, without a terminal."""
        return subprocess.run(  # noqa: S603 - our own command
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.folder,
            timeout=_COMMAND_S,
            env=clean_environment(self.folder, {**self.environment, **(environment or {})}),
        )


@contextmanager
def sandbox(folder: Path, groups: Sequence[str] = ()) -> Iterator[Sandbox]:
    """Run a simulated CloudWatch with these log groups, written to until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    named = sorted({GROUP, *groups})
    with stand_in() as cloudwatch:
        environment = {
            "AWS_ENDPOINT_URL": cloudwatch.url,
            "AWS_DEFAULT_REGION": REGIONS[0],
            "AWS_REGION": REGIONS[0],
            "LANG": "C.UTF-8",
        }
        clients = [
            boto3.client(
                "logs",
                endpoint_url=cloudwatch.url,
                region_name=region,
                aws_access_key_id="testing",
                aws_secret_access_key="testing",  # noqa: S106 - of the stand-in
            )
            for region in REGIONS
        ]
        for client in clients:
            for group in named:
                client.create_log_group(logGroupName=group)
                client.create_log_stream(logGroupName=group, logStreamName=STREAM)
        stop = threading.Event()

        def write() -> None:
            while not stop.wait(_WRITE_EVERY_S):
                now_ms = time.time_ns() // 1_000_000
                for client in clients:
                    for group in named:
                        put_events(client, group, STREAM, [(now_ms, LINE)])

        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield Sandbox(folder, environment)
        finally:
            stop.set()
            writer.join()
            for client in clients:
                client.close()
