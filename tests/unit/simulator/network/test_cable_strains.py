"""The cable under every strain, with real sockets and somebody else's WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.http11 import Request, Response

from simulator.network import cable as proxy
from simulator.network.cable import HOST, Cable
from simulator.network.crowd import Crowds
from simulator.network.toxics import (
    Bandwidth,
    BlockUpgrade,
    FrameStrain,
    Hold,
    Latency,
    Limit,
    Strain,
)
from tests.support.processes.gapless_processes import WAIT_S

SEED = 3


class Forwarder:
    """Serves as many numbered messages as it is asked for, and plain answers."""

    def __init__(self) -> None:
        self.numbers: Iterator[int] = itertools.count()
        self.codes: list[int | None] = []
        self.open = 0
        self.sent = 0

    async def serve(self, viewer: ServerConnection) -> None:
        self.open += 1
        try:
            async for asked in viewer:
                for _ in range(int(asked)):
                    await viewer.send(json.dumps({"type": "events", "n": next(self.numbers)}))
                    self.sent += 1
        except ConnectionClosed:
            pass
        finally:
            self.open -= 1
            self.codes.append(viewer.close_code)

    def answer(self, viewer: ServerConnection, request: Request) -> Response | None:
        del viewer
        if request.path == "/plain":
            return Response(200, "OK", Headers({"Content-Length": "6"}), b"plain\n")
        return None


@pytest.fixture
async def forwarder() -> AsyncIterator[tuple[Forwarder, Server]]:
    one = Forwarder()
    async with serve(one.serve, HOST, 0, process_request=one.answer, compression=None) as server:
        yield one, server


@pytest.fixture
async def cable(forwarder: tuple[Forwarder, Server]) -> AsyncIterator[Cable]:
    one = Cable()
    one.bind(0)
    await one.start(next(iter(forwarder[1].sockets)).getsockname()[1])
    yield one
    await one.stop()


def watch(cable: Cable) -> connect:
    return connect(f"ws://{HOST}:{cable.port}/", compression=None, proxy=None)


async def ask(viewer: ClientConnection, count: int) -> None:
    await viewer.send(str(count))


async def numbers(viewer: ClientConnection, count: int) -> list[int]:
    async with asyncio.timeout(WAIT_S):
        return [json.loads(await viewer.recv())["n"] for _ in range(count)]


async def until_sent(viewer: ClientConnection) -> None:
    """Until all that was asked for has come through the cable: a pong comes behind it."""
    async with asyncio.timeout(WAIT_S):
        await (await viewer.ping())


async def numbers_through(viewer: ClientConnection, last: int) -> list[int]:
    got = await numbers(viewer, 1)
    while got[-1] != last:
        got += await numbers(viewer, 1)
    return got


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something of the other end's."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - nobody over there sets an event
            await asyncio.sleep(0.01)


async def refused(viewer: ClientConnection) -> ConnectionClosed:
    """How it ended, whatever came before."""
    try:
        while await viewer.recv():
            pass
    except ConnectionClosed as error:
        return error
    pytest.fail("an empty message")


async def test_without_a_strain_messages_pass(cable: Cable) -> None:
    async with watch(cable) as viewer:
        await ask(viewer, 500)
        assert await numbers(viewer, 500) == list(range(500))


@pytest.mark.parametrize("strain", [Latency(30, 20), Bandwidth(2_000)])
async def test_slow_links_lose_nothing(cable: Cable, strain: Latency | Bandwidth) -> None:
    await cable.strain("a", strain, 1.0, SEED)
    async with watch(cable) as viewer:
        await ask(viewer, 300)
        assert await numbers(viewer, 300) == list(range(300))


@pytest.mark.parametrize(
    ("strain", "counts"),
    [
        (Latency(1, 0), "deliveries"),
        (FrameStrain("duplicate", 1.0), "messages"),
        (FrameStrain("duplicate", 0.0), "nothing"),
        (FrameStrain("mute_heartbeat", 1.0), "nothing"),
        (Hold(both_ways=True), "connections"),
        (Limit(1_000, resets=True), "connections"),
        (Limit(1 << 30, resets=True), "nothing"),
        (BlockUpgrade(), "connections"),
    ],
)
async def test_a_strain_counts_what_it_affects(cable: Cable, strain: Strain, counts: str) -> None:
    async with watch(cable) as viewer, watch(cable):
        await cable.strain("a", strain, 1.0, SEED)
        if isinstance(strain, (Latency, FrameStrain, Limit)):
            await ask(viewer, 100)
            with contextlib.suppress(ConnectionClosed):
                await numbers_through(viewer, 99)
        expected = {"nothing": [0], "messages": [100], "deliveries": range(2, 400)}
        if counts == "connections":
            expected[counts] = [1 if isinstance(strain, Limit) else 2]
        assert cable.affected("a") in expected[counts]
        await cable.ease("a")
        assert cable.take_affected("a") in expected[counts]
        assert cable.affected("a") == 0


async def test_cut_and_closed_connections_are_counted(cable: Cable) -> None:
    async with watch(cable), watch(cable):
        await cable.pull("a", 1.0, SEED)
        assert cable.affected("a") == 2
        await cable.plug("a")
    async with watch(cable), watch(cable):
        await until(lambda: len(cable._open) == 2)
        assert await cable.close_with(4001, 1.0, SEED) == 2
    await cable.pull("b", 0.999999, SEED)
    with pytest.raises((OSError, ConnectionClosed, InvalidMessage)):
        await watch(cable)
    assert cable.affected("b") == 1


async def test_what_a_slow_link_holds_arrives_when_it_is_healed(cable: Cable) -> None:
    async with watch(cable) as viewer:
        await ask(viewer, 1)
        await numbers(viewer, 1)
        await cable.strain("a", Latency(86_400_000, 0), 1.0, SEED)
        await ask(viewer, 5)
        await cable.ease("a")
        await ask(viewer, 5)
        assert await numbers(viewer, 10) == list(range(1, 11))


@pytest.mark.parametrize("resets", [True, False])
async def test_a_limit_ends_each_connection(cable: Cable, *, resets: bool) -> None:
    await cable.strain("a", Limit(2_000, resets=resets), 1.0, SEED)
    for _ in range(2):
        got = 0
        with pytest.raises(ConnectionClosed) as caught:  # noqa: PT012 - both are the attempt
            async with watch(cable) as viewer:
                await ask(viewer, 200)
                while await viewer.recv():
                    got += 1
        assert 0 < got < 100
        assert caught.value.rcvd is None, "no close frame: it was cut"
    await cable.ease("a")
    async with watch(cable) as viewer:
        await ask(viewer, 200)
        assert len(await numbers(viewer, 200)) == 200


async def test_through_a_blackhole_comes_neither_data_nor_an_end(
    cable: Cable, forwarder: tuple[Forwarder, Server]
) -> None:
    async with watch(cable) as viewer:
        await ask(viewer, 1)
        await numbers(viewer, 1)
        await cable.strain("a", Hold(both_ways=True), 1.0, SEED)
        await ask(viewer, 3)
        dead = asyncio.create_task(viewer.recv())
        reader, writer = await asyncio.open_connection(HOST, cable.port)
        writer.write(b"GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = asyncio.create_task(reader.readline())
        await asyncio.wait([dead, answer], timeout=0.3)
        assert not dead.done()
        assert not answer.done()
        await cable.ease("a")
        assert json.loads(await dead)["n"] == 1
        assert await answer == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        await cable.strain("a", Hold(both_ways=True), 1.0, SEED)
        viewer.transport.abort()
    assert forwarder[0].open == 1, "nobody told it"
    await cable.ease("a")
    await until(lambda: forwarder[0].open == 0)


async def test_a_stalled_reader_still_sends(
    cable: Cable, forwarder: tuple[Forwarder, Server]
) -> None:
    async with watch(cable) as viewer, watch(cable) as other:
        await ask(viewer, 1)
        await numbers(viewer, 1)
        await cable.strain("a", Hold(both_ways=False), 1.0, SEED)
        await cable.strain("b", Hold(both_ways=False), 1.0, SEED)
        await cable.ease("a")
        await ask(viewer, 5)
        await until(lambda: forwarder[0].sent == 6)
        await cable.ease("b")
        await ask(other, 1)
        await numbers(other, 1)
        assert len(await numbers(viewer, 5)) == 5


async def test_the_middlebox_lets_plain_requests_through(cable: Cable) -> None:
    async with watch(cable) as viewer:
        await ask(viewer, 1)
        await numbers(viewer, 1)
        await cable.strain("a", BlockUpgrade(), 1.0, SEED)
        with pytest.raises(ConnectionClosed):
            await viewer.recv()
    with pytest.raises(InvalidStatus) as caught:
        await watch(cable)
    assert caught.value.response.status_code == 502
    reader, writer = await asyncio.open_connection(HOST, cable.port)
    writer.write(b"GET /plain HTTP/1.1\r\n")
    await writer.drain()
    writer.write(b"Host: x\r\n\r\n")
    assert (await reader.read()).endswith(b"plain\n")
    writer.close()
    _, silent = await asyncio.open_connection(HOST, cable.port)
    silent.close()
    await cable.ease("a")
    async with watch(cable) as viewer:
        await ask(viewer, 1)


@pytest.mark.parametrize("code", [4001, 4500, 1011])
async def test_a_close_has_its_code(
    cable: Cable,
    forwarder: tuple[Forwarder, Server],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proxy, "CLOSE_TIMEOUT_S", WAIT_S)
    async with watch(cable) as viewer, watch(cable) as busy:
        await ask(viewer, 1)
        await numbers(viewer, 1)
        await ask(busy, 20_000)
        await numbers(busy, 1)
        await cable.close_with(code, 1.0, SEED)
        for one in (viewer, busy):
            ended = await refused(one)
            assert ended.rcvd is not None
            assert ended.rcvd.code == code
    await until(lambda: len(forwarder[0].codes) == 2)
    assert forwarder[0].codes == [1006, 1006]


async def test_messages_are_dropped(cable: Cable) -> None:
    async with watch(cable) as viewer:
        await ask(viewer, 10)
        assert await numbers(viewer, 10) == list(range(10))
        await cable.strain("a", FrameStrain("drop", 0.5), 1.0, SEED)
        await ask(viewer, 200)
        await until_sent(viewer)
        await cable.ease("a")
        await ask(viewer, 1)
        got = await numbers_through(viewer, 210)
    assert got == sorted(set(got))
    assert 60 < len(got) < 140


async def test_messages_are_doubled_and_swapped(cable: Cable) -> None:
    await cable.strain("a", FrameStrain("duplicate", 1.0), 1.0, SEED)
    async with watch(cable) as viewer:
        await ask(viewer, 3)
        assert await numbers(viewer, 6) == [0, 0, 1, 1, 2, 2]
        await cable.strain("a", FrameStrain("reorder", 1.0), 1.0, SEED)
        await ask(viewer, 4)
        assert await numbers(viewer, 4) == [4, 3, 6, 5]
        await ask(viewer, 1)
        await until_sent(viewer)
        await cable.ease("a")
        assert await numbers(viewer, 1) == [7]


async def test_heartbeats_alone_are_muted(cable: Cable) -> None:
    await cable.strain("a", FrameStrain("mute_heartbeat", 1.0), 1.0, SEED)
    async with watch(cable) as viewer:
        await ask(viewer, 3)
        assert await numbers(viewer, 3) == [0, 1, 2]


async def test_a_share_of_the_connections_is_hit(cable: Cable) -> None:
    await cable.strain("a", Limit(0, resets=True), 0.5, SEED)
    cut = 0
    for _ in range(40):
        try:
            async with watch(cable):
                pass
        except (OSError, EOFError):
            cut += 1
        except Exception as error:  # noqa: BLE001 - the library wraps what it met
            cut += isinstance(error.__cause__, (OSError, EOFError))
    assert 10 < cut < 30


async def test_a_crowd_comes_and_comes_back(
    cable: Cable, forwarder: tuple[Forwarder, Server]
) -> None:
    crowds = Crowds(lambda: cable.port, "/g")

    await crowds.gather("a", 20)
    await until(lambda: forwarder[0].open == 20)
    await until(lambda: crowds.connections == 20)
    await cable.close_with(4001, 1.0, SEED)
    await until(lambda: crowds.connections >= 40)
    await crowds.disperse("a")
    await until(lambda: forwarder[0].open == 0)
    await cable.strain("b", BlockUpgrade(), 1.0, SEED)
    await crowds.gather("a", 2)
    await crowds.stop()
    assert not crowds._crowds


async def test_a_stopped_cable_waits_for_nobody(cable: Cable) -> None:
    viewer = await watch(cable)
    await cable.strain("a", Hold(both_ways=True), 1.0, SEED)
    await cable.strain("b", Latency(86_400_000, 0), 1.0, SEED)
    await ask(viewer, 1)
    await cable.stop()
    with contextlib.suppress(ConnectionClosed):
        await viewer.recv()
    await viewer.close()


FRAME = b"\x81\x02hi"


@contextlib.asynccontextmanager
async def ended(strain: FrameStrain | None = None) -> AsyncIterator[tuple[Cable, bytes]]:
    """A cable, and what has come through it of a frame whose server has ended its side."""
    is_over = asyncio.Event()

    async def serve_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + FRAME)
        writer.write_eof()
        await is_over.wait()
        writer.close()

    one = Cable()
    one.bind(0)
    server = await asyncio.start_server(serve_once, HOST, 0)
    await one.start(server.sockets[0].getsockname()[1])
    if strain is not None:
        await one.strain("a", strain, 1.0, SEED)
    reader, writer = await asyncio.open_connection(HOST, one.port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
        async with asyncio.timeout(WAIT_S):
            yield one, await reader.read()
    finally:
        is_over.set()
        writer.close()
        await one.stop()
        server.close()


async def test_who_has_ended_is_sent_nothing_more() -> None:
    async with ended() as (cable, got):
        assert got.endswith(FRAME)
        await cable.close_with(4001, 1.0, SEED)


async def test_what_waits_for_its_successor_is_passed_on_at_the_end() -> None:
    async with ended(FrameStrain("reorder", 1.0)) as (cable, got):
        assert got.endswith(FRAME)
        await cable.ease("a")
