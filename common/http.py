"""Short HTTP requests to a forwarder or a simulator, each with a deadline and a size limit."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

from common.errors import CannotConnectError, GaplessError, UsageError

TIMEOUT_S: Final = 10.0
BYTES_MAX: Final = 64 << 20
_ERROR_CHARS_MAX: Final = 300
_TOKEN_BYTES_MAX: Final = 4096


class RefusedError(GaplessError):
    """An answer that is no success; ``status`` is its HTTP status, ``words`` what it says."""

    def __init__(self, text: str, status: int, words: str = "") -> None:
        """``text`` has what was tried and what came back."""
        super().__init__(text)
        self.status = status
        self.words = words


def request(
    url: str,
    *,
    method: str = "GET",
    body: Any = None,  # noqa: ANN401 - whatever JSON takes
    raw: bytes | None = None,
    token: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Any:  # noqa: ANN401 - whatever JSON gives
    """One request; the JSON of its answer, None where the answer is empty.

    ``raw`` is sent as it is, in place of a ``body``.

    Raises:
        CannotConnectError: nobody answers there, or not in time.
        RefusedError: the answer is an error, in its own words.
        GaplessError: the answer is not JSON, or too large.

    """
    headers = {"Accept": "application/json"}
    data = raw
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    asked = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - callers give http(s) only
    # No proxy of the environment's: forwarders and simulators are on this machine or in reach.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=timeout_s) as answer:
            found = answer.read(BYTES_MAX + 1)
    except urllib.error.HTTPError as error:
        with error:
            words = _words(error.read(_ERROR_CHARS_MAX * 4))
        msg = f"{url} answers {error.code}: {words or error.reason}"
        raise RefusedError(msg, error.code, words) from error
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        msg = f"cannot reach {url} ({reason}): is it running, and is the address right?"
        raise CannotConnectError(msg) from error
    if len(found) > BYTES_MAX:
        msg = f"{url} answers with more than {BYTES_MAX >> 20} MiB"
        raise GaplessError(msg)
    return _parsed(found, url)


def read_token(path: Path | None) -> str | None:
    """The first token of a file like the forwarder's: a token a line, maybe with a pattern.

    Raises:
        UsageError: it can't be read, or holds no token.

    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(_TOKEN_BYTES_MAX).decode("ascii")
    except OSError as error:
        msg = f"cannot read the token file {path} ({error.strerror}): give another --token-file"
        raise UsageError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"the token file {path} holds no token: it must be plain ASCII"
        raise UsageError(msg) from error
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    token = next((words[0] for words in lines if words), "")
    if not token or not token.isprintable():
        msg = f"the token file {path} holds no token: write one into its first line"
        raise UsageError(msg)
    return token


def _parsed(raw: bytes, url: str) -> Any:  # noqa: ANN401 - whatever JSON gives
    if not raw.strip():
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        msg = f"{url} answers with something that is not JSON: is the address right?"
        raise GaplessError(msg) from error


def _words(raw: bytes) -> str:
    """What an error's body says; bodies of ours are ``{"error": …}``."""
    text = raw.decode("utf-8", "replace").strip()
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and isinstance(said.get("error"), str):
        text = said["error"]
    return "" if text.startswith("<") else " ".join(text.split())[:_ERROR_CHARS_MAX]
