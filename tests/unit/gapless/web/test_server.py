from __future__ import annotations

import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from aiohttp import WSCloseCode, WSMsgType, WSServerHandshakeError
from aiohttp.client import ClientSession
from aiohttp.test_utils import TestServer
from aiohttp.web import WebSocketResponse

from common.errors import GaplessError
from gapless.web import server
from gapless.web import server as module
from gapless.web import viewer_tab as tab_module
from gapless.web.server import PageServer, serve

VIEWER = ["tab", "--websocket", "ws://127.0.0.1:1/v1/tail", "--group", "/g"]
VIEWER += ["--control", "http://127.0.0.1:1", "--since", "0"]


async def test_forbidden_requests_are_refused() -> None:
    page = PageServer("t", VIEWER)
    async with TestServer(page.application()) as served, ClientSession() as client:
        ours = served.make_url(f"/{page.secret}/")
        refused = [
            ({"Host": "evil.example"}, ours, 403),
            ({"Origin": "http://evil.example"}, ours, 403),
            ({}, served.make_url("/"), 404),
            ({}, served.make_url("/guess/"), 404),
            ({}, served.make_url("/guess/ws"), 404),
            ({}, ours / "nothing", 404),
            ({}, ours, 200),
            ({}, ours / "textual.js", 200),
        ]
        for headers, url, status in refused:
            async with client.get(url, headers=headers) as answer:
                assert answer.status == status
                policy = answer.headers.get("Content-Security-Policy", "")
                assert ("default-src 'none'" in policy) == (status == 200)
                assert (page.secret in await answer.text()) == (
                    answer.status == 200 and url == ours
                )
        with pytest.raises(WSServerHandshakeError) as refusal:
            await client.ws_connect(ours / "ws", headers={"Origin": "http://evil.example"})
        assert refusal.value.status == 403


async def test_the_number_of_tabs_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TABS_MAX", 0)
    page = PageServer("t", VIEWER)
    async with TestServer(page.application()) as served, ClientSession() as client:
        with pytest.raises(WSServerHandshakeError) as refusal:
            await client.ws_connect(served.make_url(f"/{page.secret}/ws"))
        assert refusal.value.status == 503


async def test_a_failed_process_start_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def full(*_args: object, **_kwargs: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(tab_module.Tab, "_open_app_process", full)
    page = PageServer("t", VIEWER)
    async with TestServer(page.application()) as served, ClientSession() as client:
        link = await client.ws_connect(served.make_url(f"/{page.secret}/ws"))
        message = await link.receive(240)
        assert (message.type, link.close_code) == (WSMsgType.CLOSE, WSCloseCode.TRY_AGAIN_LATER)
    assert "cannot start a viewer for another tab (Resource temporarily" in capsys.readouterr().err


async def test_it_ends_while_a_tab_is_opening() -> None:
    page = PageServer("t", VIEWER)
    page._open.add(WebSocketResponse())
    async with TestServer(page.application()) as served:
        assert served.port


def always() -> bool:
    return True


def test_a_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            GaplessError,
            match=rf"cannot listen on 127.0.0.1:{port} \(Address already in use\): choose another",
        ):
            serve("t", VIEWER, port=port, is_needed=always, announce=print)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    addresses: list[str] = []

    def told(url: str) -> None:
        addresses.append(url)
        os.kill(os.getpid(), number)

    assert serve("t", VIEWER, port=0, is_needed=always, announce=told) == 128 + number
    assert addresses
    assert addresses[0].startswith("http://127.0.0.1:")


def test_it_ends_with_what_it_shows() -> None:
    asked = threading.Semaphore(3)
    is_needed: Callable[[], bool] = lambda: asked.acquire(blocking=False)  # noqa: E731 - a counter
    assert serve("t", VIEWER, port=0, is_needed=is_needed, announce=lambda _url: None) == 0


HOST = "127.0.0.1:8000"


class Addresses(HTMLParser):
    """Whatever a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        named = ("href", "src", "data-session-websocket-url", "action", "srcset")
        self.found += [value for name, value in attrs if name in named and value]


def test_the_page_refers_to_its_own_files_and_to_nothing_else() -> None:
    addresses = Addresses()
    addresses.feed(server.render_page("/jobs · gapless", HOST, "secret"))
    assert f"ws://{HOST}/secret/ws" in addresses.found
    rest = set(addresses.found) - {f"ws://{HOST}/secret/ws", "data:,"}
    assert {"xterm.css", "page.css", "page.js", "textual.js"} == rest
    assert rest < set(server.FILES)


def test_the_title_is_escaped_in_the_page() -> None:
    text = server.render_page('<script>"$x', HOST, "secret")
    assert "<title>&lt;script&gt;&quot;$x</title>" in text


@pytest.mark.parametrize("name", server.FILES)
def test_every_file_is_there_and_loads_only_others_that_are(name: str) -> None:
    found = server.page_file(name)
    assert found is not None
    body, kind = found
    assert body
    if kind == "text/css":
        wanted = re.findall(r'url\("?([^")]+)"?\)', body.decode())
        assert set(wanted) <= set(server.FILES)
        assert b"@import" not in body


@pytest.mark.parametrize(
    "name", ["", "page.html", "../page.py", "driver.py", "static/js/textual.js"]
)
def test_no_other_file_is_served(name: str) -> None:
    assert server.page_file(name) is None


def test_the_browser_may_load_only_from_this_server() -> None:
    policy = server.page_headers(HOST)["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["connect-src"] == f"'self' ws://{HOST}"
    assert rules["frame-ancestors"] == "'none'"
    assert "*" not in policy
    assert "http" not in policy
