"""What a server needs from the owner of a log group, as it leaves it in the log. Pure."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from forwarder.errors import JournalError
from wire.query import History

HISTORY_MAX: Final = 1_000
"""Requests for history in one server's wants; those beyond it are joined to one."""


class HistoryWant(msgspec.Struct, frozen=True, order=True):
    """History that viewers ask for; as ``BackfillRequest``."""

    since: int
    history: History = "newest"
    executions: tuple[str, ...] = ()
    is_pending: bool = True


class BodiesWant(msgspec.Struct, frozen=True, order=True):
    """A range of time whose removed bodies are to be fetched again."""

    from_: int
    through: int


class Wants(msgspec.Struct, frozen=True):
    """All that one server needs of one log group."""

    position: int
    """Position that it has applied, for those who watch the lag."""
    history: tuple[HistoryWant, ...] = ()
    bodies: tuple[BodiesWant, ...] = ()


def joined(wants: set[HistoryWant]) -> tuple[HistoryWant, ...]:
    """The requests in a fixed order; those beyond the bound become one that includes them."""
    ordered = sorted(wants)
    kept, rest = ordered[: HISTORY_MAX - 1], ordered[HISTORY_MAX - 1 :]
    if len(rest) > 1:
        executions = sorted({one for want in rest for one in want.executions})
        is_pending = any(one.is_pending for one in rest)
        rest = [HistoryWant(rest[0].since, "newest", tuple(executions), is_pending)]
    return (*kept, *rest)


def encode(wants: Wants) -> bytes:
    """Encode a server's wants; as ASCII, since names may contain lone surrogates."""
    return json.dumps(msgspec.to_builtins(wants), separators=(",", ":")).encode()


def decode(data: bytes) -> Wants:
    """Decode a server's wants.

    Raises:
        JournalError: They are damaged.
    """
    try:
        return msgspec.convert(json.loads(data), Wants)
    except ValueError as error:
        msg = f"the wants of a server are damaged ({error}): upgrade gapless everywhere"
        raise JournalError(msg) from error
