from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from common.errors import CannotConnectError, GaplessError
from common.http import HttpClient, HttpStatusError, ResponseTooLarge, request


class Echo(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, tuple[int, bytes]]] = {
        "/empty": (204, b""),
        "/html": (200, b"<html>"),
        "/refused": (404, b'{"error": "no such log group"}'),
        "/gateway": (502, b"<html>Bad Gateway</html>"),
    }

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        said = {
            "method": self.command,
            "token": self.headers.get("Authorization"),
            "body": self.rfile.read(length).decode(),
        }
        status, body = self.answers.get(self.path, (200, json.dumps(said).encode()))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *arguments: object) -> None:
        del arguments


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_request_and_its_answer(url: str) -> None:
    assert request(f"{url}/a", method="POST", body={"x": 1}, token="secret") == {
        "method": "POST",
        "token": "Bearer secret",
        "body": '{"x": 1}',
    }
    assert request(f"{url}/empty", method="DELETE") is None


def test_an_error_status_with_its_detail(url: str) -> None:
    with pytest.raises(HttpStatusError, match="answers 404: no such log group") as caught:
        request(f"{url}/refused")
    assert caught.value.status == 404
    with pytest.raises(HttpStatusError, match="answers 502: Bad Gateway"):
        request(f"{url}/gateway")


def test_a_response_that_is_not_json(url: str) -> None:
    with pytest.raises(GaplessError, match="not JSON"):
        request(f"{url}/html")


def test_no_server() -> None:
    with pytest.raises(CannotConnectError, match=r"cannot reach http://127\.0\.0\.1:1/x") as caught:
        request("http://127.0.0.1:1/x")
    assert caught.value.exit_code == 3


def test_a_response_that_is_too_large(url: str) -> None:
    with pytest.raises(ResponseTooLarge, match="over the limit of 3 bytes"):
        HttpClient(bytes_max=3).send("GET", f"{url}/a")


@pytest.mark.parametrize("bad", ["ftp://127.0.0.1/x", "127.0.0.1/x", "http://127.0.0.1:99999/"])
def test_an_address_that_is_not_http(bad: str) -> None:
    with pytest.raises(CannotConnectError, match="cannot reach"):
        request(bad)
