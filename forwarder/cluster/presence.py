"""What each forwarder says of itself to all others, as wants of a log without entries. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import msgspec

from forwarder.errors import JournalError
from forwarder.records import FeedKey


class Presence(msgspec.Struct, frozen=True):
    """A forwarder that is alive.

    Attributes:
        role: Whether it serves or ingests.
        feeds: Feeds with a filter pattern that its viewers have asked for.
    """

    role: str
    feeds: tuple[FeedKey, ...] = ()


def encode(presence: Presence) -> bytes:
    """Encode a presence; as ASCII, since names may contain lone surrogates."""
    return json.dumps(msgspec.to_builtins(presence), separators=(",", ":")).encode()


def decode(found: Mapping[str, bytes]) -> list[Presence]:
    """Decode what all forwarders say.

    Raises:
        JournalError: It is damaged.
    """
    try:
        return [msgspec.convert(json.loads(one), Presence) for one in found.values()]
    except ValueError as error:
        msg = f"a forwarder's presence is damaged ({error}): upgrade gapless everywhere"
        raise JournalError(msg) from error


def count_ingesting(alive: Iterable[Presence]) -> int:
    """The number of forwarders among which log groups are shared; at least this one."""
    return max(1, sum(one.role == "ingest" for one in alive))


def feeds_of(alive: Iterable[Presence]) -> set[FeedKey]:
    """The feeds with a filter pattern that somebody's viewers want."""
    return {feed for one in alive for feed in one.feeds}
