"""``gapless demo --web``: its page, several tabs, and an end without orphans."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until
from tests.support.processes.process_tree import command_of, family, wait_gone, wait_no_locks

pytestmark = pytest.mark.timeout(600)


async def drawn(link: ClientConnection, text: bytes) -> None:
    """Read frames until one contains a text."""
    have = b""
    async with asyncio.timeout(WAIT_S):
        while text not in have:
            frame = await link.recv()
            have += frame if isinstance(frame, bytes) else b""


async def closed(link: ClientConnection) -> None:
    """Read until the server closes."""
    async with asyncio.timeout(WAIT_S):
        try:
            while True:
                await link.recv()
        except ConnectionClosed:
            return


def address(demo: GaplessProcess) -> str:
    """The URL that the command prints."""
    line = demo.err.wait_for(1, "addresses")[0]
    found = re.fullmatch(r"gapless: watch it at http://(\S+) \(Ctrl\+C ends it\)", line)
    assert found, line
    return f"ws://{found[1]}ws?width=110&height=30"


def viewers(demo: GaplessProcess) -> list[psutil.Process]:
    """The viewer processes of the tabs."""
    return [one for one in family(demo.popen.pid) if "tab" in command_of(one)]


async def test_tabs_are_independent_and_end_with_the_command(tmp_path: Path) -> None:
    with GaplessProcess("demo", "--web", "--seed", "7", state=tmp_path) as demo:
        url = address(demo)
        origin = re.sub(r"^ws(://[^/]+).*", r"http\1", url)
        async with connect(url, origin=origin) as first, connect(url, origin=origin) as second:  # type: ignore[arg-type]  # an Origin is a string
            await drawn(first, b"COMPLETE")
            await drawn(second, b"COMPLETE")
            assert len(viewers(demo)) == 2
            await first.send(json.dumps(["stdin", "p"]))
            await drawn(first, b"RECONNECTING")
            await drawn(second, b"RECONNECTING")  # all tabs share the simulator's cable
            await second.send(json.dumps(["stdin", "p"]))
            await drawn(first, b"LIVE")
            await drawn(second, b"LIVE")
            await first.send(json.dumps(["stdin", "q"]))
            await closed(first)
            await asyncio.to_thread(wait_until, lambda: len(viewers(demo)) == 1, "one viewer")
            await second.send("[nonsense")
            await second.send(json.dumps(["resize", {"width": 70, "height": 20}]))
            await drawn(second, b"following")
            processes = family(demo.popen.pid)
            demo.popen.terminate()
            await closed(second)
        await asyncio.to_thread(wait_gone, processes)
        assert demo.popen.wait(WAIT_S) == 143
    assert len(demo.err.so_far()) == 1
    assert demo.out.so_far() == []
    wait_no_locks(tmp_path)


async def test_a_killed_command_leaves_no_viewers(tmp_path: Path) -> None:
    with GaplessProcess("demo", "--web", state=tmp_path) as demo:
        url = address(demo)
        async with connect(url) as link:
            await drawn(link, b"COMPLETE")
            processes = family(demo.popen.pid)
            assert len(viewers(demo)) == 1
            demo.kill()
            await closed(link)
        await asyncio.to_thread(wait_gone, processes)
