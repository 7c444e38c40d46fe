"""Key latency of the screen while many lines stream in over a WebSocket.

Another process sends prepared frames; the viewer is complete, with engine and application, on the
terminal of Textual's test driver.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from datetime import UTC
from multiprocessing.connection import Connection
from typing import Final, cast

from websockets.asyncio.server import ServerConnection, serve

from tests.bench import goals
from tests.bench.frame import draw
from tests.bench.goals import figure
from tests.support.fake_engine import FakeEngine, busy_lines
from tests.support.screen import Screen
from tui.client.engine import Engine
from tui.client.target import TargetSpec
from tui.screen import terminal
from tui.screen.app import ViewerApp
from wire.codec import encode
from wire.messages import Backfill, Events, Item, Welcome

SECONDS: Final = 5
FRAME_EVENTS: Final = 500
_KEEPING_UP: Final = 0.95
"""Share of the sent events that must be shown; the first and last frames may be cut off."""

SINCE_MS: Final = 1_700_000_000_000


def measure(rate: int) -> str:
    """Measure one run of ``SECONDS`` at a rate in events per second; returns a line."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    sender = context.Process(target=_send, args=(rate, theirs), daemon=True)
    sender.start()
    try:
        return asyncio.run(_watch(rate, ours))
    finally:
        sender.kill()
        sender.join()


async def _watch(rate: int, sender: Connection) -> str:
    port = int(sender.recv())
    url = f"ws://127.0.0.1:{port}/v1/tail"
    engine = Engine([TargetSpec(url=url, group="/bench", since=SINCE_MS)])
    app = ViewerApp(engine, title="/bench", zone=UTC)
    taken: list[float] = []
    chance = random.Random(3)
    total = rate * SECONDS // FRAME_EVENTS * FRAME_EVENTS
    async with app.run_test(size=(120, 40)) as pilot:
        screen = Screen(app, cast("FakeEngine", engine), pilot)
        while not engine.timeline.lines:  # noqa: ASYNC110 - the engine knows nothing of this
            await asyncio.sleep(0.001)
        terminal.calm_collector()
        began, cpu = time.perf_counter(), time.process_time()
        while engine.timeline.lines < total:
            await asyncio.sleep(chance.uniform(0.01, 0.05))
            pressed = asyncio.get_running_loop().create_future()
            at = time.perf_counter()
            # Keys from the driver's thread also queue behind the loop's current work.
            asyncio.get_running_loop().call_soon(pressed.set_result, None)
            await pressed
            app.log_view.move(chance.choice(("up", "down", "page_up", "page_down")))
            draw(screen)
            taken.append(time.perf_counter() - at)
        took = time.perf_counter() - began
        used = time.process_time() - cpu
    taken.sort()
    p50, p95 = (taken[len(taken) * share // 100] * 1e3 for share in (50, 95))
    said = f"p50 {p50:.1f} ms, p95 {p95:.1f} ms ({len(taken)} keys)"
    shown = total / took
    aim = goals.KEY_P95.judged(p95, holds=shown >= _KEEPING_UP * rate)
    what = f"{rate:,} events/s sent, {shown:,.0f} shown"
    return figure(what, f"{said}, {used / took * 100:.0f} % CPU", aim)


def _send(rate: int, viewer: Connection) -> None:
    asyncio.run(_serve(rate, viewer))


async def _serve(rate: int, viewer: Connection) -> None:
    frames = list(_frames(rate * SECONDS // FRAME_EVENTS))

    async def talk(websocket: ServerConnection) -> None:
        welcome = Welcome(
            n=1,
            epoch="e",
            outcome="fresh",
            after=0,
            head_seq=0,
            since=SINCE_MS,
            heartbeat_ms=60_000,
        )
        await websocket.send(encode(welcome), text=True)
        await websocket.send(encode(Backfill(n=2, held=f"{SINCE_MS}:0..", done=True)), text=True)
        began = time.perf_counter()
        for number, frame in enumerate(frames):
            await asyncio.sleep(
                max(0.0, began + number * FRAME_EVENTS / rate - time.perf_counter())
            )
            await websocket.send(frame, text=True)
        await websocket.wait_closed()

    async with serve(talk, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        viewer.send(next(iter(server.sockets)).getsockname()[1])
        await asyncio.Event().wait()


def _frames(count: int) -> list[bytes]:
    texts = [one.message for one in busy_lines(2_000)]
    chance = random.Random(1)
    frames = []
    for number in range(count):
        after = number * FRAME_EVENTS
        items = []
        for seq in range(after + 1, after + FRAME_EVENTS + 1):
            at = SINCE_MS + seq
            name = f"{(at << 144) + chance.getrandbits(120):056d}"
            text = f"{texts[seq % 2_000]} n={seq}"
            items.append(Item(seq, name, at, at + 350, f"job/main/{seq % 40:04d}", text, "live"))
        frames.append(
            encode(Events(n=number + 3, after=after, seq=after + FRAME_EVENTS, items=items))
        )
    return frames
