from __future__ import annotations

import asyncio
import threading

import pytest

from tests.support.told_http import Library
from tests.support.told_server import stay, told_server
from tui.client.address import Address
from tui.client.http import Getter, HttpFailure, in_thread
from wire.limits import CLIENT_FRAME_BYTES_MAX


async def test_status_and_body_come_back_whatever_the_status() -> None:
    async with told_server(stay, library=Library([])) as server:
        getter = Getter(Address(server.url, "secret"))
        status, body = await getter.get("/v1/logs?since=5")
        assert status == 200
        assert b'"items":[]' in body
        server.library = None
        assert (await getter.get("/v1/logs"))[0] == 502
        assert server.headers[0]["Authorization"] == "Bearer secret"


async def test_nobody_there_is_a_failure_in_one_line() -> None:
    async with told_server(stay) as server:
        address = Address(server.url)
    with pytest.raises(HttpFailure) as failure:
        await Getter(address).get("/v1/logs")
    assert str(failure.value) == "Connection refused: is a forwarder running there?"


async def test_an_answer_without_end_is_cut_off() -> None:
    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        chunk = b"x" * (1 << 20)
        try:
            for _ in range(CLIENT_FRAME_BYTES_MAX // len(chunk) + 4):
                writer.write(chunk)
                await writer.drain()
        except OSError:
            return
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(HttpFailure, match="over the limit"):
        await Getter(Address(f"ws://127.0.0.1:{port}")).get("/v1/logs")
    server.close()
    await server.wait_closed()


async def test_work_in_a_thread_gives_back_what_it_does() -> None:
    assert await in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


async def test_the_thread_keeps_nobody_from_ending() -> None:
    assert await in_thread(lambda: threading.current_thread().daemon)


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped() -> None:
    may_go = threading.Event()
    task = asyncio.create_task(in_thread(may_go.wait))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    may_go.set()
    await in_thread(lambda: None)
