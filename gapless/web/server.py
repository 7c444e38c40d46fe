"""The page's server: listens on loopback only, and ends every viewer that it started."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

import textual_serve
from aiohttp import WSCloseCode, WSMsgType, web

from common.errors import EXIT_DONE, GaplessError, exit_code_of_signal
from common.signals import handle_ending_signals, run_until_signal
from gapless.terminal import say
from gapless.web import viewer_tab as tabs
from gapless.web.viewer_tab import Tab

FONT_SIZE: Final = 15
"""In pixels; the browser's zoom changes it."""

FILES: Final = {
    "page.css": ("gapless.web", "page.css", "text/css"),
    "page.js": ("gapless.web", "page.js", "text/javascript"),
    "xterm.css": (textual_serve.__name__, "static/css/xterm.css", "text/css"),
    "textual.js": (textual_serve.__name__, "static/js/textual.js", "text/javascript"),
    "RobotoMono.ttf": (
        textual_serve.__name__,
        "static/fonts/RobotoMono-VariableFont_wght.ttf",
        "font/ttf",
    ),
    "RobotoMono-Italic.ttf": (
        textual_serve.__name__,
        "static/fonts/RobotoMono-Italic-VariableFont_wght.ttf",
        "font/ttf",
    ),
}
"""The files that the page loads: package, path in it, media type."""


def render_page(title: str, host: str, secret: str) -> str:
    """Render the page as HTML, for the ``Host`` header of a request and the secret in its path."""
    text = files("gapless.web").joinpath("page.html").read_text(encoding="utf-8")
    return Template(text).substitute(
        title=escape(title), websocket=escape(f"ws://{host}/{secret}/ws"), font_size=FONT_SIZE
    )


def page_file(name: str) -> tuple[bytes, str] | None:
    """Read a file that the page loads, with its media type; None if there is none of that name."""
    if name not in FILES:
        return None
    package, path, kind = FILES[name]
    return files(package).joinpath(path).read_bytes(), kind


def page_headers(host: str) -> dict[str, str]:
    """Return the headers of every response: the browser restricts the page to its own origin.

    The terminal sets styles on its elements, hence ``unsafe-inline`` for styles alone; older
    browsers do not count a WebSocket as ``'self'``.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"font-src 'self'; img-src 'self' data:; connect-src 'self' ws://{host}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


ADDRESS: Final = "127.0.0.1"

TABS_MAX: Final = 16
"""Open tabs; each has a viewer process of about 100 MB."""

_SECRET_BYTES: Final = 16
_HEARTBEAT_S: Final = 120.0
"""A browser that does not answer for half of this is gone; a busy one may take many seconds."""
_POLL_S: Final = 0.5
_END_S: Final = 20.0
"""Longest wait for all tabs to end; longer than any single tab may take."""

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class PageServer:
    """Serves the page, and starts a viewer for each tab that shows it.

    ``viewer`` has the arguments of the ``gapless`` command that each tab shows.
    """

    def __init__(self, title: str, viewer: Sequence[str]) -> None:
        self.secret = secrets.token_urlsafe(_SECRET_BYTES)
        self._title = title
        self._viewer = tuple(viewer)
        self._open: set[web.WebSocketResponse] = set()

    def application(self) -> web.Application:
        """Return the web application: the page, its files, and its WebSocket."""
        app = web.Application(middlewares=[self._check_request])
        app.router.add_get("/{secret}/", self._page)
        app.router.add_get("/{secret}/ws", self._tab)
        app.router.add_get("/{secret}/{name}", self._file)
        app.on_shutdown.append(self._close)
        return app

    @web.middleware
    async def _check_request(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Refuse requests by other machines, pages and users; see ``gapless.web.viewer_tab``."""
        host = request.headers.get("Host")
        if not tabs.is_of_this_machine(host):
            return web.Response(status=403, text="open this page on the machine that serves it\n")
        if not tabs.is_our_page(request.headers.get("Origin"), host):
            return web.Response(status=403, text="requests from other pages are refused\n")
        if not tabs.is_secret(request.match_info.get("secret", ""), self.secret):
            return web.Response(status=404, text="open the complete address that was printed\n")
        return await handler(request)

    async def _page(self, request: web.Request) -> web.Response:
        text = render_page(self._title, request.host, self.secret)
        return web.Response(text=text, content_type="text/html", headers=page_headers(request.host))

    async def _file(self, request: web.Request) -> web.Response:
        found = page_file(request.match_info["name"])
        if found is None:
            return web.Response(status=404, text="not found\n")
        body, kind = found
        return web.Response(body=body, content_type=kind, headers=page_headers(request.host))

    async def _tab(self, request: web.Request) -> web.StreamResponse:
        if len(self._open) >= TABS_MAX:
            return web.Response(status=503, text=f"{TABS_MAX} tabs are open: close one\n")
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S, max_msg_size=tabs.MESSAGE_BYTES_MAX, compress=False
        )
        self._open.add(socket)
        try:
            await socket.prepare(request)
            await self._show(
                socket, *tabs.window_size(*map(request.query.get, ("width", "height")))
            )
        finally:
            self._open.discard(socket)
        return socket

    async def _show(self, socket: web.WebSocketResponse, columns: int, rows: int) -> None:
        tab = Tab(self._viewer, partial(_send, socket))
        try:
            await tab.show(columns, rows)
        except OSError as error:
            say(f"cannot start a viewer for another tab ({error.strerror}): close one")
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER)
            return
        ending = asyncio.create_task(_close_after(tab, socket))
        try:
            async for message in socket:
                is_text = message.type == WSMsgType.TEXT
                request = tabs.parse_message(message.data) if is_text else None
                answer = None if request is None else await tab.handle(request)
                if answer is not None:
                    await socket.send_json(["pong", answer])
        except ConnectionResetError:
            pass  # the tab is closed
        finally:
            ending.cancel()
            # Shielded: the viewer must end even if the server is being cancelled.
            await asyncio.shield(tab.end())

    async def _close(self, app: web.Application) -> None:
        del app
        # A tab that is just opening has no socket to close yet.
        prepared = [socket for socket in self._open if socket.prepared]
        closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in prepared]
        await asyncio.gather(*closing)


def announce(url: str) -> None:
    """Print the page's address."""
    say(f"watch it at {url} (Ctrl+C ends it)")


def serve(
    title: str,
    viewer: Sequence[str],
    *,
    port: int,
    is_needed: Callable[[], bool],
    announce: Callable[[str], None],
) -> int:
    """Serve the page until a signal arrives or it is not needed; return the exit code.

    Args:
        title: Title of the page.
        viewer: Arguments of the ``gapless`` command that each tab shows.
        port: 0: any free one.
        is_needed: Asked twice a second; False ends the server.
        announce: Called with the page's address once it can be opened.

    Raises:
        GaplessError: the port is in use.
    """
    # A malformed request is answered; its traceback would cover the page's address.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    # textual-serve prints to stdout what a viewer wrote before it ended.
    logging.getLogger("textual-serve").addHandler(logging.NullHandler())
    with contextlib.redirect_stdout(sys.stderr):
        return run_until_signal(_serve(PageServer(title, viewer), port, is_needed, announce))


async def _serve(
    server: PageServer, port: int, is_needed: Callable[[], bool], announce: Callable[[str], None]
) -> int:
    ended = asyncio.Event()
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        ended.set()

    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=_END_S)
    with handle_ending_signals(end):
        await runner.setup()
        try:
            site = web.TCPSite(runner, ADDRESS, port)
            try:
                await site.start()
            except OSError as error:
                # The error's own text repeats the address.
                why = os.strerror(error.errno) if error.errno else error.strerror
                msg = f"cannot listen on {ADDRESS}:{port} ({why}): choose another --port"
                raise GaplessError(msg) from error
            host, found = runner.addresses[0][:2]
            announce(f"http://{host}:{found}/{server.secret}/")
            while is_needed() and not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _POLL_S)
        finally:
            await runner.cleanup()
    return exit_code_of_signal(received[0]) if received else EXIT_DONE


async def _send(socket: web.WebSocketResponse, data: bytes) -> None:
    with contextlib.suppress(ConnectionResetError):  # the tab is closed
        await socket.send_bytes(data)


async def _close_after(tab: Tab, socket: web.WebSocketResponse) -> None:
    await tab.ended()
    await socket.close()
