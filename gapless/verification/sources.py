"""Where the two sides come from: the forwarder over HTTP, and what it declares over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import websockets.exceptions
from websockets.asyncio.client import ClientConnection, connect

from common.errors import CannotConnectError, GaplessError
from common.http import HttpStatusError, request
from gapless.options import ForwarderTarget
from gapless.verification.compare import Seen
from wire.codec import decode_server
from wire.errors import WireError
from wire.limits import CLIENT_FRAME_BYTES_MAX
from wire.messages import Gap, Welcome

PAGE_TIMEOUT_S: Final = 60.0
"""A page may have to wait for messages that the forwarder fetches from CloudWatch again."""

TRIES_MAX: Final = 5
"""Times that a page is asked for which the forwarder can't give now (503)."""

RETRY_S: Final = 1.0

_UNAVAILABLE: Final = 503
_CONFLICT: Final = 409
_ITEM_FIELDS: Final = 6

Range = tuple[int, int]


class Forwarder:
    """A forwarder's HTTP side, of one log group."""

    def __init__(self, target: ForwarderTarget, group: str, token: str | None) -> None:
        """Nothing is asked yet."""
        self.group = group
        self.head: tuple[str, int] | None = None
        """Epoch and head of the pages that were read; /v1/digest is asked for the same."""
        self._http = target.http_url
        self._token = token

    async def pages(self, since: int, through: int) -> AsyncGenerator[list[Seen], None]:
        """Every event of a range in display order, a page at a time.

        Raises:
            GaplessError: a page can't be had, or is none.

        """
        token: str | None = None
        while True:
            more = {} if token is None else {"next": token}
            page = await self._page(since=since, through=through, **more)
            self.head = (str(page.get("epoch")), int(page.get("head_seq") or 0))
            yield [_seen(item) for item in page["items"]]
            following = page.get("next")
            if following is None:
                return
            if following == token:
                msg = f"{self._http}/v1/logs gives the same page again and again"
                raise GaplessError(msg)
            token = following

    async def complete_through(self, since: int) -> int | None:
        """Through when the forwarder says that it has everything from ``since`` on."""
        through = (await self._page(since=since, limit=1)).get("complete_through")
        return through if isinstance(through, int) else None

    async def digest(self, since: int, through: int) -> tuple[int, str]:
        """Its count and digest of a range, for the journal as it stood when pages were read."""
        assert self.head is not None
        epoch, seq = self.head
        asked = {"from": since, "through": through, "epoch": epoch, "seq": seq}
        answer = await self._get("/v1/digest", asked)
        return int(answer["count"]), str(answer["digest"])

    async def _page(self, **query: int | str) -> dict[str, Any]:
        for _ in range(TRIES_MAX - 1):
            try:
                return await self._get("/v1/logs", query)
            except HttpStatusError as error:
                if error.status != _UNAVAILABLE:
                    raise
            await asyncio.sleep(RETRY_S)
        return await self._get("/v1/logs", query)

    async def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        url = f"{self._http}{path}?{urlencode({'group': self.group, **query})}"
        try:
            answer = await asyncio.to_thread(
                request, url, token=self._token, timeout_s=PAGE_TIMEOUT_S
            )
        except HttpStatusError as error:
            if error.status == _CONFLICT:
                msg = "the forwarder's journal began anew meanwhile: verify again"
                raise GaplessError(msg) from error
            raise
        wanted = "items" if path == "/v1/logs" else "digest"
        if not isinstance(answer, dict) or wanted not in answer:
            msg = f"{url} answers with something else than {wanted}: is it a forwarder?"
            raise GaplessError(msg)
        return answer


class Declared:
    """What the forwarder declares as lost, heard on a connection that takes no events.

    The connection also says to the forwarder that somebody wants this past: fetched and scanned.
    """

    def __init__(self, socket: ClientConnection) -> None:
        """Made by ``listen``."""
        self.upstream = "ok"
        """How CloudWatch is, as the forwarder sees it."""
        self._socket = socket
        self._lost: set[Range] = set()
        self._gaps: dict[str, Range] = {}
        self._task = asyncio.create_task(self._read())

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The ranges that can't be had."""
        return tuple(sorted({*self._lost, *self._gaps.values()}))

    def check(self) -> None:
        """Nobody says any more what is lost.

        Raises:
            CannotConnectError: the connection ended.

        """
        if self._task.done():
            msg = "the forwarder closed the connection: is it still running?"
            raise CannotConnectError(msg)

    async def close(self) -> None:
        """End the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        async for frame in self._socket:
            try:
                message = decode_server(frame)
            except WireError:
                continue  # whether it keeps to the protocol is what conform looks at
            if isinstance(message, Welcome):
                self._lost = {(one.from_, one.through) for one in message.lost}
            elif isinstance(message, Gap):
                self._gaps.pop(message.id, None)
                if message.state == "unrecoverable":
                    self._gaps[message.id] = (message.from_, message.through)
            elif (upstream := getattr(message, "upstream", None)) is not None:
                self.upstream = str(upstream.state)

    async def __aenter__(self) -> Self:
        """Until the end of the ``with`` block."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the connection."""
        await self.close()


@contextlib.asynccontextmanager
async def listen(
    target: ForwarderTarget, group: str, since: int, token: str | None
) -> AsyncIterator[Declared]:
    """Connect for as long as the ``with`` block lasts.

    Raises:
        CannotConnectError: nobody answers, or it refuses, in its own words.

    """
    parts = urlsplit(target.url)
    query = {**parse_qs(parts.query), "group": [group], "since": [str(since)], "credit": ["0"]}
    url = urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        socket = await connect(
            url, additional_headers=headers, max_size=CLIENT_FRAME_BYTES_MAX, proxy=None
        )
    except websockets.exceptions.InvalidStatus as error:
        said = (error.response.body or b"").decode("utf-8", "replace")[:300]
        msg = f"{target.url} answers {error.response.status_code}: {said}"
        raise CannotConnectError(msg) from error
    except (OSError, ssl.SSLError, websockets.exceptions.WebSocketException) as error:
        msg = f"cannot reach {target.url} ({error}): is a forwarder running there?"
        raise CannotConnectError(msg) from error
    async with Declared(socket) as declared:
        yield declared


async def group_of(target: ForwarderTarget, token: str | None) -> str:
    """The log group that a forwarder's URL names, else the only one that it serves.

    Raises:
        GaplessError: it can't be asked, or serves several.

    """
    named = parse_qs(urlsplit(target.url).query).get("group")
    if named:
        return named[0]
    url = f"{target.http_url}/v1/groups"
    answer = await asyncio.to_thread(request, url, token=token)
    groups = answer.get("groups") if isinstance(answer, dict) else answer
    names = [one if isinstance(one, str) else str(one.get("group")) for one in groups or []]
    if len(names) == 1:
        return names[0]
    msg = f"{target.url} serves {len(names)} log groups: name one, as {target.url}?group=NAME"
    raise GaplessError(msg, 2)


def _seen(item: Any) -> Seen:  # noqa: ANN401 - whatever JSON gives
    if not isinstance(item, list) or len(item) < _ITEM_FIELDS:
        msg = "/v1/logs gives items that are no events: is it a forwarder?"
        raise GaplessError(msg)
    return Seen(str(item[1]), int(item[2]), str(item[4]), str(item[5]), item[3], int(item[0]))
