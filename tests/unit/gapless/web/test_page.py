from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from gapless.web import page

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
    addresses.feed(page.page("/jobs · gapless", HOST, "secret"))
    assert f"ws://{HOST}/secret/ws" in addresses.found
    rest = set(addresses.found) - {f"ws://{HOST}/secret/ws", "data:,"}
    assert {"xterm.css", "page.css", "page.js", "textual.js"} == rest
    assert rest < set(page.FILES)


def test_what_is_watched_is_text_in_the_page() -> None:
    text = page.page('<script>"$x', HOST, "secret")
    assert "<title>&lt;script&gt;&quot;$x</title>" in text


@pytest.mark.parametrize("name", page.FILES)
def test_every_file_is_there_and_loads_only_others_that_are(name: str) -> None:
    found = page.content(name)
    assert found is not None
    body, kind = found
    assert body
    if kind == "text/css":
        wanted = re.findall(r'url\("?([^")]+)"?\)', body.decode())
        assert set(wanted) <= set(page.FILES)
        assert b"@import" not in body


@pytest.mark.parametrize(
    "name", ["", "page.html", "../page.py", "driver.py", "static/js/textual.js"]
)
def test_nothing_else_is_handed_out(name: str) -> None:
    assert page.content(name) is None


def test_the_browser_is_told_to_load_from_here_alone() -> None:
    policy = page.headers(HOST)["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["connect-src"] == f"'self' ws://{HOST}"
    assert rules["frame-ancestors"] == "'none'"
    assert "*" not in policy
    assert "http" not in policy
