"""Page tokens by value: they say after which event to go on, not after how many.

A token is good for 24 hours, and for the request that it came with; only ``limit`` may change.
That a token of another request is refused is this project's choice, the strict one: AWS does not
say what happens.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from itertools import count
from secrets import token_bytes
from typing import Final

TOKEN_MS: Final = 24 * 3_600_000

_SEAL_BYTES: Final = 9


class TokenError(Exception):
    """The token is malformed, of another request, or too old."""


class Tokens:
    """Issues tokens and reads them."""

    def __init__(self) -> None:
        """Tokens of another process are refused."""
        self._secret = token_bytes(16)
        self._issued = count()
        self._expired_ms = 0

    def issue(self, request: str, position: str, now_ms: int) -> str:
        """A token for going on after ``position``, unlike every other one."""
        number = next(self._issued)
        head = f"{now_ms}.{number}.{position}".encode("utf-8", "surrogatepass")
        return urlsafe_b64encode(self._seal(request, head) + head).decode()

    def read(self, request: str, token: str, now_ms: int) -> str:
        """The position that a token says.

        Raises:
            TokenError: it is not good (any more).

        """
        try:
            raw = urlsafe_b64decode(token.encode())
        except (UnicodeEncodeError, binascii.Error) as error:
            raise TokenError from error
        seal, head = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if seal != self._seal(request, head):
            raise TokenError
        issued_ms, _, position = head.decode("utf-8", "surrogatepass").split(".", 2)
        if self.is_expired(int(issued_ms), now_ms):
            raise TokenError
        return position

    def is_expired(self, issued_ms: int, now_ms: int) -> bool:
        """Whether a token of that time is too old."""
        return issued_ms <= self._expired_ms or now_ms - issued_ms > TOKEN_MS

    def expire(self, now_ms: int) -> None:
        """Refuse every token issued until now, as if a day had passed."""
        self._expired_ms = now_ms

    def _seal(self, request: str, head: bytes) -> bytes:
        text = request.encode("utf-8", "surrogatepass") + b"\n" + head
        return blake2b(text, digest_size=_SEAL_BYTES, key=self._secret).digest()
