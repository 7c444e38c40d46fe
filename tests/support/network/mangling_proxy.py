"""A proxy that makes a correct forwarder break protocol rules.

It renumbers the messages, so that a changed stream breaks only the rule under test, not the
numbering.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

from tests.support.processes.gapless_processes import WAIT_S

_MAX: Final = 32 << 20
_RELAYED: Final = ("Authorization", "Origin")


class Mangler:
    """Relays everything unchanged; subclasses override what they break.

    The proxy makes one for each WebSocket connection and each HTTP request.
    """

    renumber = True

    def query(self, path: str) -> str:
        """Return the path and query to send to the forwarder."""
        return path

    def server(self, message: dict[str, Any]) -> list[Any]:
        """Return what to send to the client for a message: objects, or raw frames."""
        return [message]

    def client(self, frame: str | bytes) -> list[str | bytes]:
        """Return the frames to send to the forwarder for a client's frame."""
        return [frame]

    def http(self, path: str, status: int, body: bytes) -> tuple[int, bytes]:
        """Return the status and body to send for an HTTP response."""
        del path
        return status, body

    def refusal(self, status: int, body: bytes) -> tuple[int, bytes]:
        """Return the status and body to send for a refused upgrade."""
        return status, body


class _Proxy:
    def __init__(self, websocket: str, http: str, make: Callable[[], Mangler]) -> None:
        self._websocket, self._http, self._make = websocket, http, make
        self._upstream: dict[ServerConnection, tuple[ClientConnection, Mangler]] = {}

    async def process_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        mangler = self._make()
        headers = {one: request.headers[one] for one in _RELAYED if one in request.headers}
        path = mangler.query(request.path)
        if "Upgrade" not in request.headers:
            status, body = await asyncio.to_thread(_get, self._http + path, headers)
            return _response(*mangler.http(request.path, status, body))
        query = path.partition("?")[2]
        try:
            upstream = await connect(
                f"{self._websocket}?{query}",
                additional_headers=headers,
                max_size=_MAX,
                proxy=None,
                open_timeout=WAIT_S,
                ping_interval=None,  # the viewer's own timeouts are enough on a busy machine
            )
        except InvalidStatus as error:
            body = bytes(error.response.body or b"")
            return _response(*mangler.refusal(error.response.status_code, body))
        self._upstream[connection] = upstream, mangler
        return None

    async def handle(self, connection: ServerConnection) -> None:
        upstream, mangler = self._upstream.pop(connection)
        async with upstream:
            tasks = [
                asyncio.create_task(self._down(upstream, connection, mangler)),
                asyncio.create_task(self._up(upstream, connection, mangler)),
            ]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _down(
        self, upstream: ClientConnection, connection: ServerConnection, mangler: Mangler
    ) -> None:
        n = 0
        try:
            async for frame in upstream:
                for one in mangler.server(json.loads(frame)):
                    if isinstance(one, dict):
                        n += 1
                        numbered = {**one, "n": n} if mangler.renumber else one
                        await connection.send(json.dumps(numbered))
                    else:
                        await connection.send(one)
        except ConnectionClosed:
            pass
        with contextlib.suppress(ConnectionClosed):
            await connection.close(upstream.close_code or 1000, upstream.close_reason or "")

    async def _up(
        self, upstream: ClientConnection, connection: ServerConnection, mangler: Mangler
    ) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for frame in connection:
                for one in mangler.client(frame):
                    await upstream.send(one)


def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=240) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def _response(status: int, body: bytes) -> Response:
    headers = Headers(
        {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
    )
    return Response(status, HTTPStatus(status).phrase, headers, body)


@asynccontextmanager
async def mangled(ready: dict[str, Any], make: Callable[[], Mangler]) -> AsyncIterator[str]:
    """Run the proxy for a forwarder with this ready line; yields its WebSocket URL."""
    proxy = _Proxy(ready["websocket"], ready["http"], make)
    async with serve(
        proxy.handle,
        "127.0.0.1",
        0,
        process_request=proxy.process_request,
        compression=None,
        max_size=_MAX,
        open_timeout=WAIT_S,
        ping_interval=None,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/tail"
