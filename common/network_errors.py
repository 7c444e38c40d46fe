"""Words for failed connections: one line for a person instead of a library's exception. Pure."""

from __future__ import annotations

import errno
import json
import os
import re
import ssl
from typing import Final

REFUSED: Final = "connection refused"
"""Why there is no connection where the other end, or something before it, refuses."""

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
_CHARS_MAX: Final = 200
_DETAIL_CHARS_MAX: Final = 300


def describe_network_error(error: BaseException) -> str:
    """Return why there is no connection, in the system's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message
        return f"its certificate is not trusted ({why}): name its authority in SSL_CERT_FILE"
    if not isinstance(error, OSError):
        # A library's "no valid response" says little without what is wrong with the response.
        said = [error] if error.__cause__ is None else [error, error.__cause__]
        return ": ".join(map(first_line, said))[:_CHARS_MAX]
    if isinstance(error, ssl.SSLError):
        # Its errno is OpenSSL's, not the system's.
        return f"TLS failed: {first_line(error)}"
    if isinstance(error, TimeoutError) and error.errno is None:
        return "no answer in time"
    # asyncio joins the errors of several addresses to one text without a number.
    found = _ERRNO.search(str(error))
    number = error.errno if error.errno is not None else int(found[1]) if found else 0
    if number == errno.ECONNREFUSED:
        # Not that nothing listens: a firewall, or a cable that is cut, refuses as well.
        return REFUSED
    # Numbers of the resolver are negative, and not the system's.
    return (os.strerror(number) if number > 0 else error.strerror or first_line(error)).lower()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name if it has none."""
    return (str(error) or type(error).__name__).splitlines()[0][:_CHARS_MAX]


def error_detail(body: bytes | bytearray) -> str:
    """Return what the body of an error response says; ours are ``{"error": …}``.

    Empty for an HTML page, which a proxy between may send.
    """
    text = body.decode("utf-8", "replace").strip()
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("error"), str):
        text = parsed["error"]
    return "" if text.startswith("<") else " ".join(text.split())[:_DETAIL_CHARS_MAX]
