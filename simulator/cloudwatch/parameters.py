"""Request parameters: checks, AWS's refusals and page contents. Pure.

Limits are those of botocore's service model; refusals use AWS's codes and words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from simulator.acceptance import EVENT_OVERHEAD_BYTES
from simulator.cloudwatch.filter_patterns import (
    FilterPatternError,
    Matches,
    compile_filter,
    parse,
)
from simulator.cloudwatch.logs import Event

GROUP_PATTERN: Final = re.compile(r"[.\-_/#A-Za-z0-9]+")
GROUP_ID_PATTERN: Final = re.compile(r"[\w#+=/:,.@-]*")
STREAM_PATTERN: Final = re.compile(r"[^:*]*")


class AwsRefusal(Exception):  # noqa: N818 - an answer to the client, not a failure
    """A refusal by CloudWatch Logs, with the code and message that boto3 shows (status 400)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> AwsRefusal:
    """Refusal with the code InvalidParameterException."""
    return AwsRefusal("InvalidParameterException", message)


def unmet(name: str, value: object, constraint: str) -> AwsRefusal:
    """Refusal with that same code, for a value that breaks a constraint of the service model."""
    return invalid(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
        f"Member must {constraint}"
    )


def malformed(message: str) -> AwsRefusal:
    """Refusal with the code SerializationException, for requests that boto3 never sends."""
    return AwsRefusal("SerializationException", message)


def not_found(what: str) -> AwsRefusal:
    """Refusal with the code ResourceNotFoundException; ``what`` is "log group" or "log stream"."""
    return AwsRefusal("ResourceNotFoundException", f"The specified {what} does not exist.")


class Text(NamedTuple):
    """Rule for a string: length, pattern or allowed values."""

    least: int = 0
    most: int | None = None
    pattern: re.Pattern[str] | None = None
    values: tuple[str, ...] = ()

    def check(self, name: str, value: object) -> None:
        """Raise AwsRefusal if the value breaks the rule."""
        if not isinstance(value, str):
            raise _mistyped(name)
        if len(value) < self.least:
            raise unmet(name, value, f"have length greater than or equal to {self.least}")
        if self.most is not None and len(value) > self.most:
            raise unmet(name, value, f"have length less than or equal to {self.most}")
        if self.pattern is not None and not self.pattern.fullmatch(value):
            rule = f"satisfy regular expression pattern: {self.pattern.pattern}"
            raise unmet(name, value, rule)
        if self.values and value not in self.values:
            raise unmet(name, value, f"satisfy enum value set: [{', '.join(self.values)}]")


class Whole(NamedTuple):
    """Rule for an integer from ``least`` to ``most``."""

    least: int
    most: int | None = None

    def check(self, name: str, value: object) -> None:
        """Raise AwsRefusal if the value breaks the rule."""
        if not isinstance(value, int) or isinstance(value, bool):
            raise _mistyped(name)
        if value < self.least:
            raise unmet(name, value, f"have value greater than or equal to {self.least}")
        if self.most is not None and value > self.most:
            raise unmet(name, value, f"have value less than or equal to {self.most}")


class Flag(NamedTuple):
    """Rule for a boolean."""

    def check(self, name: str, value: object) -> None:
        """Raise AwsRefusal if the value breaks the rule."""
        if not isinstance(value, bool):
            raise _mistyped(name)


class Several(NamedTuple):
    """Rule for a list: length, and ``each`` for its members (None: checked by the caller)."""

    each: Text | None
    least: int
    most: int

    def check(self, name: str, value: object) -> None:
        """Raise AwsRefusal if the value breaks the rule."""
        if not isinstance(value, list):
            raise _mistyped(name)
        shown = f"[{len(value)} members]"
        if len(value) < self.least:
            raise unmet(name, shown, f"have length greater than or equal to {self.least}")
        if len(value) > self.most:
            raise unmet(name, shown, f"have length less than or equal to {self.most}")
        if self.each is not None:
            for number, one in enumerate(value, 1):
                self.each.check(f"{name}.{number}.member", one)


Rule = Text | Whole | Flag | Several

GROUP: Final = Text(1, 512, GROUP_PATTERN)
STREAM: Final = Text(1, 512, STREAM_PATTERN)
_SOURCE: Final[dict[str, Rule]] = {
    "logGroupName": GROUP,
    "logGroupIdentifier": Text(1, 2048, GROUP_ID_PATTERN),
}
_READ: Final[dict[str, Rule]] = {
    **_SOURCE,
    "startTime": Whole(0),
    "endTime": Whole(0),
    "nextToken": Text(1),
    "limit": Whole(1, 10_000),
    "startFromHead": Flag(),
    "unmask": Flag(),
}

RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "FilterLogEvents": {
        **_READ,
        "logStreamNames": Several(STREAM, 1, 100),
        "logStreamNamePrefix": STREAM,
        "filterPattern": Text(0, 1024),
        "interleaved": Flag(),
    },
    "GetLogEvents": {**_READ, "logStreamName": STREAM},
    "PutLogEvents": {
        "logGroupName": GROUP,
        "logStreamName": STREAM,
        "logEvents": Several(None, 1, 10_000),
        "sequenceToken": Text(1),
    },
    "DescribeLogStreams": {
        **_SOURCE,
        "logStreamNamePrefix": STREAM,
        "orderBy": Text(values=("LogStreamName", "LastEventTime")),
        "descending": Flag(),
        "nextToken": Text(1),
        "limit": Whole(1, 50),
    },
    "DescribeLogGroups": {
        "logGroupNamePrefix": GROUP,
        "logGroupNamePattern": Text(0, 512, re.compile(r"[.\-_/#A-Za-z0-9]*")),
        "accountIdentifiers": Several(Text(12, 12, re.compile(r"\d{12}")), 0, 20),
        "includeLinkedAccounts": Flag(),
        "nextToken": Text(1),
        "limit": Whole(1, 50),
    },
    "PutSubscriptionFilter": {
        "logGroupName": GROUP,
        "filterName": STREAM,
        "filterPattern": Text(0, 1024),
        "destinationArn": Text(1),
        "roleArn": Text(1),
        "distribution": Text(values=("Random", "ByLogStream")),
    },
    "DescribeSubscriptionFilters": {
        "logGroupName": GROUP,
        "filterNamePrefix": STREAM,
        "nextToken": Text(1),
        "limit": Whole(1, 50),
    },
}

_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "FilterLogEvents": (),
    "GetLogEvents": ("logStreamName",),
    "PutLogEvents": ("logGroupName", "logStreamName", "logEvents"),
    "DescribeLogStreams": (),
    "DescribeLogGroups": (),
    "PutSubscriptionFilter": ("logGroupName", "filterName", "filterPattern", "destinationArn"),
    "DescribeSubscriptionFilters": ("logGroupName",),
}


def check(action: str, parameters: Mapping[str, Any]) -> None:
    """Check the parameters of an AWS call, each by its rule; null counts as absent.

    Raises:
        AwsRefusal: A parameter breaks its rule.
    """
    for name in _REQUIRED[action]:
        if parameters.get(name) is None:
            raise unmet(name, "null", "not be null")
    rules = RULES[action]
    for name, value in parameters.items():
        if value is not None and (rule := rules.get(name)) is not None:
            rule.check(name, value)


def group_of(parameters: Mapping[str, Any]) -> tuple[str, str]:
    """Name and account of the log group, given by name, identifier or ARN.

    The account is empty if it is our own, or not named.

    Raises:
        AwsRefusal: Neither or both are given.
    """
    name, identifier = parameters.get("logGroupName"), parameters.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        msg = "Exactly one of logGroupName and logGroupIdentifier must be given."
        raise invalid(msg)
    found = str(identifier if name is None else name)
    if name is None and found.startswith("arn:"):
        head, _, rest = found.partition(":log-group:")
        return rest.removesuffix(":*"), head.rpartition(":")[2]
    return found, ""


def _mistyped(name: str) -> AwsRefusal:
    return malformed(f"{name} has the wrong type")


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Matches | None:
    """Compile a filter pattern; None for the empty pattern, which every message matches.

    Raises:
        AwsRefusal: AWS would refuse the pattern.
    """
    try:
        parsed = parse(pattern)
    except FilterPatternError as error:
        msg = f"Invalid filter pattern: {error}"
        raise invalid(msg) from error
    return None if parsed is None else compile_filter(parsed)


PAGE_BYTES_MAX: Final = 1_048_576
"""AWS says "up to 1 MB of log events"; counted as PutLogEvents counts a batch."""

EXAMINED_MAX: Final = 20_000
"""Non-matching events after which a page ends, which may therefore be short or empty."""


class Page(NamedTuple):
    """One page of events; ``position`` is the key of the last event examined, None without one."""

    events: list[Event]
    position: int | None
    may_be_more: bool


def message_bytes(message: str) -> int:
    """Length of a message in UTF-8; a lone surrogate counts as 3."""
    if message.isascii():
        return len(message)
    return len(message.encode("utf-8", "surrogatepass"))


def collect(
    events: Iterable[Event], events_max: int, shows: Callable[[Event], bool] | None = None
) -> Page:
    """The first page of at most ``events_max`` events that ``shows`` accepts."""
    taken: list[Event] = []
    position: int | None = None
    room = PAGE_BYTES_MAX
    skipped = 0
    for event in events:
        if len(taken) >= events_max or skipped >= EXAMINED_MAX:
            return Page(taken, position, may_be_more=True)
        if shows is not None and not shows(event):
            skipped += 1
            position = event[0]
            continue
        size = message_bytes(event[3]) + EVENT_OVERHEAD_BYTES
        # One event alone may be larger than a page; it must still be readable.
        if size > room and taken:
            return Page(taken, position, may_be_more=True)
        room -= size
        taken.append(event)
        position = event[0]
    return Page(taken, position, may_be_more=False)
