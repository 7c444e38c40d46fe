"""HTTP requests to a forwarder or a simulator, each with a deadline and a size limit."""

from __future__ import annotations

import json
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from common.errors import CannotConnectError, GaplessError
from common.network_errors import describe_network_error, error_detail

if TYPE_CHECKING:
    from collections.abc import Mapping

    import urllib3

TIMEOUT_S: Final = 10.0
BYTES_MAX: Final = 64 << 20
_ERROR_STATUS: Final = 400


class HttpFailure(Exception):  # noqa: N818 - a reason, which the callers make an error of
    """No whole response came; the text is the reason in one line."""


class ResponseTooLarge(HttpFailure):
    """The body is larger than the client reads."""


class Response(NamedTuple):
    """Status and whole body of a response."""

    status: int
    body: bytes


class HttpClient:
    """Sends requests to one server and keeps one connection; each call blocks its thread.

    No proxy of the environment is used: forwarders and simulators are on this machine or within
    reach of it.

    Args:
        connect_s: Longest wait for the connection.
        read_s: Longest wait for more of the response.
        bytes_max: Largest body that is read.
    """

    def __init__(
        self,
        *,
        connect_s: float = TIMEOUT_S,
        read_s: float = TIMEOUT_S,
        bytes_max: int = BYTES_MAX,
    ) -> None:
        self._connect_s = connect_s
        self._read_s = read_s
        self._bytes_max = bytes_max

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        """Send one request and read the whole response, whatever its status.

        Raises:
            HttpFailure: the server cannot be reached, or the body broke off or is too large.
        """
        if not url.startswith(("http://", "https://")):
            msg = "the address must begin with http:// or https://"
            raise HttpFailure(msg)
        import urllib3  # noqa: PLC0415 - 40 ms, which --help and the first screen do not need

        try:
            with self._pool.request(
                method, url, headers=headers, body=body, preload_content=False
            ) as response:
                content = response.read(self._bytes_max + 1)
                if len(content) > self._bytes_max or response.read(1):
                    self._pool.clear()
                    msg = f"the response is over the limit of {self._bytes_max} bytes"
                    raise ResponseTooLarge(msg)
                return Response(response.status, content)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise HttpFailure(describe_network_error(_system_error(error))) from error

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        import urllib3  # noqa: PLC0415 - as above

        return urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=self._connect_s, read=self._read_s),
        )

    def close(self) -> None:
        """Close the connection."""
        if "_pool" in self.__dict__:
            self._pool.clear()


class HttpStatusError(GaplessError):
    """A response with an error status.

    Attributes:
        status: Its HTTP status.
        detail: What its body says; may be empty.
    """

    def __init__(self, text: str, status: int, detail: str = "") -> None:
        """``text`` says what was tried and what came back."""
        super().__init__(text)
        self.status = status
        self.detail = detail


def request(
    url: str,
    *,
    method: str = "GET",
    body: Any = None,  # noqa: ANN401 - whatever JSON takes
    raw: bytes | None = None,
    token: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:  # noqa: ANN401 - whatever JSON gives
    """Send one request and return the JSON of its response; None for an empty one.

    ``body`` is sent as JSON, ``raw`` as it is, ``token`` as a bearer token; ``timeout_s`` is the
    longest wait for the connection, and for more of the response.

    Raises:
        CannotConnectError: the server does not respond, or not in time.
        HttpStatusError: the status is an error.
        GaplessError: the response is not JSON, or too large.
    """
    headers = {"Accept": "application/json"}
    data = raw
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    client = HttpClient(connect_s=timeout_s, read_s=timeout_s)
    try:
        status, content = client.send(method, url, headers=headers, body=data)
    except ResponseTooLarge as error:
        msg = f"{url}: {error}"
        raise GaplessError(msg) from error
    except HttpFailure as error:
        msg = f"cannot reach {url} ({error}): is it running, and is the address right?"
        raise CannotConnectError(msg) from error
    finally:
        client.close()
    if status >= _ERROR_STATUS:
        detail = error_detail(content)
        phrase = next((one.phrase for one in HTTPStatus if one == status), "no reason given")
        msg = f"{url} answers {status}: {detail or phrase}"
        raise HttpStatusError(msg, status, detail)
    return _parsed(content, url)


def _parsed(content: bytes, url: str) -> Any:  # noqa: ANN401 - whatever JSON gives
    if not content.strip():
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        msg = f"{url} answers with something that is not JSON: is the address right?"
        raise GaplessError(msg) from error


def _system_error(error: BaseException) -> BaseException:
    """Return the system's error that urllib3 wraps: its own text begins with objects of its."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error
