"""``demo --web`` and ``tail --web``: the page, several tabs, and an end without orphans."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Origin

from tests.support.processes.gapless_processes import WAIT_S, GaplessProcess, wait_until
from tests.support.processes.log_writer import now_ms
from tests.support.processes.moto_server import REGION, raw_moto
from tests.support.processes.process_tree import command_of, family, wait_gone, wait_no_locks

GROUP = "/jobs/web"

pytestmark = pytest.mark.timeout(600)


def dial(url: str, origin: str | None = None, host: str | None = None) -> connect:
    """Open a tab, which is not given up while a busy machine or the other tab keeps it waiting."""
    return connect(
        url,
        origin=None if origin is None else Origin(origin),
        additional_headers=None if host is None else {"Host": host},
        open_timeout=WAIT_S,
        ping_interval=None,
        max_queue=None,  # pings are answered while nobody reads
    )


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
        async with dial(url, origin) as first, dial(url, origin) as second:
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
            await drawn(second, b"LIVE")
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
        async with dial(url) as link:
            await drawn(link, b"COMPLETE")
            processes = family(demo.popen.pid)
            assert len(viewers(demo)) == 1
            demo.kill()
            await closed(link)
        await asyncio.to_thread(wait_gone, processes)


async def test_a_real_log_group_in_a_browser(tmp_path: Path) -> None:
    with raw_moto() as moto:
        moto.create(GROUP, "stream")
        moto.put(GROUP, "stream", [(now_ms(), "shown in each tab")])
        options = ("--endpoint-url", moto.url, "--region", REGION, "--no-resume")
        settings = {"GAPLESS_WEB": "1"}  # a tab must not serve a page itself
        with GaplessProcess(
            "tail", GROUP, *options, state=tmp_path, environment=settings
        ) as command:
            url = address(command)
            async with dial(url) as first, dial(url) as second:
                for link in (first, second):
                    await drawn(link, b"shown in each tab")
                await first.send(json.dumps(["stdin", "q"]))
                await closed(first)
                moto.put(GROUP, "stream", [(now_ms(), "and later")])
                await drawn(second, b"and later")
                processes = family(command.popen.pid)
                command.popen.terminate()
                await closed(second)
            await asyncio.to_thread(wait_gone, processes)
            assert command.popen.wait(WAIT_S) == 143
    wait_no_locks(tmp_path)


async def test_a_page_refuses_strangers(tmp_path: Path) -> None:
    with raw_moto() as moto:
        moto.create(GROUP, "stream")
        options = ("--endpoint-url", moto.url, "--region", REGION)
        with GaplessProcess("tail", GROUP, "--web", *options, state=tmp_path) as command:
            url = address(command)
            with pytest.raises(InvalidStatus) as refused:
                await dial(url, "http://evil.example")
            assert refused.value.response.status_code == 403
            with pytest.raises(InvalidMessage):  # Host stands there twice
                await dial(url, host="evil.example")
            with pytest.raises(InvalidStatus) as refused:
                await dial(re.sub(r"/[\w-]+/ws", "/guess/ws", url))
            assert refused.value.response.status_code == 404
            assert len(command.err.so_far()) == 1


def test_a_log_group_that_does_not_exist_is_reported_before_the_page(tmp_path: Path) -> None:
    with raw_moto() as moto:
        options = ("--endpoint-url", moto.url, "--region", REGION)
        with GaplessProcess("tail", "/none", "--web", *options, state=tmp_path) as command:
            assert command.popen.wait(WAIT_S) == 3
            said = "\n".join(command.err.wait_for(1, "errors"))
    assert "/none" in said
    assert "watch it at" not in said
