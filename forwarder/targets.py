"""What a forwarder is to serve: log groups by name, by pattern or by ARN. Pure.

In a pattern ``*`` stands for any characters and ``?`` for one; case matters. A log group of
another account that is linked to this one is named by its ARN.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from forwarder.errors import TargetError
from wire.limits import GROUP_PATTERN

_WILDCARD: Final = re.compile(r"[*?]")
_ARN: Final = re.compile(
    r"(arn:[a-z0-9-]+:logs:([a-z0-9-]+):(\d{12}):log-group:)([.\-_/#A-Za-z0-9*?]{1,512})(:\*)?",
    re.ASCII,
)

FILE_LINES_MAX: Final = 10_000
"""Lines of a groups file that are read."""


class GroupTarget(msgspec.Struct, frozen=True):
    """One target: a log group, or a pattern of log groups.

    Attributes:
        name: Name or pattern, without an ARN's beginning.
        region: The Region that an ARN names; empty otherwise.
        account: The account that an ARN names; empty otherwise.
        arn_head: An ARN's text before the name; empty otherwise.
    """

    name: str
    region: str = ""
    account: str = ""
    arn_head: str = ""

    def __str__(self) -> str:
        """The target as it is given, without the ``:*`` that an ARN may end in."""
        return f"{self.arn_head}{self.name}"

    @property
    def is_pattern(self) -> bool:
        """Whether it may stand for several log groups."""
        return _WILDCARD.search(self.name) is not None

    @property
    def prefix(self) -> str:
        """What every name that it stands for begins with."""
        return _WILDCARD.split(self.name, maxsplit=1)[0]

    @property
    def longest_part(self) -> str:
        """The longest text that every name that it stands for contains; may be empty."""
        return max(_WILDCARD.split(self.name), key=len)

    def matches(self, name: str) -> bool:
        """Whether it stands for a log group of its account with this name."""
        # Neither a name nor a pattern may contain [, which fnmatch knows as well.
        return fnmatchcase(name, self.name)

    def covers(self, other: GroupTarget, account: str | None) -> bool:
        """Whether this target includes a log group.

        Args:
            other: The log group; "" as its account is the forwarder's own.
            account: The forwarder's own account; None while it is unknown, when an account that is
                named may be the own one.
        """
        if not self.matches(other.name):
            return False
        own = ("", account)
        is_unknown = account is None and "" in (self.account, other.account)
        return (
            self.account == other.account
            or (self.account in own and other.account in own)
            or is_unknown
        )


def account_of(arn: str) -> str:
    """The account in the ARN of a log group; empty if the text is no such ARN."""
    parts = arn.split(":")
    return parts[4] if len(parts) > 5 else ""  # noqa: PLR2004 - arn:aws:logs:REGION:ACCOUNT:…


def parse_target(text: str) -> GroupTarget:
    """Parse a name, a pattern or an ARN.

    Raises:
        TargetError: it is none of them; the text says what to write.
    """
    found = _ARN.fullmatch(text)
    if found is not None:
        return GroupTarget(found[4], found[2], found[3], found[1])
    if text.startswith("arn:"):
        msg = (
            f"{text[:100]!a} is not the ARN of a log group: "
            "write arn:aws:logs:REGION:ACCOUNT:log-group:NAME"
        )
        raise TargetError(msg)
    if GROUP_PATTERN.fullmatch(text) is None:
        msg = (
            f"{text[:100]!a} is not the name of a log group (letters, digits and ._-/# only) "
            "nor a pattern of names (also * and ?)"
        )
        raise TargetError(msg)
    return GroupTarget(text)


class ParsedFile(msgspec.Struct, frozen=True):
    """The targets of a groups file, and a message for each line that is none."""

    targets: tuple[GroupTarget, ...]
    problems: tuple[str, ...]


def parse_file(text: str, name: str) -> ParsedFile:
    """Parse a groups file: a target a line; empty lines and ``#`` comments are ignored."""
    targets: dict[GroupTarget, None] = {}
    problems = []
    lines = text.splitlines()
    for number, line in enumerate(lines[:FILE_LINES_MAX], 1):
        written = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].strip()
        if not written:
            continue
        try:
            targets[parse_target(written)] = None
        except TargetError as error:
            problems.append(f"{name}, line {number}: {error} (this line is ignored)")
    if len(lines) > FILE_LINES_MAX:
        problems.append(f"{name}: only the first {FILE_LINES_MAX} lines are read")
    return ParsedFile(tuple(targets), tuple(problems))


def common_prefix(names: Iterable[str]) -> str:
    """The longest text that all names begin with."""
    ordered = sorted(names)
    if not ordered:
        return ""
    first, last = ordered[0], ordered[-1]
    same = 0
    while same < min(len(first), len(last)) and first[same] == last[same]:
        same += 1
    return first[:same]
