"""Pictures of the real viewer, on a real forwarder, against the simulator.

The seed makes the jobs and their lines the same each time; the times of day are the present.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC
from typing import Final

from textual.pilot import Pilot

from gapless.controls import SimulatorControls
from gapless.processes import start
from gapless.viewing import Viewing, Watched, make_engine
from tui.app import ViewerApp
from tui.engine import Engine
from tui.rows import Rule

SEED: Final = 7
PAST_MS: Final = 600_000
WAIT_S: Final = 60
LOOK_S: Final = 0.1
OFFLINE_MS: Final = 1_500
SETTLE_S: Final = 3.0


async def shoot(name: str, title: str, size: tuple[int, int]) -> str:
    """The picture ``live`` or ``reconnected`` as SVG."""
    with start("the simulator", ["simulate", "--seed", str(SEED)]) as part:
        ready = await asyncio.to_thread(part.ready)
        now_ms = time.time_ns() // 1_000_000
        url = str(ready["websocket"])
        target = Watched(url=url, name=title, group=str(ready["group"]), key=url)
        engine = make_engine(
            Viewing(targets=(target,), since=now_ms - PAST_MS), now_ms, cursors=None
        )
        app = ViewerApp(
            engine, title=title, controls=SimulatorControls(str(ready["control"])), zone=UTC
        )
        async with app.run_test(size=size) as pilot:
            await _until(lambda: engine.status.is_green, "green")
            await asyncio.sleep(SETTLE_S)  # so that there is a rate to show
            if name == "reconnected":
                await _disconnect(pilot, engine)
                await pilot.press("pageup")
            await _until(lambda: engine.status.is_green, "green again")
            app.show_now()
            await pilot.pause()
            return app.export_screenshot(title=f"gapless demo --seed {SEED}")


async def _disconnect(pilot: Pilot[None], engine: Engine) -> None:
    """Pull the cable by its key, plug it in again, and wait for the rule that says so."""
    await pilot.press("p")
    await _until(lambda: engine.status.state == "reconnecting", "the cable to be out")
    await asyncio.sleep(OFFLINE_MS / 1_000)  # how long the outage in the picture is
    await pilot.press("p")

    def is_back() -> bool:
        rules = (row for row in engine.timeline.iterate() if isinstance(row, Rule))
        return any(rule.kind == "offline" and rule.count for rule in rules)

    await _until(is_back, "the cable to be in again")


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(int(WAIT_S / LOOK_S)):
        if condition():
            return
        await asyncio.sleep(LOOK_S)  # what is waited for is in other processes
    message = f"waited {WAIT_S} s in vain for {what}"
    raise TimeoutError(message)
