"""Brings the real viewer, over a real forwarder and the simulator, into the state for a picture.

The seed repeats the same jobs and lines; only the times of day differ. Each picture has a simulator
of its own, so that all show the same first minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC
from typing import Final

import msgspec
from textual.pilot import Pilot

from common.processes import start_gapless
from gapless.viewing.controls import SimulatorControls
from gapless.viewing.model import Viewing, WatchedTarget
from gapless.viewing.opening import SameTargetsOpener
from gapless.viewing.watch import make_engine
from simulator.client import ControlApi
from tui.client.engine import Engine
from tui.lines.rows import Rule
from tui.screen.app import ViewerApp

SEED: Final = 7
PAST_MS: Final = 600_000
WAIT_S: Final = 60
LOOK_S: Final = 0.1
OFFLINE_MS: Final = 1_500
SETTLE_S: Final = 3.0
"""Running time before a picture, so that there is a rate and a lag to show."""

LATE_S: Final = 6.0
"""Delay before the late viewer starts."""

LATE_RATE: Final = 300
"""Lines a second for the late viewer, so that it has history to fetch."""

NARROW_KBPS: Final = 400
SOME: Final = 1_000

REPAIRED: Final = 8
"""Lines that a scan has to find before the picture is taken."""

MISSED: Final = (
    {"type": "subscription_skip"},
    {"type": "visibility_delay", "attributes": {"delay_ms": 4_000, "jitter_ms": 3_000}},
)
"""Faults that hide lines from the live path and from the next polls, so that a scan finds them."""


class Scene(msgspec.Struct, frozen=True):
    """A running viewer, with access to its parts and to the simulator."""

    app: ViewerApp
    engine: Engine
    pilot: Pilot[None]
    api: ControlApi


@asynccontextmanager
async def scene(
    title: str, size: tuple[int, int], theme: str | None, *, is_late: bool
) -> AsyncIterator[Scene]:
    """Start a viewer.

    Args:
        title: Name shown for the simulation's log group.
        size: Columns and rows of the terminal.
        theme: Name of a Textual theme; None for the default.
        is_late: Start the viewer late, and over a narrow link.

    """
    rate = ["--rate", str(LATE_RATE)] if is_late else []
    with start_gapless("the simulator", ["simulate", "--seed", str(SEED), *rate]) as part:
        ready = await asyncio.to_thread(part.ready)
        url, control = str(ready["websocket"]), str(ready["control"])
        api = ControlApi(control)
        if is_late:
            await asyncio.sleep(LATE_S)
            fault = {"type": "bandwidth", "attributes": {"rate_kbps": NARROW_KBPS}}
            await asyncio.to_thread(api.switch_on, fault)
        now_ms = time.time_ns() // 1_000_000
        target = WatchedTarget(url=url, name=title, group=str(ready["group"]), key=url)
        # Only for what it has seen itself, the forwarder knows the number of lines.
        past_ms = round(LATE_S * 1_000) if is_late else PAST_MS
        viewing = Viewing(targets=(target,), since=now_ms - past_ms, control=control)
        engine = make_engine(viewing, now_ms, cursors=None)
        controls = SimulatorControls(control).follow()
        app = ViewerApp(
            engine,
            title=title,
            controls=controls,
            theme=theme,
            zone=UTC,
            catalogue=SameTargetsOpener(viewing).catalogue(viewing),
        )
        async with app.run_test(size=size) as pilot:
            yield Scene(app, engine, pilot, api)
        controls.close()


async def live(on: Scene) -> None:
    """Lines are arriving."""
    await _until(lambda: on.engine.status.is_green, "green")
    await asyncio.sleep(SETTLE_S)


async def backfilling(on: Scene) -> None:
    """Some of the history is there, and more arrives beside the live lines."""

    def has_some() -> bool:
        status = on.engine.status
        return status.state == "backfilling" and status.lines >= SOME

    await _until(has_some, "some of the history")


async def offline(on: Scene) -> None:
    """The viewer is disconnected."""
    await live(on)
    await on.pilot.press("p")
    await _until(lambda: on.engine.status.state == "reconnecting", "the disconnection")
    await asyncio.sleep(OFFLINE_MS / 1_000)  # how long the outage in the picture is


async def reconnected(on: Scene) -> None:
    """The viewer was disconnected; the lines written meanwhile are there and verified."""
    await offline(on)
    await on.pilot.press("p")

    def is_back() -> bool:
        rules = (row for row in on.engine.timeline.iterate() if isinstance(row, Rule))
        return any(rule.kind == "offline" and rule.count for rule in rules)

    await _until(is_back, "the reconnection")
    await on.pilot.press("pageup")
    await _until(lambda: on.engine.status.is_green, "green again")


async def repaired(on: Scene) -> None:
    """The live path missed lines; a scan found them, and they are in their places."""
    await live(on)
    for fault in MISSED:
        await asyncio.to_thread(on.api.switch_on, fault)

    def gaps() -> list[Rule]:
        rules = (row for row in on.engine.timeline.iterate() if isinstance(row, Rule))
        return [rule for rule in rules if rule.kind == "gap" and (rule.count or 0) >= REPAIRED]

    await _until(lambda: bool(gaps()), "lines that a scan found")
    await asyncio.to_thread(on.api.heal)
    await _until(lambda: on.engine.status.is_green, "green again")
    on.app.log_view.go_to(gaps()[0].key)


async def complete(on: Scene) -> None:
    """The jobs write no more, and every line is verified."""
    await live(on)
    await asyncio.to_thread(on.api.stop_writing)

    def is_proved() -> bool:
        status = on.engine.status
        return status.is_green and status.state == "quiet" and not status.provisional

    await _until(is_proved, "the verification of the last line")


Stage = Callable[[Scene], Awaitable[None]]


async def _until(condition: Callable[[], bool], what: str) -> None:
    for _ in range(int(WAIT_S / LOOK_S)):
        if condition():
            return
        await asyncio.sleep(LOOK_S)  # the condition depends on other processes
    message = f"timed out after {WAIT_S} s waiting for {what}"
    raise TimeoutError(message)
