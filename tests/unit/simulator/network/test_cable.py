from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial

import pytest

from simulator.errors import SimulatorError
from simulator.network.cable import HOST, Cable

END = b"bye\n"


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every line back; a farewell once the other end is done."""
    try:
        async for line in reader:
            writer.write(line)
            await writer.drain()
        writer.write(END)
        await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def cable() -> AsyncIterator[Cable]:
    server = await asyncio.start_server(_echo, HOST, 0)
    one = Cable()
    one.bind(0)
    await one.start(server.sockets[0].getsockname()[1])
    yield one
    await one.stop()
    server.close()


async def _connect(cable: Cable) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, cable.port)


async def _says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    return await reader.readline()


async def test_it_passes_bytes_both_ways(cable: Cable) -> None:
    reader, writer = await _connect(cable)
    assert await _says(reader, writer, b"hello\n") == b"hello\n"
    big = b"x" * 60_000 + b"\n"
    assert await _says(reader, writer, big) == big
    writer.close()


async def test_an_end_of_one_way_still_lets_the_answer_through(cable: Cable) -> None:
    reader, writer = await _connect(cable)
    writer.write(b"last words\n")
    writer.write_eof()
    assert await reader.read() == b"last words\n" + END
    writer.close()


async def test_pulled_it_resets_every_connection_and_refuses_new_ones(cable: Cable) -> None:
    ends = [await _connect(cable) for _ in range(3)]
    for reader, writer in ends:
        await _says(reader, writer, b"up\n")
    await cable.pull("a", 1.0, 1)
    for reader, writer in ends:
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        writer.close()
    with pytest.raises(ConnectionRefusedError):
        await _connect(cable)


async def test_plugged_it_listens_at_the_same_port_again(cable: Cable) -> None:
    port = cable.port
    for _ in range(3):
        await cable.pull("a", 1.0, 1)
        await cable.plug("a")
        assert cable.port == port
        reader, writer = await _connect(cable)
        assert await _says(reader, writer, b"again\n") == b"again\n"
        writer.close()


async def test_plugged_while_no_forwarder_runs_it_leads_to_the_next_one() -> None:
    server = await asyncio.start_server(_echo, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    one = Cable()
    one.bind(0)
    await one.plug("a")
    with pytest.raises(ConnectionRefusedError):
        await _connect(one)  # it is not started
    await one.start(port)
    await one.pull("a", 1.0, 1)
    one.retarget()
    await one.plug("a")
    one.retarget(port)
    reader, writer = await _connect(one)
    assert await _says(reader, writer, b"again\n") == b"again\n"
    writer.close()
    await one.stop()
    server.close()


async def test_while_it_is_pulled_nobody_else_gets_its_port(cable: Cable) -> None:
    await cable.pull("a", 1.0, 1)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((HOST, cable.port))


async def test_it_is_out_while_anyone_has_it_out(cable: Cable) -> None:
    await cable.pull("a", 1.0, 1)
    await cable.pull("b", 1.0, 1)
    await cable.plug("a")
    with pytest.raises(ConnectionRefusedError):
        await _connect(cable)
    await cable.plug("b")
    reader, writer = await _connect(cable)
    assert await _says(reader, writer, b"up\n") == b"up\n"
    writer.close()


async def test_a_share_cuts_that_share_of_the_connections(cable: Cable) -> None:
    ends = [await _connect(cable) for _ in range(40)]
    for reader, writer in ends:
        await _says(reader, writer, b"up\n")
    await cable.pull("a", 0.5, 1)
    cut = 0
    for reader, writer in ends:
        try:
            assert await _says(reader, writer, b"still up\n") == b"still up\n"
        except ConnectionError:
            cut += 1
        writer.close()
    assert 10 < cut < 30


async def test_a_share_cuts_new_connections_too(cable: Cable) -> None:
    await cable.pull("a", 0.5, 1)
    cut = 0
    for _ in range(40):
        reader, writer = await _connect(cable)
        try:
            cut += await _says(reader, writer, b"up\n") == b""
        except ConnectionError:
            cut += 1
        writer.close()
    assert 10 < cut < 30


async def test_without_a_forwarder_it_resets() -> None:
    cable = Cable()
    cable.bind(0)
    with socket.socket() as silent:
        silent.bind((HOST, 0))  # kept, so that nobody else listens there
        await cable.start(silent.getsockname()[1])
        reader, writer = await _connect(cable)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    await cable.stop()


async def test_before_it_is_started_it_refuses() -> None:
    cable = Cable()
    cable.bind(0)
    with pytest.raises(ConnectionRefusedError):
        await _connect(cable)
    await cable.pull("a", 1.0, 1)
    await cable.plug("a")
    with pytest.raises(ConnectionRefusedError):
        await _connect(cable)
    await cable.stop()


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SimulatorError, match=f"cannot listen on port {port} "):
            Cable().bind(port)
    with pytest.raises(SimulatorError, match="cannot listen on port 70000 "):
        Cable().bind(70_000)


async def test_a_port_of_another_cable_is_in_use(cable: Cable) -> None:
    with pytest.raises(SimulatorError, match="cannot listen on port"):
        Cable().bind(cable.port)


async def test_connections_lead_to_each_server_in_turn(cable: Cable) -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: bytes
    ) -> None:
        await reader.readline()
        writer.write(name)
        writer.close()

    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for name in (b"left\n", b"right\n"):
            server = await asyncio.start_server(partial(answer, name=name), HOST, 0)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        cable.retarget(*ports)
        said = []
        for _ in range(4):
            reader, writer = await _connect(cable)
            said.append(await _says(reader, writer, b"?\n"))
            writer.close()
        assert said[:2] == said[2:]
        assert sorted(said[:2]) == [b"left\n", b"right\n"]
        cable.retarget()
        reader, writer = await _connect(cable)
        with pytest.raises(ConnectionResetError):
            await _says(reader, writer, b"?\n")
        writer.close()


async def test_the_server_of_most_viewers_is_known(cable: Cable) -> None:
    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")

    assert cable.busiest_target is None
    async with contextlib.AsyncExitStack() as stack:
        ports = []
        for _ in range(2):
            server = await asyncio.start_server(upgrade, HOST, 0)
            stack.callback(server.close)
            ports.append(server.sockets[0].getsockname()[1])
        for target in (0, 1, 0):
            cable.retarget(ports[target])
            reader, writer = await _connect(cable)
            stack.callback(writer.close)
            writer.write(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert cable.busiest_target == ports[target]
        cable.retarget(ports[1])
        reader, writer = await _connect(cable)
        stack.callback(writer.close)
        assert cable.busiest_target == ports[0]
