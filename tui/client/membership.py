"""Which log groups a pattern stands for while a viewer runs: groups that join, and that leave.

``Membership`` decides and is pure; ``ForwarderGroups`` lists the groups through a forwarder.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlencode

import msgspec

from common.http import HttpFailure
from tui.client.connection import Address, HttpGetter, TokenSource
from tui.client.target import TargetSpec
from wire.codec import decode_body
from wire.errors import WireError
from wire.messages import HttpError
from wire.record import TARGETS_MAX

LIST_S: Final = 3
"""Interval between listings."""

LISTING_AGE_MS: Final = 3_000
"""How old a listing may be when the forwarder answers with it, as viewers share it."""

ABSENCES_MAX: Final = 2
"""Listings in a row without a group after which it counts as deleted: one may be out of date."""


class ListingError(Exception):
    """The log groups can't be listed now; the text is the reason in one line."""


class ListedGroup(msgspec.Struct, frozen=True):
    """A log group that matches; the forwarder's answer has further fields."""

    name: str
    group: str
    """The parameter ``group`` for it."""
    arn: str | None = None


class GroupSource(Protocol):
    """The log groups that match patterns in one account and Region."""

    @property
    def name(self) -> str:
        """The patterns, for messages."""

    @property
    def url(self) -> str:
        """The URL of its forwarder, which the targets' ``spec`` has as well."""

    @property
    def known(self) -> Collection[str]:
        """The groups that are watched from the start, as ``ListedGroup.group``."""

    async def list_groups(self) -> list[ListedGroup]:
        """List the groups that match at present.

        Raises:
            ListingError: They can't be listed now.
        """

    def spec_of(self, listed: ListedGroup) -> TargetSpec:
        """Return the target of a group that has joined.

        Raises:
            GaplessError: It can't be watched; the text says why.
        """


class Changes(msgspec.Struct, frozen=True):
    """How a listing differs from the one before."""

    joined: tuple[ListedGroup, ...] = ()
    left: tuple[str, ...] = ()


class Membership:
    """The groups of one source, by its listings. Pure.

    Args:
        known: The groups that are watched from the start.

    Attributes:
        listed_ms: The time of which the last listing is true; None before the first.
        problem: Why the groups can't be listed now; empty if they can.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self.listed_ms: int | None = None
        self.problem = ""
        self._absences = dict.fromkeys(known, 0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no group at present."""
        return not self._absences

    def take(self, listed: Sequence[ListedGroup], began_ms: int) -> Changes:
        """Take a listing that was requested at a time; return what is different."""
        self.problem = ""
        self.listed_ms = max(began_ms - LISTING_AGE_MS, self.listed_ms or 0)
        present = {one.group: one for one in listed}
        joined = tuple(one for group, one in present.items() if group not in self._absences)
        left = []
        for group in list(self._absences):
            self._absences[group] = 0 if group in present else self._absences[group] + 1
            if self._absences[group] >= ABSENCES_MAX:
                del self._absences[group]
                left.append(group)
        self._absences |= dict.fromkeys((one.group for one in joined), 0)
        return Changes(joined, tuple(left))


def not_watched(names: Sequence[str]) -> str:
    """Return a message about log groups for which a viewer has no room, with the remedy."""
    what = f"log group {names[0]} is" if len(names) == 1 else f"{len(names)} log groups are"
    rest = "" if len(names) == 1 else f" ({names[0]} … {names[-1]})"
    return (
        f"{what} not watched{rest}: a viewer watches at most {TARGETS_MAX} log groups; "
        "narrow the pattern, or watch the others in another viewer"
    )


class ForwarderGroups:
    """The log groups that match patterns, listed through a forwarder; implements ``GroupSource``.

    Args:
        url: The forwarder's WebSocket URL.
        token: The token that it requires.
        name: What messages call the patterns, with their Region where there are several.
        patterns: Names or patterns.
        known: The groups that are watched from the start.
        make_spec: Returns the target of a group that has joined.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource,
        name: str,
        patterns: Sequence[str],
        known: Collection[str],
        make_spec: Callable[[ListedGroup], TargetSpec],
    ) -> None:
        self.known = known
        self.url = url
        self.name = name
        self._getter = HttpGetter(Address(url, token))
        self._path = f"/v1/groups?{urlencode([('match', one) for one in patterns])}"
        self._make_spec = make_spec

    async def list_groups(self) -> list[ListedGroup]:
        """List the groups that match at present.

        Raises:
            ListingError: They can't be listed now.
        """
        try:
            status, body = await self._getter.get(self._path)
            if status != HTTPStatus.OK:
                raise ListingError(decode_body(body, HttpError).error)
            return decode_body(body, list[ListedGroup])
        except (HttpFailure, WireError) as error:
            raise ListingError(str(error)) from error

    def spec_of(self, listed: ListedGroup) -> TargetSpec:
        """Return the target of a group that has joined."""
        return self._make_spec(listed)
