"""Malicious clients get nothing, crash nothing, and cannot exhaust memory."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress
from typing import Final

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from tests.support.network.forwarder_under_attack import (
    GROUP,
    GROWTH_MAX,
    PER_ADDRESS,
    TOKEN,
    VIEWERS_MAX,
    AttackedForwarder,
    HonestViewer,
    auth,
    forwarder_under_attack,
    honest_viewer,
)
from tests.support.network.raw_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    RawClient,
    frame,
    get,
    raw_client,
)

pytestmark = pytest.mark.timeout(600)

OWN_DESCRIPTORS: Final = 150
"""File descriptors of the test process besides connections."""


@pytest.fixture(scope="module", autouse=True)
def descriptors() -> Iterator[None]:
    """Raise the limit of file descriptors, often 1,024, for thousands of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedForwarder]:
    with forwarder_under_attack(tmp_path_factory.mktemp("target")) as one:
        yield one


@pytest.fixture
async def honest(target: AttackedForwarder) -> AsyncIterator[HonestViewer]:
    async with honest_viewer(target) as one:
        yield one


async def upgraded(one: RawClient) -> RawClient:
    assert await one.upgrade("/v1/tail?since=0&credit=0", auth(TOKEN)) == 101
    return one


# Requests


async def test_requests_byte_by_byte_are_cut_off(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    async with AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(raw_client(target.port)) for _ in range(100)]
        for one in slow:
            one.send(b"GET /v1/tail HTTP/1.1\r\nX-Slow: ")
        answers = [asyncio.create_task(one.read_response()) for one in slow]
        while not all(answer.done() for answer in answers):
            for one in slow:
                one.send(b"a")
            await asyncio.wait(answers, timeout=0.5)
        for answer in answers:
            status, _, body = await answer
            assert status == 408
            assert "error" in json.loads(body)
    assert honest.connection.state.name == "OPEN"


LONG: Final = "x" * 9_000


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /v1/logs?stream=" + LONG.encode() + b" HTTP/1.1\r\n\r\n", 414),
        (b"G" * 2_000_000, 431),
        (b"GET / HTTP/1.1\r\nX: " + LONG.encode() + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 65 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + (b"X: " + b"y" * 4_000 + b"\r\n") * 9 + b"\r\n", 431),
        (b"POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"GET /v1/logs HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX-A: b\x00c\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nX A: b\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET /heal\xffthz HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"DELETE /v1/logs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405),
        (
            b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            + frame(b"too early") * 100
            + b"\xff" * 100_000,
            200,
        ),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /v1/logs HTTP/1.1\r\n\r\n", 200),
    ],
)
async def test_malformed_requests(target: AttackedForwarder, request_: bytes, status: int) -> None:
    async with raw_client(target.port) as one:
        one.send(request_)
        found, headers, body = await one.read_response()
    assert found == status
    assert headers["content-type"] == "application/json"
    assert len(body.splitlines()) == 1
    assert ("error" in json.loads(body)) == (status != 200)


PATHS: Final = (
    "/v1/../../etc/passwd",
    "/v1/logs/../groups",
    "/..%2f..%2fetc/passwd",
    "//127.0.0.1/v1/logs",
    "http://127.0.0.1/v1/logs",
    "/v1/%6cogs",
    "/v1/logs%00",
    "/v1/lo\tgs",
    "/v1/logs/",
    "/V1/LOGS",
    "/v1/logs;jsessionid=1",
    "/v1/logs#?group=/jobs/private",
    "*",
    "",
    "/metrics/..",
)
QUERIES: Final = (
    "since=1&since=2",
    "group=/jobs/private&group=/jobs/other",
    "since=-1",
    "since=1e3",
    "since=99999999999999999999",
    "since=" + "9" * 5_000,
    "since=%D9%A1",
    "since=0x10",
    "since= 1",
    "limit=0",
    "group=%ff%fe",
    "group=%ED%A0%80",
    "group=" + "a" * 600,
    "stream=",
    "stream=" + "a" * 513,
    "&".join("stream=a" for _ in range(101)),
    "&".join(f"x{n}=1" for n in range(200)),
    "next=a~b~c~d~e~k",
    "epoch=a",
    "epoch=a&after=18446744073709551616&since=0",
    "epoch=" + "a" * 200 + "&after=1&since=0",
    "a;b",
)


@pytest.mark.parametrize("path", PATHS)
async def test_paths_are_not_normalized(target: AttackedForwarder, path: str) -> None:
    status, _, body = await get(target.port, path, auth(TOKEN))
    assert status in (400, 404)
    assert "error" in json.loads(body)


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/tail", "/v1/digest"])
async def test_queries_are_checked(target: AttackedForwarder, path: str) -> None:
    for query in QUERIES:
        status, _, body = await get(target.port, f"{path}?{query.replace(' ', '+')}", auth(TOKEN))
        is_known = path == "/v1/logs" or not query.startswith(("limit", "next"))
        assert status in ((400, 404) if is_known else (400, 426)), query
        assert len(body.splitlines()) == 1
        assert json.loads(body)["error"].isprintable()


async def test_a_group_name_cannot_inject_headers_or_log_lines(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    forged = "%0d%0aSet-Cookie:%20a=b%0d%0a%0d%0a%1b[2Jroot%00"
    for query in (f"group={forged}", f"group=/jobs/private&stream={forged}&since=0"):
        status, headers, body = await get(target.port, f"/v1/logs?{query}", auth(TOKEN))
        assert status in (200, 404)
        assert "set-cookie" not in headers
        assert body.decode().isprintable()
    async with raw_client(target.port) as one:
        assert await one.upgrade(f"/v1/tail?stream={forged}&credit=0", auth(TOKEN)) == 101
        status, _, body = await get(target.port, "/v1/viewers", auth(TOKEN))
        assert status == 200
        assert body.decode().isprintable()
    assert honest.connection.state.name == "OPEN"


# Frames


FRAMES: Final[dict[str, tuple[bytes, tuple[int, ...]]]] = {
    "oversized": (frame(b" " * 70_000), (4501,)),
    "says that it is 2**62 bytes": (frame(b"x", says=1 << 62), (4501,)),
    "says that it is 2**63 bytes": (frame(b"x", says=1 << 63), (1002, 4501)),
    "oversized in fragments": (
        frame(b"x" * 30_000, fin=False) + frame(b"x" * 30_000, CONTINUATION, fin=False) * 3,
        (4501,),
    ),
    "a fragment without end": (
        frame(b"x", fin=False) + frame(b"", CONTINUATION, fin=False) * 5_000,
        (4013,),
    ),
    "compressed": (frame(b"\xca\x48\xcd\xc9\xc9\x07\x00", rsv=4), (1002,)),
    "a compression bomb": (frame(b"\xec\xc1" + b"\x01" * 60_000, rsv=4), (1002,)),
    "reserved bits": (frame(b"{}", rsv=3), (1002,)),
    "no mask": (frame(b'{"type":"credit","events":1}', masked=False), (1002,)),
    "reserved data opcode": (frame(b"", 0x3), (1002,)),
    "reserved control opcode": (frame(b"", 0xB), (1002,)),
    "a ping in fragments": (frame(b"a", PING, fin=False), (1002,)),
    "a long ping": (frame(b"a" * 126, PING), (1002,)),
    "goes on with nothing": (frame(b"a", CONTINUATION), (1002,)),
    "begins twice": (frame(b"a", fin=False) + frame(b"b"), (1002,)),
    "closes with half a code": (frame(b"\x03", CLOSE), (1002,)),
    "closes with no code there is": (frame(b"\x00\x01", CLOSE), (1002,)),
    "closes with bad UTF-8": (frame(b"\x03\xe8\xff\xfe", CLOSE), (1002, 1007)),
    "binary": (frame(b'{"type":"credit","events":1}', BINARY), (4501,)),
    "bad UTF-8": (frame(b'{"type":"credit\xff"}'), (4501,)),
    "half a surrogate pair": (frame(b'{"type":"credit","events":"\xed\xa0\x80"}'), (4501,)),
    "no JSON": (frame(b"credit"), (4501,)),
    "deep JSON": (frame(b"[" * 4_000), (4501,)),
    "a huge number": (frame(b'{"type":"credit","events":' + b"9" * 4_000 + b"}"), (4501,)),
    "a negative number": (frame(b'{"type":"credit","events":-1}'), (4501,)),
    "not a number": (frame(b'{"type":"credit","events":NaN}'), (4501,)),
    "a type that is none": (frame(b'{"type":"shutdown"}'), (4501,)),
    "no message": (frame(b""), (4501,)),
}


async def test_malformed_frames_close_their_own_connection(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    for what, (data, codes) in FRAMES.items():
        async with raw_client(target.port) as one:
            await upgraded(one)
            one.send(data)
            code, messages = await one.close_code()
        assert code in codes, f"{what}: {code}"
        assert not [message for message in messages if message.get("items")], what
    assert honest.connection.state.name == "OPEN"


@pytest.mark.parametrize(
    "data",
    [
        frame(b"", PING) * 100,
        frame(b"p" * 125, PING) * 100,
        frame(b'{"type":"credit","events":1}') * 100,
        frame(b'{"type":"verify","from":0,"through":9007199254740991}') * 20,
        frame(b'{"type":"repair","from":0,"through":9007199254740991}') * 20,
    ],
    ids=["pings", "large pings", "credit", "verify", "repair"],
)
async def test_floods_are_cut_off(
    target: AttackedForwarder, honest: HonestViewer, data: bytes
) -> None:
    before = (await target.metrics())['gapless_refused_total{reason="rate"}']
    async with AsyncExitStack() as stack:
        flooding = []
        for _ in range(10):
            one = await stack.enter_async_context(raw_client(target.port))
            await upgraded(one)
            flooding.append(one.flood(data, 2_000))
        await asyncio.gather(*flooding)
    await target.until('gapless_refused_total{reason="rate"}', lambda now: now >= before + 10)
    async with raw_client(target.port) as one:
        await upgraded(one)
        one.send(data * 60)
        code, _ = await one.close_code()
        assert code in (4013, None)  # a reset may overtake the code
    assert honest.connection.state.name == "OPEN"


# Connections


async def test_one_address_gets_no_more_than_its_share(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    async with AsyncExitStack() as stack:
        status, headers, body = 0, dict[str, str](), b""
        while status != 429:
            # On a slow machine the first connections have already timed out.
            for _ in range(PER_ADDRESS):
                await stack.enter_async_context(raw_client(target.port, "127.0.0.3"))
            status, headers, body = await get(target.port, "/v1/groups", source="127.0.0.3")
        assert headers["retry-after"] == "5"
        assert "this address" in json.loads(body)["error"]
        assert (await get(target.port, "/v1/groups", auth(TOKEN)))[0] == 200
        await honest.check_service()


def dialled_at_once() -> int:
    """Connections that a test may open: thousands, limited by file descriptors."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = soft - psutil.Process().num_fds() - OWN_DESCRIPTORS
    return min(3_000, spare)


async def test_thousands_of_connections(target: AttackedForwarder, honest: HonestViewer) -> None:
    assert dialled_at_once() > target.sockets_max
    refusal = None
    while refusal is None:
        async with AsyncExitStack() as stack:
            for number in range(dialled_at_once()):
                source = f"127.0.1.{1 + number % 200}"
                with suppress(ConnectionError):
                    await stack.enter_async_context(raw_client(target.port, source))
            # Some may not be accepted yet, and idle ones time out, so that on a slow machine
            # the test has to reconnect.
            refusal = await refused_where_full(target)
            if refusal is None:
                continue
            status, headers, body = refusal
            if status:
                assert headers["retry-after"] == "5"
                assert "connections are open" in json.loads(body)["error"]
            await honest.check_delivery()
            assert target.process.memory_info().rss - target.rss < GROWTH_MAX


async def refused_where_full(target: AttackedForwarder) -> tuple[int, dict[str, str], bytes] | None:
    """Status that refuses one more connection (0 without one); None if it is accepted."""
    for _ in range(20):
        sockets = target.process.net_connections("tcp")
        if len([one for one in sockets if one.status == "ESTABLISHED"]) >= target.sockets_max:
            answer = await get(target.port, "/v1/groups", auth(TOKEN))
            return answer if answer[0] in (0, 503) else None
        await asyncio.sleep(0.1)
    return None


async def test_requests_from_one_address_are_bounded(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    before = (await target.metrics())['gapless_refused_total{reason="requests"}']
    refused: list[tuple[int, dict[str, str], bytes]] = []
    while not refused:
        some = [get(target.port, "/v1/groups", auth(TOKEN), source="127.0.0.9") for _ in range(50)]
        answers = await asyncio.gather(*some)
        assert {status for status, _, _ in answers} <= {200, 429}
        refused = [one for one in answers if one[0] == 429]
    _, headers, body = refused[0]
    assert int(headers["retry-after"]) >= 1
    assert "requests a second" in json.loads(body)["error"]
    # Health checks and other clients are still served.
    assert (await get(target.port, "/healthz", source="127.0.0.9"))[0] == 200
    assert (await get(target.port, "/v1/groups", auth(TOKEN)))[0] == 200
    await honest.check_service()
    count = (await target.metrics())['gapless_refused_total{reason="requests"}']
    assert count >= before + len(refused)


async def test_viewers_are_bounded(target: AttackedForwarder, honest: HonestViewer) -> None:
    # Viewers of the test before may still be counted, or this one not yet.
    await honest.check_delivery()
    await target.until(f'gapless_viewers{{group="{GROUP}"}}', lambda now: now == 1)
    before = (await target.metrics())['gapless_refused_total{reason="viewers"}']
    async with AsyncExitStack() as stack:
        for number in range(VIEWERS_MAX - 1):
            await upgraded(
                await stack.enter_async_context(raw_client(target.port, f"127.0.2.{number}"))
            )
        with pytest.raises(InvalidStatus) as refused:
            await target.dial()
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "5"
        assert (await get(target.port, "/v1/groups", auth(TOKEN)))[0] == 200
    await target.until('gapless_refused_total{reason="viewers"}', lambda now: now == before + 1)
    await target.until(f'gapless_viewers{{group="{GROUP}"}}', lambda now: now == 1)
    assert honest.connection.state.name == "OPEN"
