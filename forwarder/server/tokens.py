"""Bearer tokens: who may read which log groups, by a file that is read again when it changes.

The file has one token a line, optionally followed by a pattern of log group names (``*`` and
``?`` as in file names); empty lines and those that begin with ``#`` are left out.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Self

import msgspec

from forwarder.errors import ConfigError
from forwarder.records import TokenVerdict

FILE_BYTES_MAX: Final = 1 << 20
TOKEN_CHARS_MIN: Final = 8
"""Shorter ones can be guessed."""

LOOK_S: Final = 1.0
"""How often to look whether the file has changed; it counts once it has stood still for that."""

_SCHEME: Final = "bearer "
_LOG: Final = logging.getLogger("gapless.forwarder")

_Signature = tuple[int, int, int, int]


class Grant(msgspec.Struct, frozen=True):
    """A token and the log groups that it covers."""

    token: str
    pattern: str = "*"

    def __repr__(self) -> str:
        """Without the token: what is shown may be logged."""
        return f"Grant(..., {self.pattern!r})"


class Tokens:
    """The tokens that are accepted."""

    def __init__(self, grants: list[Grant]) -> None:
        """Accept these."""
        self._grants = [(_print(one.token.encode("utf-8")), one.pattern) for one in grants]

    def __len__(self) -> int:
        """How many grants there are."""
        return len(self._grants)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a token file.

        Raises:
            ConfigError: it can't be read, has no token, or one that is no good.

        """
        try:
            with path.open("rb") as file:
                text = file.read(FILE_BYTES_MAX).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"--token-file {path} can't be read: {error}"
            raise ConfigError(msg) from error
        lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
        grants = [Grant(*words) for words in lines if 0 < len(words) <= len(("token", "pattern"))]
        if not grants or len(grants) < sum(map(bool, lines)):
            msg = f"--token-file {path} must have a token a line, each with at most one pattern"
            raise ConfigError(msg)
        if any(len(grant.token) < TOKEN_CHARS_MIN for grant in grants):
            msg = f"--token-file {path}: a token needs at least {TOKEN_CHARS_MIN} characters"
            raise ConfigError(msg)
        if not all(grant.token.isascii() for grant in grants):
            msg = f"--token-file {path}: a token may have ASCII characters only, as headers do"
            raise ConfigError(msg)
        return cls(grants)

    def take_over(self, other: Tokens) -> bool:
        """Accept another's from now on, and no others; whether that makes a difference."""
        changed = other._grants != self._grants
        self._grants = other._grants
        return changed

    def check(self, authorization: str | None, group: str | None) -> TokenVerdict:
        """Whether an ``Authorization`` header covers a log group (None: any will do)."""
        patterns = self._patterns(authorization)
        if not patterns:
            return "unknown"
        if group is None or any(fnmatchcase(group, one) for one in patterns):
            return "ok"
        return "denied"

    def _patterns(self, authorization: str | None) -> list[str]:
        """What the token covers; every one is compared, in constant time whatever its length."""
        header = authorization or ""
        if not header.lower().startswith(_SCHEME):
            return []
        given = _print(header[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass"))
        return [pattern for token, pattern in self._grants if hmac.compare_digest(given, token)]


class TokenFile:
    """A token file, and what is accepted by it at present."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            ConfigError: it can't be read, has no token, or one that is no good.

        """
        self._path = path
        self._used = _signature(path)
        self._seen = self._used
        self.tokens = Tokens.load(path)
        """Changes as the file does."""

    def look(self) -> bool:
        """Whether other tokens are accepted now than when it was looked at last.

        A file that is no good leaves the former tokens as they are, and is said to once. It is read
        only when it was the same at two looks: one that is just being written lacks its last lines,
        and whoever is closed for that would not come back.
        """
        found = _signature(self._path)
        still, self._seen = found == self._seen, found
        if found == self._used or not still:
            return False
        self._used = found
        try:
            changed = self.tokens.take_over(Tokens.load(self._path))
        except ConfigError as error:
            _LOG.warning("%s (the former %d tokens stay valid)", error, len(self.tokens))
            return False
        if changed:
            _LOG.warning("--token-file %s was read again: %d tokens", self._path, len(self.tokens))
        return changed

    async def run(self, on_change: Callable[[], None]) -> None:
        """Watch the file until cancelled; calls ``on_change`` when other tokens are accepted."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.look():
                on_change()


def _print(token: bytes) -> bytes:
    """What stands for a token; all are of one length, so that comparing does not tell it."""
    return hashlib.blake2b(token, digest_size=32).digest()


def _signature(path: Path) -> _Signature | None:
    """What changes with a file's content; None where it can't be had."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
