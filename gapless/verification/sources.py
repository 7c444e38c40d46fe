"""The forwarder's side of a comparison: its events over HTTP, its losses over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from common.concurrency import in_thread
from common.errors import EXIT_USAGE, CannotConnectError, GaplessError
from common.http import HttpStatusError, request
from common.network_errors import describe_network_error, error_detail
from common.ranges import Range
from common.times import iso_range
from gapless.targets.grammar import ForwarderTarget
from gapless.verification.compare import SideEvent
from wire.codec import decode_server
from wire.errors import WireError
from wire.limits import CLIENT_FRAME_BYTES_MAX
from wire.messages import Gap, Welcome

PAGE_TIMEOUT_S: Final = 60.0
"""Longest wait for a page: the forwarder may have to fetch messages from CloudWatch again."""

TRIES_MAX: Final = 5
"""How often a page is requested that the forwarder cannot serve now (503)."""

RETRY_S: Final = 1.0

_UNAVAILABLE: Final = 503
_CONFLICT: Final = 409
_ITEM_FIELDS: Final = 6


class ForwarderPages:
    """Reads a feed's events, a log group's or those that match a pattern, over HTTP.

    Attributes:
        group: Name of the log group.
        head: Epoch and head seq of the pages that were read; ``digest`` asks for the same.
    """

    def __init__(
        self, target: ForwarderTarget, group: str, token: str | None, *, pattern: str = ""
    ) -> None:
        self.group = group
        self._feed = _feed_query(group, pattern)
        self.head: tuple[str, int] | None = None
        self._http = target.http_url
        self._token = token

    async def pages(self, since: int, through: int) -> AsyncGenerator[list[SideEvent], None]:
        """Yield every event of a range in display order, a page at a time.

        Raises:
            GaplessError: a page cannot be read, or is invalid.
        """
        token: str | None = None
        while True:
            position = {} if token is None else {"next": token}
            page = await self._page(since=since, through=through, **position)
            self.head = (str(page.get("epoch")), int(page.get("head_seq") or 0))
            yield [_parse_item(item) for item in page["items"]]
            following = page.get("next")
            if following is None:
                return
            if following == token:
                msg = f"{self._http}/v1/logs returns the same page again and again"
                raise GaplessError(msg)
            token = following

    async def complete_through(self, since: int) -> int | None:
        """Return through when the forwarder is complete from ``since`` on; None if not at all."""
        through = (await self._page(since=since, limit=1)).get("complete_through")
        return through if isinstance(through, int) else None

    async def digest(self, since: int, through: int) -> tuple[int, str]:
        """Return count and digest of a range, for the journal as it was when pages were read."""
        assert self.head is not None, "pages were read before"
        epoch, seq = self.head
        query = {"from": since, "through": through, "epoch": epoch, "seq": seq}
        answer = await self._get("/v1/digest", query)
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
        url = f"{self._http}{path}?{urlencode({**self._feed, **query})}"
        try:
            answer = await in_thread(
                partial(request, url, token=self._token, timeout_s=PAGE_TIMEOUT_S)
            )
        except HttpStatusError as error:
            if error.status == _CONFLICT:
                msg = "the forwarder restarted its journal meanwhile: verify again"
                raise GaplessError(msg) from error
            raise
        field = "items" if path == "/v1/logs" else "digest"
        if not isinstance(answer, dict) or field not in answer:
            msg = f"{url} answers without {field!r}: is it a forwarder?"
            raise GaplessError(msg)
        return answer


class DeclaredLosses:
    """The ranges that a forwarder declares as lost or suspects.

    The connection also makes the forwarder fetch and scan this history.

    Attributes:
        upstream: The state of CloudWatch, as the forwarder sees it.
    """

    def __init__(self, socket: ClientConnection) -> None:
        """Start reading; ``connect_for_losses`` opens the connection."""
        self.upstream = "ok"
        self._socket = socket
        self._lost: set[Range] = set()
        self._gaps: dict[str, Range] = {}
        self._suspected: dict[str, Gap] = {}
        self._task = asyncio.create_task(self._read())

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The lost and unrecoverable ranges, ascending."""
        return tuple(sorted({*self._lost, *self._gaps.values()}))

    def suspected(self, since: int, through: int) -> str:
        """Reason and range of the first suspected gap that reaches into a range; empty without."""
        for gap in self._suspected.values():
            if gap.from_ <= through and since <= gap.through:
                return f"{gap.reason} ({iso_range(gap.from_, gap.through)})"
        return ""

    def check_connection(self) -> None:
        """Check that losses are still being reported.

        Raises:
            CannotConnectError: the connection ended.
        """
        if self._task.done():
            msg = "the forwarder closed the connection: is it still running?"
            raise CannotConnectError(msg)

    async def close(self) -> None:
        """Close the connection."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        async for frame in self._socket:
            try:
                message = decode_server(frame)
            except WireError:
                continue  # checking the protocol is the conformance suite's task
            if isinstance(message, Welcome):
                self._lost = {(one.from_, one.through) for one in message.lost}
            elif isinstance(message, Gap):
                self._gaps.pop(message.id, None)
                self._suspected.pop(message.id, None)
                if message.state == "suspected":
                    self._suspected[message.id] = message
                if message.state == "unrecoverable":
                    self._gaps[message.id] = (message.from_, message.through)
            elif (upstream := getattr(message, "upstream", None)) is not None:
                self.upstream = str(upstream.state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


@contextlib.asynccontextmanager
async def connect_for_losses(
    target: ForwarderTarget, group: str, since: int, token: str | None, *, pattern: str = ""
) -> AsyncIterator[DeclaredLosses]:
    """Connect for the length of the ``with`` block.

    Raises:
        CannotConnectError: the forwarder does not answer, or refuses.
    """
    parts = urlsplit(target.url)
    feed = _feed_query(group, pattern)
    query = {**parse_qs(parts.query), **feed, "since": str(since), "credit": "0"}
    url = urlunsplit(parts._replace(query=urlencode(query, doseq=True)))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        socket = await connect(
            url, additional_headers=headers, max_size=CLIENT_FRAME_BYTES_MAX, proxy=None
        )
    except InvalidStatus as error:
        detail = error_detail(error.response.body or b"")
        msg = f"{target.url} answers {error.response.status_code}: {detail}"
        raise CannotConnectError(msg) from error
    except (OSError, WebSocketException) as error:
        msg = f"cannot connect to {target.url}: {describe_network_error(error)}"
        raise CannotConnectError(msg) from error
    async with DeclaredLosses(socket) as losses:
        yield losses


def _feed_query(group: str, pattern: str) -> dict[str, str]:
    return {"group": group, "pattern": pattern} if pattern else {"group": group}


def named_pattern(target: ForwarderTarget) -> str:
    """Return the filter pattern that a forwarder's URL names; empty without one."""
    return parse_qs(urlsplit(target.url).query).get("pattern", [""])[0]


async def find_served_group(target: ForwarderTarget, token: str | None) -> str:
    """Return the log group that a forwarder's URL names, else the only one that it serves.

    Raises:
        GaplessError: the forwarder cannot be asked, or serves several.
    """
    named = parse_qs(urlsplit(target.url).query).get("group")
    if named:
        return named[0]
    url = f"{target.http_url}/v1/groups"
    answer = await in_thread(partial(request, url, token=token))
    groups = answer.get("groups") if isinstance(answer, dict) else answer
    names = [one if isinstance(one, str) else str(one.get("group")) for one in groups or []]
    if len(names) == 1:
        return names[0]
    msg = f"{target.url} serves {len(names)} log groups: name one, as {target.url}?group=NAME"
    raise GaplessError(msg, EXIT_USAGE)


def _parse_item(item: Any) -> SideEvent:  # noqa: ANN401 - whatever JSON gives
    if not isinstance(item, list) or len(item) < _ITEM_FIELDS:
        msg = "/v1/logs returns items that are not events: is it a forwarder?"
        raise GaplessError(msg)
    return SideEvent(str(item[1]), int(item[2]), str(item[4]), str(item[5]), item[3], int(item[0]))
