from __future__ import annotations

import json

import pytest

from gapless.web.asking import (
    Focused,
    Pinged,
    Resized,
    Said,
    Typed,
    is_of_this_machine,
    is_our_page,
    is_secret,
    size,
    understand,
)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "127.0.0.1"])
def test_names_of_this_machine_may_be_asked_for(host: str) -> None:
    assert is_of_this_machine(host)


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "0.0.0.0:1",
        "[::1",
        "evil.example@127.0.0.1",
        "localhost:1; script-src *",
    ],
)
def test_whatever_else_the_address_is_called_is_refused(host: str | None) -> None:
    assert not is_of_this_machine(host)


def test_only_the_page_itself_opens_a_websocket() -> None:
    host = "127.0.0.1:8000"
    assert is_our_page("http://127.0.0.1:8000", host)
    assert is_our_page(None, host)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9", "https://127.0.0.1:8000"):
        assert not is_our_page(origin, host)
    assert not is_our_page("http://127.0.0.1:8000", None)


def test_the_secret_is_the_whole_secret() -> None:
    assert is_secret("abc", "abc")
    for wrong in ("", "ab", "abcd", "ABC", "ä", "\udc80"):
        assert not is_secret(wrong, "abc")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (["stdin", "\x1b[A"], Typed(b"\x1b[A")),
        (["stdin", "é"], Typed("é".encode())),
        (["resize", {"width": 120, "height": 40}], Resized(120, 40)),
        (["resize", {"width": 10**9, "height": -5}], Resized(1_000, 1)),
        (["resize", {"width": "wide", "height": None}], Resized(80, 24)),
        (["focus"], Focused(is_in=True)),
        (["blur"], Focused(is_in=False)),
        (["ping", "17"], Pinged("17")),
    ],
)
def test_what_the_page_says_is_understood(said: object, meant: Said) -> None:
    assert understand(json.dumps(said)) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "{}", "[]", "7", "null", "[" * 100_000, '"\\ud800"', "[\udc80]", '["what", 1]'),
        *('["stdin"]', '["stdin", 7]', '["resize", 7]', '["resize", {"width": 1}]', '["ping"]'),
    ],
)
def test_what_nobody_says_is_nothing(text: str) -> None:
    assert understand(text) is None


def test_a_window_has_bounds() -> None:
    assert size("120", "40") == (120, 40)
    assert size(None, "") == (80, 24)
    assert size("9" * 5_000, "1e3") == (80, 24)
    assert size("5000", "5000") == (1_000, 500)
