from __future__ import annotations

import pytest

from common.hosts import host_name, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_addresses_of_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_addresses_that_others_can_reach(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Logs.example.com", "logs.example.com"),
        ("logs:8443", "logs"),
        ("[::1]:5", "::1"),
        *((text, None) for text in ("https://x", "x/y", "", ":5", "x:y", "a@b", "a b", "[x", "ä")),
    ],
)
def test_a_host_has_a_name_and_perhaps_a_port(host: str, name: str | None) -> None:
    assert host_name(host) == name
