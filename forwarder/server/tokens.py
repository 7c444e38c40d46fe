"""Bearer tokens: which log groups each may read, from a file that is reloaded when it changes.

The file has one token a line, optionally followed by a pattern of log group names (``*`` and ``?``
as in file names). Empty lines and lines that start with ``#`` are ignored.
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

from common.files import StableFile
from common.tokens import TokenFileError, read_private
from forwarder.errors import ConfigError
from forwarder.records import TokenVerdict

FILE_BYTES_MAX: Final = 1 << 20
TOKEN_CHARS_MIN: Final = 8
"""Shorter tokens could be guessed."""

CHECK_S: Final = 1.0
"""Interval between checks of the file; a change counts once the file stays the same this long."""

_SCHEME: Final = "bearer "
_LOG: Final = logging.getLogger("gapless.forwarder")


class TokenGrant(msgspec.Struct, frozen=True):
    """A token, and the pattern of the log groups that it may read."""

    token: str
    pattern: str = "*"

    def __repr__(self) -> str:
        """Omit the token, since representations get logged."""
        return f"TokenGrant(..., {self.pattern!r})"


class BearerTokens:
    """The tokens that are accepted."""

    def __init__(self, grants: list[TokenGrant]) -> None:
        self._grants = [(_fingerprint(one.token.encode("utf-8")), one.pattern) for one in grants]

    def __len__(self) -> int:
        return len(self._grants)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a token file.

        Raises:
            ConfigError: the file can't be read, is not private, has no token, or has an invalid
                line.
        """
        try:
            text = read_private(path, FILE_BYTES_MAX).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            msg = f"--token-file {path} can't be read ({why}): name a file with a token a line"
            raise ConfigError(msg) from error
        except TokenFileError as error:
            raise ConfigError(str(error)) from error
        lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
        grants = [
            TokenGrant(*words) for words in lines if 0 < len(words) <= len(("token", "pattern"))
        ]
        if not grants or len(grants) < sum(map(bool, lines)):
            msg = f"--token-file {path} must have one token a line, each with at most one pattern"
            raise ConfigError(msg)
        if any(len(grant.token) < TOKEN_CHARS_MIN for grant in grants):
            msg = f"--token-file {path}: a token needs at least {TOKEN_CHARS_MIN} characters"
            raise ConfigError(msg)
        if not all(grant.token.isascii() for grant in grants):
            msg = f"--token-file {path}: a token may have ASCII characters only, as in HTTP headers"
            raise ConfigError(msg)
        return cls(grants)

    def replace_by(self, other: BearerTokens) -> bool:
        """Accept the tokens of ``other`` only; returns whether that changes anything."""
        changed = other._grants != self._grants
        self._grants = other._grants
        return changed

    def check(self, authorization: str | None, group: str | None) -> TokenVerdict:
        """Judge an ``Authorization`` header for a log group; None asks for any group."""
        patterns = self._patterns(authorization)
        if not patterns:
            return "unknown"
        if group is None or any(fnmatchcase(group, one) for one in patterns):
            return "ok"
        return "denied"

    def _patterns(self, authorization: str | None) -> list[str]:
        """Patterns of the header's token; all tokens are compared, each in constant time."""
        header = authorization or ""
        if not header.lower().startswith(_SCHEME):
            return []
        given = _fingerprint(header[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass"))
        return [pattern for token, pattern in self._grants if hmac.compare_digest(given, token)]


class TokenFile:
    """A token file, and the tokens that were last loaded from it.

    Attributes:
        tokens: Updated in place when the file changes.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            ConfigError: the file can't be read, has no token, or has an invalid line.
        """
        self._path = path
        self._file = StableFile(path)
        self.tokens = BearerTokens.load(path)

    def reload(self) -> bool:
        """Load the file if it has changed; returns whether other tokens are accepted now.

        An invalid file leaves the tokens as they are, and is reported once. The file is read only
        if it was the same at two checks: one that is still being written lacks its last lines, and
        viewers closed for that would not reconnect.
        """
        if not self._file.has_changed():
            return False
        try:
            changed = self.tokens.replace_by(BearerTokens.load(self._path))
        except ConfigError as error:
            _LOG.warning("%s (the former %d tokens stay valid)", error, len(self.tokens))
            return False
        if changed:
            _LOG.warning("--token-file %s was reloaded: %d tokens", self._path, len(self.tokens))
        return changed

    async def run(self, on_change: Callable[[], None]) -> None:
        """Watch the file until cancelled; calls ``on_change`` when other tokens are accepted."""
        while True:
            await asyncio.sleep(CHECK_S)
            if self.reload():
                on_change()


def _fingerprint(token: bytes) -> bytes:
    """Hash a token; all hashes have one length, so comparing them does not reveal the token's."""
    return hashlib.blake2b(token, digest_size=32).digest()
