from __future__ import annotations

from http import HTTPStatus

import pytest
from websockets.datastructures import Headers

from forwarder.server.origins import OriginPolicy


def refused(
    policy: OriginPolicy, *headers: tuple[str, str], host: str = "127.0.0.1:8765"
) -> str | None:
    """Label of the refusal of a request with these headers; None if it is accepted."""
    found = policy.check(Headers([("Host", host), *headers]))
    return None if found is None else found[0]


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8765", "127.0.0.1:1", "127.8.9.1", "localhost", "LOCALHOST:99"),
        *("viewer.localhost", "[::1]", "[::1]:8765", "[::ffff:127.0.0.1]"),
    ],
)
def test_loopback_hosts_are_accepted_with_any_port(host: str) -> None:
    assert refused(OriginPolicy("127.0.0.1"), host=host) is None
    assert refused(OriginPolicy("10.0.0.5"), host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8765", "here", "10.0.0.5", "[2001:db8::1]", "0.0.0.0"),
        *("localhost.evil.example", "127.0.0.1.evil.example", "evil@127.0.0.1", "127.0.0.1@evil"),
        *("", "[x", "127.0.0.1:x", "127.0.0.1/x", "127.0.0.1?x", "127.0.0.1#", " 127.0.0.1"),
        *("127.0.0.1,evil.example", "2130706433", "0x7f.1", "127.1", "localhost.", "l\xf6calhost"),
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    assert refused(OriginPolicy("127.0.0.1"), host=host) == "host"


def test_exactly_one_host_is_needed() -> None:
    policy = OriginPolicy("127.0.0.1")
    for headers in ([], [("Host", "127.0.0.1"), ("Host", "127.0.0.1")]):
        found = policy.check(Headers(headers))
        assert found is not None
        assert (found[0], found[1].status) == ("host", HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(
    ("listening", "host", "label"),
    [
        ("10.0.0.5", "10.0.0.5:8765", None),
        ("10.0.0.5", "10.0.0.6:8765", "host"),
        ("[2001:db8::1]", "[2001:DB8:0::1]:8765", None),
        ("Logs.internal", "logs.INTERNAL:1", None),
        # A web page cannot make an address mean another machine, so any address is accepted.
        ("0.0.0.0", "10.0.0.6:8765", None),
        ("::", "[2001:db8::1]", None),
        ("0.0.0.0", "logs.internal", "host"),
    ],
)
def test_the_listening_address_is_accepted(listening: str, host: str, label: str | None) -> None:
    assert refused(OriginPolicy(listening), host=host) == label


def test_allowed_hosts_are_those_of_a_reverse_proxy() -> None:
    policy = OriginPolicy("127.0.0.1", ["Logs.example.com", "logs.example.org:8443"])
    for host in ("logs.example.com", "logs.example.com:8765", "logs.example.org"):
        assert refused(policy, host=host) is None
    assert refused(policy, host="example.com") == "host"
    # A proxy that names its target as host leaves the browser's Origin as it is.
    for origin in ("https://logs.example.com", "https://logs.example.org:8443"):
        assert refused(policy, ("Origin", origin)) is None
    for origin in ("https://logs.example.com:1", "https://logs.example.org", "https://example.com"):
        assert refused(policy, ("Origin", origin)) == "origin"


@pytest.mark.parametrize(
    "origin",
    [
        *(
            "https://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:3000",
            "null",
            "",
            "http://[",
        ),
        *("http://localhost:8765", "file://127.0.0.1:8765", "127.0.0.1:8765"),
        *(
            "http://127.0.0.1:8765/",
            "http://127.0.0.1:8765.evil.example",
            "http://x@127.0.0.1:8765",
        ),
        "http://127.0.0.1:8765, http://127.0.0.1:8765",
    ],
)
def test_web_pages_of_other_origins_are_refused(origin: str) -> None:
    assert refused(OriginPolicy("127.0.0.1"), ("Origin", origin)) == "origin"


def test_the_dialled_address_is_an_own_origin() -> None:
    policy = OriginPolicy("127.0.0.1")
    assert refused(policy, ("Origin", "http://127.0.0.1:8765")) is None
    assert refused(policy, ("Origin", "HTTPS://localhost"), host="LocalHost") is None
    twice = [("Origin", "http://127.0.0.1:8765")] * 2
    assert refused(policy, *twice) == "origin"


@pytest.mark.parametrize(
    ("sites", "label"),
    [
        (["same-origin"], None),
        (["none"], None),
        (["Same-Origin"], None),
        (["cross-site"], "origin"),
        (["same-site"], "origin"),
        ([""], "origin"),
        (["something-new"], "origin"),
        (["none", "cross-site"], "origin"),
        (["none, cross-site"], "origin"),
    ],
)
def test_requests_that_a_foreign_page_causes_are_refused(
    sites: list[str], label: str | None
) -> None:
    headers = [("Sec-Fetch-Site", one) for one in sites]
    assert refused(OriginPolicy("127.0.0.1"), *headers) == label


def test_errors_name_the_remedy_and_can_not_forge_text() -> None:
    found = OriginPolicy("127.0.0.1").check(Headers([("Host", "\x85\xad" + "x" * 900)]))
    assert found is not None
    assert "--allow-host" in found[1].text
    assert found[1].text.isprintable()
    assert len(found[1].text) < 300
