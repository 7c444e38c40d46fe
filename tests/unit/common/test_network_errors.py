from __future__ import annotations

import errno
import socket
import ssl

import pytest
from websockets.exceptions import InvalidMessage

from common.network_errors import describe_network_error, error_detail, first_line


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] a, [Errno 111] b"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "x"), "no route to host"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (TimeoutError("timed out"), "no answer in time"),
        (untrusted(), "its certificate is not trusted (self-signed certificate): name its"),
        (ssl.SSLError(1, "wrong version number"), "TLS failed: "),
        (ValueError("first\nsecond"), "first"),
        (ValueError(), "ValueError"),
    ],
)
def test_why_there_is_no_connection(error: Exception, text: str) -> None:
    found = describe_network_error(error)
    assert found.startswith(text)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error": "no such\\n log group"}', "no such log group"),
        (b"plain  text", "plain text"),
        (b"<html>Bad Gateway</html>", ""),
        (b"[" * 100_000, "[" * 300),
        (b"\xff", "\N{REPLACEMENT CHARACTER}"),
        (b"", ""),
    ],
)
def test_what_an_error_response_says(body: bytes, text: str) -> None:
    assert error_detail(body) == text


def test_an_error_says_what_caused_it() -> None:
    error = InvalidMessage("no valid response")
    error.__cause__ = ValueError("HTTP/1.0 404 Not Found\nX-Header: y")
    assert describe_network_error(error) == "no valid response: HTTP/1.0 404 Not Found"


def test_a_long_error_is_cut() -> None:
    error = ValueError("x" * 1_000)
    assert first_line(error) == "x" * 200
    error.__cause__ = ValueError("y" * 1_000)
    assert describe_network_error(error) == "x" * 200
