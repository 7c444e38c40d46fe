"""A line as long as CloudWatch allows holds up neither the output nor the connection."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from common.concurrency import in_thread
from tests.support.processes.gapless_processes import GaplessProcess
from tests.support.viewer.scripted_forwarder import ScriptedConnection, scripted_forwarder
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from wire.messages import Credit

MESSAGE_BYTES = 1 << 20
HEARTBEATS = 5

UNITS = {
    "tabs": "\t",
    "control characters": "\x01",
    "combining marks": "e\u0301",
    "colours": "\x1b[31mx\x1b[0m",
    "wide text": "漢",
}


@pytest.mark.parametrize("kind", UNITS)
async def test_heartbeats_are_answered_while_a_long_line_is_printed(
    kind: str, tmp_path: Path
) -> None:
    """Each heartbeat is sent once the one before is answered, and the line is on its way."""
    unit = UNITS[kind]
    message = unit * (MESSAGE_BYTES // len(unit.encode()))
    answered = asyncio.Event()

    async def script(connection: ScriptedConnection) -> None:
        forwarder = ForwarderMessages()
        await connection.send(
            forwarder.welcome(),
            forwarder.backfill(f"{SINCE}:0..", done=True),
            forwarder.events(0, [item(1, 2_000, message=message), item(2, 2_001)]),
            forwarder.mark(SINCE, 3_000, 2),
        )
        for _ in range(HEARTBEATS):
            await connection.send(forwarder.heartbeat(2))
            while not isinstance(await connection.receive(), Credit):
                pass
        answered.set()
        await connection.until_closed()

    async with scripted_forwarder(script) as forwarder:
        options = ("--output", "text", "--since", "1970-01-01T00:00:01Z")
        with GaplessProcess("tail", forwarder.url, *options, state=tmp_path) as viewer:
            await answered.wait()
            lines = await in_thread(lambda: viewer.out.wait_for(2, "lines"))
            assert lines[1].endswith("line 2")
            assert await in_thread(lambda: viewer.end(signal.SIGINT)) == 128 + signal.SIGINT
        assert len(forwarder.queries) == 1
