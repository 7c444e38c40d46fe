from __future__ import annotations

import pytest

from tui.client.address import Address


@pytest.mark.parametrize(
    ("url", "websocket", "http"),
    [
        ("ws://h:1", "ws://h:1/v1/tail?a=1", "http://h:1/v1/logs?b=2"),
        ("ws://h:1/", "ws://h:1/v1/tail?a=1", "http://h:1/v1/logs?b=2"),
        ("wss://h/v1/tail", "wss://h/v1/tail?a=1", "https://h/v1/logs?b=2"),
        (
            "wss://h/logs/v1/tail?k=v",
            "wss://h/logs/v1/tail?k=v&a=1",
            "https://h/logs/v1/logs?k=v&b=2",
        ),
    ],
)
def test_both_sides_of_a_forwarder(url: str, websocket: str, http: str) -> None:
    address = Address(url)
    assert address.websocket("a=1") == websocket
    assert address.http("/v1/logs?b=2") == http


def test_a_path_without_parameters_gets_none() -> None:
    assert Address("ws://h").http("/v1/groups") == "http://h/v1/groups"


def test_the_token_goes_with_every_request() -> None:
    assert Address("ws://h").headers == {}
    assert Address("ws://h", "secret").headers == {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("url", "is_loopback"),
    [
        ("ws://127.0.0.1:8", True),
        ("ws://[::1]:8", True),
        ("ws://localhost", True),
        ("ws://h", False),
    ],
)
def test_this_machine_is_known(url: str, *, is_loopback: bool) -> None:
    assert Address(url).is_loopback is is_loopback
