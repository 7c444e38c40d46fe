"""The compared programs: gapless, ``aws logs tail`` and ``awslogs``."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from tests.support.processes.gapless_processes import (
    OutputLines,
    Viewer,
    clean_environment,
    forwarder,
)
from tests.support.processes.moto_server import CREDENTIALS

SINCE: Final = "5m"
_NUMBER: Final = re.compile(r"#(\d{7})#")
_END_S: Final = 20


class Seen(NamedTuple):
    """An event in a program's output: its number and first appearance, ns since the Unix epoch."""

    number: int
    at_ns: int


class Follower(Protocol):
    """A program that follows a log group."""

    def is_done(self, through_ms: int) -> bool:
        """Whether the program reports that it is complete; False if it cannot report that."""
        ...

    def finish(self) -> list[Seen]:
        """End the program and return the events shown, in its order."""
        ...


class Peer(NamedTuple):
    """Another tool and its command line."""

    name: str
    command: str
    arguments: tuple[str, ...]

    def path(self) -> str | None:
        """Path of the installed program; None if it is not installed."""
        return shutil.which(self.command)


PEERS: Final = (
    Peer(
        "aws logs tail --follow",
        os.environ.get("PEERS_AWS", "aws"),
        ("logs", "tail", "{group}", "--follow", "--since", SINCE, "--endpoint-url", "{url}"),
    ),
    Peer(
        "awslogs get --watch",
        os.environ.get("PEERS_AWSLOGS", "awslogs"),
        (
            *("get", "{group}", "ALL", "--watch", "--start", SINCE),
            *("--aws-endpoint-url", "{url}", "--aws-region", "us-east-1"),
        ),
    ),
)


def numbers(line: str) -> Iterator[int]:
    """Numbers of the events in a line."""
    return (int(match) for match in _NUMBER.findall(line))


class PeerProcess:
    """A running peer and the lines it prints."""

    def __init__(self, process: subprocess.Popen[bytes], lines: OutputLines) -> None:
        self._process = process
        self._lines = lines

    def is_done(self, through_ms: int) -> bool:
        """Always False: these tools do not report completeness."""
        del through_ms
        return False

    def finish(self) -> list[Seen]:
        """End the process and return the events printed."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._lines.wait_end()
        return [
            Seen(number, at_ns) for at_ns, line in self._lines.stamped() for number in numbers(line)
        ]

    @property
    def died(self) -> bool:
        """Whether the process has exited before ``finish``."""
        return self._process.poll() is not None


@contextmanager
def peer_running(peer: Peer, group: str, url: str, state: Path) -> Iterator[PeerProcess]:
    """Run a peer that follows the log group at an endpoint URL."""
    arguments = [one.format(group=group, url=url) for one in peer.arguments]
    environment = {**clean_environment(state), **CREDENTIALS, "PYTHONUNBUFFERED": "1", "TZ": "UTC"}
    with (state / f"{Path(peer.command).name}.stderr").open("wb") as errors:
        process = subprocess.Popen(
            [peer.path() or peer.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        )
    assert process.stdout is not None
    try:
        yield PeerProcess(process, OutputLines(process.stdout))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


class Gapless:
    """A forwarder and a viewer; the events shown are those of the viewer's record."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def is_done(self, through_ms: int) -> bool:
        """Whether the viewer is verified through a time in ms."""
        status = [one for one in self._viewer.record_now() if one["type"] == "status"]
        return bool(status) and (status[-1].get("complete_through") or 0) >= through_ms

    def shown(self) -> int:
        """Number of events printed so far."""
        return len(self._viewer.out.so_far())

    def finish(self) -> list[Seen]:
        """End the viewer and return the events of its record."""
        record = self._viewer.finish()
        came: dict[int, int] = {}
        for at_ns, line in self._viewer.out.stamped():
            for number in numbers(line):
                came.setdefault(number, at_ns)
        shown = [one["message"] for one in record if one["type"] == "event"]
        return [Seen(number, came[number]) for text in shown for number in numbers(text)]


@contextmanager
def gapless_running(
    group: str, url: str, state: Path, options: Sequence[str] = ()
) -> Iterator[Gapless]:
    """Run a forwarder of the log group at an endpoint URL, and a viewer of it."""
    with (
        forwarder(group, url, state, *options) as process,
        Viewer(
            process.ready()["websocket"], "--since", SINCE, "--order", "arrival", state=state
        ) as viewer,
    ):
        yield Gapless(viewer)
