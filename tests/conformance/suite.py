"""Runs scenarios against one forwarder, and opens their connections and HTTP requests."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from common.network_errors import describe_network_error, error_detail, first_line
from tests.conformance.observer import Connection, Holdings, Observer
from tests.conformance.rules import Ledger
from wire.limits import CLIENT_FRAME_BYTES_MAX
from wire.query import TailQuery

PATIENCE_S: Final = 60.0
"""Default timeout for replies that PROTOCOL.md sets no deadline for."""

_BODY_BYTES_MAX: Final = 64 << 20


class UnreachableError(Exception):
    """The forwarder does not answer, or the main connection cannot be opened."""


class Answer(msgspec.Struct, frozen=True):
    """An HTTP response."""

    status: int
    body: bytes
    content_type: str

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """The body as JSON; None if it is not valid JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty if it is not one."""
        found = self.json()
        return found if isinstance(found, dict) else {}


class Scenario(msgspec.Struct, frozen=True):
    """A situation that exercises some rules."""

    shows: frozenset[str]
    """Ids of the rules that it exercises."""
    run: Callable[[Suite], Awaitable[None]]


class Suite:
    """One run against a forwarder, with its open connections."""

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        *,
        since: int,
        group: str | None = None,
        token: str | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """Prepare a run; ``since`` is in ms since the Unix epoch."""
        self.ledger = ledger
        self.group, self.since, self.token = group, since, token
        self.patience_s = patience_s
        self._parts = urlsplit(url)
        self._main: Connection | None = None
        self._open: list[Connection] = []

    @property
    def main(self) -> Connection:
        """The connection that stays open for the whole run, with everything since ``since``."""
        assert self._main is not None
        return self._main

    async def run(self, scenarios: Sequence[Scenario], wanted: Collection[str]) -> None:
        """Run the first scenario, which all need, and those that exercise a wanted rule.

        Raises:
            UnreachableError: the forwarder accepts no connection.
            TooManyError: the range has too many events.

        """
        try:
            self._main = await self.open(TailQuery(since=self.since))
            for number, scenario in enumerate(scenarios):
                if number == 0 or scenario.shows & set(wanted):
                    await scenario.run(self)
        finally:
            for connection in self._open:
                await connection.close()

    # Connections

    async def open(self, query: TailQuery, holdings: Holdings | None = None) -> Connection:
        """Connect and wait for ``welcome``.

        Raises:
            UnreachableError: the connection is refused, or no welcome arrives.

        """
        query = msgspec.structs.replace(query, group=self.group)
        known = self._main.observer if self._main is not None else None
        observer = Observer(
            self.ledger,
            query,
            holdings or Holdings(),
            asyncio.get_running_loop().time(),
            known.holdings if known is not None and known.is_done else None,
        )
        try:
            socket = await connect(
                self.url_of("/v1/tail", query.encode(), scheme=self._parts.scheme),
                additional_headers=self.headers(),
                max_size=CLIENT_FRAME_BYTES_MAX,
                max_queue=None,
                open_timeout=self.patience_s,
                proxy=None,
            )
        except InvalidStatus as error:
            detail = error_detail(error.response.body or b"")
            msg = f"connection refused: HTTP {error.response.status_code}: {detail}"
            raise UnreachableError(msg) from error
        except (OSError, WebSocketException) as error:
            msg = f"cannot connect: {describe_network_error(error)}"
            raise UnreachableError(msg) from error
        connection = Connection(socket, observer)
        self._open.append(connection)
        has_come = await connection.until(lambda: observer.welcome is not None, self.patience_s)
        if not self.ledger.check("welcome", has_come, "welcome", "nothing"):
            msg = f"no welcome within {self.patience_s:.0f} s"
            raise UnreachableError(msg)
        return connection

    async def drop(self, connection: Connection) -> None:
        """Close a connection that is not needed any more."""
        self._open.remove(connection)
        await connection.close()

    async def refusal(self, query: str, *, token: str | None) -> Answer | None:
        """The response that refuses a connection with that query; None if it is accepted."""
        try:
            socket = await connect(
                self.url_of("/v1/tail", query, scheme=self._parts.scheme),
                additional_headers={} if token is None else {"Authorization": f"Bearer {token}"},
                open_timeout=self.patience_s,
                proxy=None,
            )
        except InvalidStatus as error:
            return Answer(error.response.status_code, bytes(error.response.body or b""), "")
        except (OSError, WebSocketException) as error:
            return Answer(0, first_line(error).encode(), "")
        await socket.close()
        return None

    # HTTP

    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def url_of(self, path: str, query: str, *, scheme: str | None = None) -> str:
        """The URL of a path on the forwarder."""
        http = "https" if self._parts.scheme == "wss" else "http"
        if path == "/v1/tail":
            path = self._parts.path or path
        return urlunsplit((scheme or http, self._parts.netloc, path, query, ""))

    async def get(self, path: str, *, token: bool = True, **query: object) -> Answer:
        """Send a GET for the log group; a name's trailing ``_`` is removed, as in ``from_``."""
        pairs: dict[str, object] = {} if self.group is None else {"group": self.group}
        pairs |= {name.rstrip("_"): value for name, value in query.items()}
        return await self.get_raw(path, urlencode(pairs, doseq=True), token=token)

    async def get_raw(self, path: str, query: str, *, token: bool = True) -> Answer:
        """Send a GET; the status is 0 if no response arrives."""
        headers = self.headers() if token else {}
        asked = urllib.request.Request(self.url_of(path, query), headers=headers)
        return await asyncio.to_thread(_get, asked, self.patience_s)


def group_in(url: str) -> str | None:
    """The log group that a URL's query names; None without one."""
    return next(iter(parse_qs(urlsplit(url).query).get("group", [])), None)


def _get(asked: urllib.request.Request, timeout_s: float) -> Answer:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=timeout_s) as answer:
            kind = answer.headers.get("Content-Type", "")
            return Answer(answer.status, answer.read(_BODY_BYTES_MAX), kind)
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read(_BODY_BYTES_MAX), "")
    except OSError as error:
        return Answer(0, str(error).encode(), "")
