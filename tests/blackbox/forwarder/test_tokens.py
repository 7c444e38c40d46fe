"""Nothing is served without a token, or with a wrong, insufficient or revoked one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.support.network.forwarder_under_attack import (
    GROUP,
    NARROW,
    TOKEN,
    WRONG,
    AttackedForwarder,
    HonestViewer,
    auth,
    forwarder_under_attack,
    honest_viewer,
    until,
)
from tests.support.network.raw_client import WAIT_S, get, raw_client

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AttackedForwarder]:
    with forwarder_under_attack(tmp_path_factory.mktemp("target")) as one:
        yield one


@pytest.fixture
async def honest(target: AttackedForwarder) -> AsyncIterator[HonestViewer]:
    async with honest_viewer(target) as one:
        yield one


ASKED: Final = (
    "/v1/logs?since=0",
    "/v1/digest?from=0&through=1&epoch=a&seq=0",
    "/v1/executions",
    "/v1/groups",
    "/v1/viewers",
    "/v1/openapi.json",
    "/metrics",
    "/v1/tail",
    f"/v1/logs?group={GROUP}",
)


async def test_nothing_without_a_token(target: AttackedForwarder, honest: HonestViewer) -> None:
    given: list[tuple[str, ...]] = [
        (),
        ("Authorization: Basic " + TOKEN,),
        ("Authorization: " + TOKEN,),
        (auth(TOKEN), auth(TOKEN)),
        (auth(TOKEN) + ", " + TOKEN,),
        (auth(TOKEN.upper()),),
        (auth(TOKEN[:-1]),),
        (auth(TOKEN + "x"),),
        ("X-Authorization: Bearer " + TOKEN,),
        ("Cookie: token=" + TOKEN,),
        (auth("\xff" * 20),),
        (auth("x" * 5_000),),
    ]
    for number, headers in enumerate(given):
        for path in ASKED:
            # Different addresses avoid the rate limit.
            source = f"127.0.3.{10 * number + 1}"
            status, answered, body = await get(target.port, path, *headers, source=source)
            assert status == 401, (path, headers)
            assert answered["www-authenticate"] == "Bearer"
            assert list(json.loads(body)) == ["error"]
        async with raw_client(target.port, f"127.0.3.{10 * number + 2}") as one:
            assert await one.upgrade("/v1/tail", *headers) == 401
    for path in ASKED:
        status, _, body = await get(target.port, path + "&token=" + WRONG)
        assert status in (401, 404)
        assert WRONG not in body.decode()
    assert honest.connection.state.name == "OPEN"


async def test_a_token_for_another_group(target: AttackedForwarder) -> None:
    for path in ("/v1/logs", "/v1/executions", "/v1/tail", f"/v1/tail?group={GROUP}"):
        status, _, body = await get(target.port, path, auth(NARROW), source="127.0.4.1")
        assert status == 403
        assert GROUP not in body.decode()
    for path in ("/v1/groups", "/v1/viewers"):
        assert await get_json(target, path, NARROW) == []
    status, _, body = await get(target.port, "/metrics", auth(NARROW), source="127.0.4.1")
    assert status == 200
    assert GROUP not in body.decode()


@pytest.mark.parametrize(
    ("reason", "header"),
    [
        ("origin", "Origin: http://127.0.0.1:9"),
        ("origin", "Origin: https://evil.example"),
        ("origin", "Origin: null"),
        ("origin", "Sec-Fetch-Site: cross-site"),
        ("origin", "Sec-Fetch-Site: same-site"),
        ("host", "Host: evil.example"),
    ],
)
async def test_web_pages_of_other_sites_get_nothing_even_with_the_token(
    target: AttackedForwarder, reason: str, header: str
) -> None:
    counter = f'gapless_refused_total{{reason="{reason}"}}'
    before = (await target.metrics())[counter]
    named = () if reason == "host" else ("Host: 127.0.0.1",)
    paths = (*ASKED, "/healthz", "/readyz", "/", "/v1/tail?since=0")
    for path in paths:
        async with raw_client(target.port, "127.0.7.1") as one:
            lines = (f"GET {path} HTTP/1.1", *named, header, auth(TOKEN), "", "")
            one.send("\r\n".join(lines).encode())
            status, answered, body = await one.read_response()
        assert status == 403, path
        assert "access-control-allow-origin" not in answered
        assert list(json.loads(body)) == ["error"]
    assert (await target.metrics())[counter] == before + len(paths)


async def get_json(target: AttackedForwarder, path: str, token: str) -> Any:  # noqa: ANN401 - JSON
    status, _, body = await get(target.port, path, auth(token), source="127.0.4.1")
    assert status == 200
    return json.loads(body)


async def test_guessing_tokens_is_rate_limited(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    guesser = "127.0.5.1"
    statuses = [
        (await get(target.port, "/v1/groups", auth(WRONG + str(number)), source=guesser))[0]
        for number in range(30)
    ]
    assert set(statuses[:10]) == {401}
    assert statuses.count(429) >= 10
    for token in (WRONG, TOKEN):
        status, headers, body = await get(target.port, "/v1/groups", auth(token), source=guesser)
        if status != 429:
            # The rate limit allows one more guess every ten seconds.
            await get(target.port, "/v1/groups", auth(WRONG), source=guesser)
            status, headers, body = await get(
                target.port, "/v1/groups", auth(token), source=guesser
            )
        assert status == 429
        assert 1 <= int(headers["retry-after"]) <= 10
        assert "wrong tokens" in json.loads(body)["error"]
    assert (await get(target.port, "/v1/groups", auth(TOKEN), source="127.0.5.2"))[0] == 200
    assert honest.connection.state.name == "OPEN"


async def test_a_revoked_token_closes_its_viewers(
    target: AttackedForwarder, honest: HonestViewer
) -> None:
    before = (await target.metrics())['gapless_refused_total{reason="revoked"}']
    async with await target.dial() as known:
        target.allow(TOKEN, "second-secret", f"third-secret {GROUP}")
        # Until the file is read again these are wrong tokens, all from one address.
        sources = (f"127.0.6.{number}" for number in cycle(range(1, 255)))
        await until(lambda: is_let_in(target, "second-secret", next(sources)))
        async with (
            await target.dial("second-secret") as gone,
            await target.dial("third-secret") as moved,
        ):
            target.allow(TOKEN, f"{NARROW} /jobs/other", "third-secret /jobs/other")
            assert await closed(gone) == 4500
            assert await closed(moved) == 4504
        assert known.state.name == "OPEN"
    await target.until('gapless_refused_total{reason="revoked"}', lambda now: now == before + 2)
    assert honest.connection.state.name == "OPEN"


async def is_let_in(target: AttackedForwarder, token: str, source: str) -> bool:
    return (await get(target.port, "/v1/groups", auth(token), source=source))[0] == 200


async def closed(connection: ClientConnection) -> int | None:
    """The forwarder's close code."""
    async with asyncio.timeout(WAIT_S):
        try:
            while True:
                await connection.recv()
        except ConnectionClosed:
            return connection.close_code
