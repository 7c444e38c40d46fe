"""TLS: a forwarder with a certificate, the viewer, and clients that fail the handshake."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

import pytest
from websockets.asyncio.client import connect

from tests.support.network.raw_client import WAIT_S, raw_client
from tests.support.processes.certificates import Certificates, make_certificates
from tests.support.processes.gapless_processes import GaplessProcess, forwarder
from tests.support.processes.log_writer import Ledger, now_ms
from tests.support.processes.moto_server import raw_moto

pytestmark = pytest.mark.timeout(600)

TOKEN, STREAM = "a-secret-for-tls", "job/main/aaaa"
EVENTS = 3_000


class Secure(NamedTuple):
    """A forwarder that serves TLS."""

    websocket: str
    http: str
    port: int
    ledger: Ledger
    certificates: Certificates
    token_file: Path

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificates.authority))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    state = tmp_path_factory.mktemp("secure")
    certificates = make_certificates(state)
    token_file = state / "token"
    token_file.write_text(TOKEN + "\n", encoding="utf-8")
    token_file.chmod(0o600)
    options = (
        *("--token-file", str(token_file)),
        *("--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key)),
    )
    with raw_moto() as moto:
        ledger = Ledger(moto, "/jobs/tls", [STREAM])
        # Larger than the socket buffers.
        ledger.put(STREAM, [(now_ms() - 60_000 + n, f"{n} " + "x" * 300) for n in range(EVENTS)])
        with forwarder(ledger.group, moto.url, state, *options) as process:
            ready = process.ready()
            port = int(ready["http"].rpartition(":")[2])
            made = Secure(ready["websocket"], ready["http"], port, ledger, certificates, token_file)
            assert (made.websocket[:6], made.http[:8]) == ("wss://", "https://")
            yield made
            assert process.popen.poll() is None
        assert not [line for line in process.err.so_far() if "Traceback" in line or TOKEN in line]
        ledger.close()


def tail(secure: Secure, state: Path, *options: str, **environment: str) -> GaplessProcess:
    arguments = ("tail", secure.websocket, "--output", "json", "--since", "10m", *options)
    return GaplessProcess(
        *(*arguments, "--token-file", str(secure.token_file)), state=state, environment=environment
    )


def test_the_viewer_trusts_the_authority_in_ssl_cert_file(secure: Secure, tmp_path: Path) -> None:
    authority = str(secure.certificates.authority)
    with tail(secure, tmp_path, "--no-follow", SSL_CERT_FILE=authority) as viewer:
        shown = [json.loads(line)["message"] for line in viewer.out.wait_end()]
        assert viewer.popen.wait(WAIT_S) == 0
    assert shown == [message for _, _, message in secure.ledger.accepted]


def test_the_viewer_rejects_an_unknown_authority(secure: Secure, tmp_path: Path) -> None:
    with tail(secure, tmp_path, "--no-follow") as viewer:
        assert viewer.out.wait_end() == []
        assert viewer.popen.wait(WAIT_S) == 3
        (line,) = viewer.err.wait_end()
    assert line.startswith("gapless: cannot connect to wss://")
    assert "its certificate is not trusted" in line
    assert "SSL_CERT_FILE" in line


def test_https(secure: Secure) -> None:
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=secure.context))
    request = Request(f"{secure.http}/v1/groups", headers={"Authorization": f"Bearer {TOKEN}"})
    with opener.open(request, timeout=WAIT_S) as answer:
        assert json.load(answer) == [secure.ledger.group]


async def test_failed_handshakes_are_closed(secure: Secure) -> None:
    """Silence, half a ClientHello, plain HTTP and garbage at once."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)
    plain = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    async def rest_after(said: bytes) -> bytes:
        async with raw_client(secure.port) as one:
            one.send(said)
            return await one.read_all()

    saids = [b"", hello, plain, b"\x00" * 50, *[hello[:number] for number in range(1, 30)]]
    for rest in await asyncio.gather(*map(rest_after, saids)):
        assert not rest.startswith(b"HTTP")
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with connect(
        secure.websocket, ssl=secure.context, additional_headers=headers, proxy=None
    ) as one:
        assert json.loads(await one.recv())["type"] == "welcome"
