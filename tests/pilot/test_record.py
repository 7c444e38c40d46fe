"""The record equals the screen; the simulator's oracle reads only the record."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC
from pathlib import Path
from typing import Any

from tests.support.viewer.scripted_forwarder import (
    ScriptedConnection,
    eventually,
    scripted_forwarder,
    stay_connected,
)
from tests.support.viewer.server_messages import SINCE, ForwarderMessages, item
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.output.record import write_record
from tui.screen.app import ViewerApp
from wire.messages import Item

COUNT = 60
SIZE = (120, 90)
TOKEN = re.compile(r"token-\d+")


def shuffled() -> list[Item]:
    """Events out of order, several in a millisecond, from two streams."""
    chance = random.Random(5)
    times = [SINCE + 1_000 * (number // 3) for number in range(COUNT)]
    chance.shuffle(times)
    return [
        item(
            number + 1,
            at_ms,
            event_id=chance.getrandbits(60),
            message=f"INFO token-{number}",
            stream=f"app/{number % 2}",
        )
        for number, at_ms in enumerate(times)
    ]


async def test_the_record_equals_the_screen(tmp_path: Path) -> None:
    forwarder, events = ForwarderMessages(), shuffled()

    async def script(connection: ScriptedConnection) -> None:
        await connection.send(forwarder.welcome(), forwarder.backfill(f"{SINCE}:0..", done=True))
        for first in range(0, COUNT, 7):
            await connection.send(forwarder.events(first, events[first : first + 7]))
        await connection.send(forwarder.mark(SINCE, SINCE + 1_000_000, COUNT))
        await stay_connected(connection)

    path = tmp_path / "record"
    async with scripted_forwarder(script) as server:
        engine = Engine([TargetSpec(url=server.url, name="/group", group="/group", since=SINCE)])
        app = ViewerApp(engine, title="/group", clock=lambda: SINCE + 1_000_000, zone=UTC)
        async with app.run_test(size=SIZE) as pilot:
            await eventually(lambda: engine.marks)
            write_record(path, engine)
            app._draw_frame()
            app._tick()
            await pilot.pause()
            screen = [strip.text for strip in app.screen._compositor.render_strips()]
    # As bytes: text would end a line at every separator that a message has in it.
    record: list[dict[str, Any]] = [json.loads(line) for line in path.read_bytes().splitlines()]
    recorded = [one for one in record if one["type"] == "event"]
    on_screen = TOKEN.findall("\n".join(screen))
    assert len(on_screen) == COUNT
    assert [one["message"].removeprefix("INFO ") for one in recorded] == on_screen
    ordered = sorted(events, key=lambda one: (one.timestamp, int(one.id)))
    assert on_screen == [one.message.removeprefix("INFO ") for one in ordered]
    assert [one["equal"] for one in record if one["type"] == "mark"] == [True]
