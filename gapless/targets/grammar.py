"""The grammar of TARGET arguments, and the log groups of accounts and Regions they stand for. Pure.

A TARGET is the URL of a forwarder, the name of a log group, a pattern of names, or the ARN of a log
group or log stream. Names and patterns are looked up in every account and Region of the command
line; an ARN names its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from gapless.aws import AwsChoice
from wire.limits import GROUP_NAME, GROUP_PATTERN, NAME_CHARS_MAX

TAIL_PATH: Final = "/v1/tail"
_SCHEMES: Final = {"ws": "http", "wss": "https"}

_STREAM: Final = re.compile(rf"[^:*]{{1,{NAME_CHARS_MAX}}}")
"""Names of log streams (CreateLogStream)."""
_ARN: Final = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):logs:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):"
    r"log-group:(?P<group>[^:]+)(?::log-stream:(?P<stream>.+?)|:\*)?",
    re.ASCII,
)
_ARN_EXAMPLE: Final = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/orders"


class TargetError(ValueError):
    """The text is no TARGET; the message says what to write."""


class ForwarderTarget(msgspec.Struct, frozen=True):
    """A running forwarder; ``url`` is ``ws://`` or ``wss://`` with its path."""

    url: str

    @property
    def http_url(self) -> str:
        """Scheme, host and port of the forwarder's HTTP side, without a path."""
        parts = urlsplit(self.url)
        return f"{_SCHEMES[parts.scheme]}://{parts.netloc}"


class _NamedTarget(msgspec.Struct, frozen=True):
    """What a name and an ARN have in common.

    Attributes:
        name: The name or pattern.
        arn: The ARN that ends with it, if one was given.
    """

    name: str
    arn: str | None = None

    @property
    def region(self) -> str | None:
        """The Region of the ARN; None for a name, which is looked up in every Region."""
        return None if self.arn is None else self.arn.split(":")[3]

    @property
    def account(self) -> str | None:
        """The account of the ARN; None for a name."""
        return None if self.arn is None else self.arn.split(":")[4]

    @property
    def identifier(self) -> str:
        """The name, or the ARN where one was given: what ``logGroupIdentifier`` takes."""
        return self.name if self.arn is None else self.arn


class GroupTarget(_NamedTarget, frozen=True):
    """A log group.

    Attributes:
        stream: The only log stream to watch, if the ARN is that of one.
    """

    stream: str | None = None


class PatternTarget(_NamedTarget, frozen=True):
    """Every log group whose whole name matches: ``*`` is any text, ``?`` one letter."""


Target = ForwarderTarget | GroupTarget | PatternTarget


def parse_target(text: str) -> Target:
    """Parse a TARGET argument.

    Raises:
        TargetError: It is a URL of another kind, another ARN, or no possible name or pattern.
    """
    if text.startswith("arn:"):
        return _parse_arn(text)
    if "://" in text:
        return _parse_url(text)
    if GROUP_NAME.fullmatch(text) is not None:
        return GroupTarget(text)
    if GROUP_PATTERN.fullmatch(text) is not None:
        return PatternTarget(text)
    msg = (
        f"{text[:80]!r} is neither the URL of a forwarder (ws://HOST:PORT{TAIL_PATH}) nor a "
        "possible name, pattern or ARN of a log group (letters, digits, and . - _ / # * ?)"
    )
    raise TargetError(msg)


def describe_target(target: Target) -> str:
    """Return a target as it was written, for messages."""
    return target.url if isinstance(target, ForwarderTarget) else repr(target.identifier)


def _parse_url(text: str) -> ForwarderTarget:
    example = f"ws://127.0.0.1:8765{TAIL_PATH}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        msg = f"{text[:80]!r} is not a URL ({error}): write it like {example}"
        raise TargetError(msg) from error
    if parts.scheme not in _SCHEMES:
        msg = f"{text[:80]!r} begins with {parts.scheme}://: a forwarder's URL is like {example}"
        raise TargetError(msg)
    if not parts.hostname or port == 0 or parts.fragment or parts.username is not None:
        msg = f"{text[:80]!r} does not name a host and port: write it like {example}"
        raise TargetError(msg)
    path = TAIL_PATH if parts.path in ("", "/") else parts.path
    return ForwarderTarget(urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


def _parse_arn(text: str) -> GroupTarget | PatternTarget:
    found = _ARN.fullmatch(text)
    if found is None:
        msg = f"{text[:120]!r} is not the ARN of a log group or log stream, like {_ARN_EXAMPLE}"
        raise TargetError(msg)
    group, stream = found["group"], found["stream"]
    head = f"arn:{found['partition']}:logs:{found['region']}:{found['account']}"
    arn = f"{head}:log-group:{group}"
    if GROUP_PATTERN.fullmatch(group) is None:
        msg = f"{group[:80]!r} in the ARN is no possible name of a log group: give its whole name"
        raise TargetError(msg)
    if GROUP_NAME.fullmatch(group) is None:
        if stream not in (None, "*"):
            msg = f"{text[:120]!r} names a log stream of a pattern: give it with --stream instead"
            raise TargetError(msg)
        return PatternTarget(group, arn)
    # The console copies the ARN of a whole group's streams with a star in place of the name.
    if stream == "*":
        stream = None
    if stream is not None and _STREAM.fullmatch(stream) is None:
        msg = f"{stream[:80]!r} in the ARN is no possible name of a log stream"
        raise TargetError(msg)
    return GroupTarget(group, arn, stream)


class SourcedTarget(msgspec.Struct, frozen=True):
    """What to watch through one forwarder; hashable, so that a target given twice counts once.

    Attributes:
        target: The forwarder, log group or pattern.
        choice: Account and Region in which it is looked up; None for a forwarder.
        label: Names the account and Region where there are several; else empty.
        streams: The only log streams to watch; empty for all.
    """

    target: Target
    choice: AwsChoice | None = None
    label: str = ""
    streams: tuple[str, ...] = ()

    def name_of(self, group: str) -> str:
        """Return what the screen calls a log group of this source."""
        return f"{self.label}:{group}" if self.label else group


def resolve_targets(
    targets: Iterable[Target],
    choices: Sequence[AwsChoice],
    accounts: Mapping[str, AwsChoice] | None = None,
) -> list[SourcedTarget]:
    """Return each target in each account and Region, without repetitions, in the order given.

    Args:
        targets: The arguments.
        choices: Every combination of the profiles and Regions of the command line.
        accounts: Which of them belongs to which account, as far as that is known; others read
            an ARN through the first.
    """
    labels = label_choices(choices)
    found: dict[tuple[Target, AwsChoice | None], SourcedTarget] = {}
    for target in targets:
        for choice, label in _places_of(target, choices, labels, accounts or {}):
            streams: tuple[str, ...] = ()
            if isinstance(target, GroupTarget) and target.stream is not None:
                streams = (target.stream,)
            whole = msgspec.structs.replace(target, stream=None) if streams else target
            known = found.get((whole, choice))
            if known is not None:
                # Streams of one group are watched together; the whole group has them all.
                both = known.streams and streams and (*known.streams, *streams)
                streams = tuple(dict.fromkeys(both or ()))
            found[whole, choice] = SourcedTarget(whole, choice, label, streams)
    return list(found.values())


def _places_of(
    target: Target,
    choices: Sequence[AwsChoice],
    labels: Mapping[AwsChoice, str],
    accounts: Mapping[str, AwsChoice],
) -> list[tuple[AwsChoice | None, str]]:
    if isinstance(target, ForwarderTarget):
        return [(None, "")]
    if target.arn is None:
        return [(choice, labels[choice]) for choice in dict.fromkeys(choices)]
    own = accounts.get(target.account or "", choices[0])
    place = msgspec.structs.replace(own, region=target.region)
    label = target.region if len({one.region for one in choices}) > 1 else ""
    return [(place, labels.get(place, label or ""))]


def label_choices(choices: Sequence[AwsChoice]) -> dict[AwsChoice, str]:
    """Return labels that distinguish the accounts and Regions: profile, Region, both, or none."""
    profiles = {one.profile for one in choices}
    regions = {one.region for one in choices}
    return {
        one: "/".join(
            part
            for part, several in ((one.profile, profiles), (one.region, regions))
            if part and len(several) > 1
        )
        for one in choices
    }


def split_label(text: str, choices: Sequence[AwsChoice]) -> tuple[str, tuple[AwsChoice, ...]]:
    """Split the name on screen into what a TARGET may be, and where it is to be looked up."""
    if "://" not in text and not text.startswith("arn:"):
        for choice, label in label_choices(choices).items():
            if label and text.startswith(f"{label}:"):
                return text.removeprefix(f"{label}:"), (choice,)
    return text, tuple(choices)
