"""A stand-in for AWS STS: assumes roles, and checks MFA codes as AWS does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs

ACCOUNT: Final = "123456789012"
_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_WRONG: Final = "MultiFactorAuthentication failed with invalid MFA one time pass code."


class StsStandIn:
    """Answers AssumeRole with the access key ``ROLEKEY`` and a number that counts them."""

    def __init__(self, code: str) -> None:
        self.url = ""
        self.code = code
        """The code that the device shows at present."""
        self.codes: list[str] = []
        """The codes that were sent."""

    def answer(self, asked: dict[str, list[str]]) -> tuple[int, str]:
        """Status and body of the answer to a request."""
        action = asked["Action"][0]
        if action == "GetCallerIdentity":
            arn = f"arn:aws:iam::{ACCOUNT}:user/ada"
            return 200, _result(action, f"<Account>{ACCOUNT}</Account><Arn>{arn}</Arn>")
        code = asked.get("TokenCode", [""])[0]
        self.codes.append(code)
        if "SerialNumber" in asked and code != self.code:
            error = f"<Error><Code>AccessDenied</Code><Message>{_WRONG}</Message></Error>"
            return 403, f'<ErrorResponse xmlns="{_NAMESPACE}">{error}</ErrorResponse>'
        expires = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/Ops/test"
        return 200, _result(
            action,
            f"<Credentials><AccessKeyId>ROLEKEY{len(self.codes)}</AccessKeyId>"
            "<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>"
            f"<Expiration>{expires}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{arn}</Arn>"
            "<AssumedRoleId>AROA:test</AssumedRoleId></AssumedRoleUser>",
        )


def _result(action: str, body: str) -> str:
    result = f"<{action}Result>{body}</{action}Result>"
    return f'<{action}Response xmlns="{_NAMESPACE}">{result}</{action}Response>'


@contextmanager
def sts_stand_in(code: str) -> Iterator[StsStandIn]:
    """Run it on a free port of 127.0.0.1; ``code`` is the valid MFA code."""
    stand_in = StsStandIn(code)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            status, body = stand_in.answer(parse_qs(self.rfile.read(length).decode()))
            self.send_response(status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stand_in.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
