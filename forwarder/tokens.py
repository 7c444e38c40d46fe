"""Bearer tokens: who may read which log groups. Pure but for reading the file once.

The file has one token a line, optionally followed by a pattern of log group names (``*`` and
``?`` as in file names); empty lines and those that begin with ``#`` are left out.
"""

from __future__ import annotations

import hmac
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal, Self

import msgspec

from forwarder.errors import ConfigError

Verdict = Literal["ok", "unknown", "denied"]
"""The token covers it; there is none, or an unknown one (401); it does not cover it (403)."""

FILE_BYTES_MAX: Final = 1 << 20
TOKEN_CHARS_MIN: Final = 8
"""Shorter ones can be guessed."""

_SCHEME: Final = "bearer "


class Grant(msgspec.Struct, frozen=True):
    """A token and the log groups that it covers."""

    token: str
    pattern: str = "*"


class Tokens:
    """The tokens that are accepted."""

    def __init__(self, grants: list[Grant]) -> None:
        """Accept these."""
        self._grants = grants

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
        return cls(grants)

    def check(self, authorization: str | None, group: str | None) -> Verdict:
        """Whether an ``Authorization`` header covers a log group (None: any will do)."""
        granted = self._granted(authorization)
        if not granted:
            return "unknown"
        if group is None or any(fnmatchcase(group, one.pattern) for one in granted):
            return "ok"
        return "denied"

    def _granted(self, authorization: str | None) -> list[Grant]:
        """The grants of the token; every one is compared, in constant time."""
        header = authorization or ""
        if not header.lower().startswith(_SCHEME):
            return []
        given = header[len(_SCHEME) :].strip().encode("utf-8", "surrogatepass")
        return [
            grant
            for grant in self._grants
            if hmac.compare_digest(given, grant.token.encode("utf-8"))
        ]
