"""Finds the log groups that TARGETs stand for, and their log streams, in AWS. A shell."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from common.errors import CannotConnectError
from common.signals import run_until_signal
from gapless.aws import AwsChoice, account_of, prepare_credentials, read_each, region_of
from gapless.targets.grammar import (
    ForwarderTarget,
    GroupTarget,
    PatternTarget,
    SourcedTarget,
    Target,
    resolve_targets,
)
from gapless.terminal import say

if TYPE_CHECKING:
    from forwarder.cloudwatch.catalogue import GroupInfo, StreamInfo
    from forwarder.cloudwatch.reader import CloudWatch

_Found = TypeVar("_Found")


class FoundGroup(msgspec.Struct, frozen=True):
    """A log group that a TARGET stands for.

    Attributes:
        group: Its name.
        identifier: Its name, or its ARN if it belongs to a linked account.
        choice: Account and Region to read it with.
        label: Distinguishes it from others of the same name; empty where there is one account and
            Region.
        streams: The only log streams to watch; empty for all.
    """

    group: str
    identifier: str
    choice: AwsChoice
    label: str
    streams: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the screen calls it."""
        return f"{self.label}:{self.group}" if self.label else self.group

    @property
    def place(self) -> dict[str, Any]:
        """Where the group is, as fields of a JSON object."""
        region = region_of(self.choice, os.environ)
        return {"log_group": self.group, "region": region, "profile": self.choice.profile}


class GroupStreams(msgspec.Struct, frozen=True):
    """A log group with its log streams."""

    found: FoundGroup
    streams: list[StreamInfo]


def sources_of(targets: Sequence[Target], choices: Sequence[AwsChoice]) -> list[SourcedTarget]:
    """Return each target in each account and Region, without repetitions."""
    known = [(account_of(one, os.environ), one) for one in reversed(choices)]
    accounts = {account: one for account, one in known if account is not None}
    return resolve_targets(targets, choices, accounts)


def find_groups(targets: Sequence[Target], choices: Sequence[AwsChoice]) -> list[FoundGroup]:
    """Return the log groups that targets stand for; a name is not looked up.

    Raises:
        ForwarderError: AWS cannot be read.
        CannotConnectError: A pattern or ARN matches no log group.
    """
    return _read_each(targets, choices, _find)


def read_streams(
    targets: Sequence[Target], choices: Sequence[AwsChoice], prefix: str | None = None
) -> list[GroupStreams]:
    """Return the log streams of every log group that a target stands for.

    Raises:
        ForwarderError: AWS cannot be read.
        CannotConnectError: A pattern or ARN matches no log group.
    """

    async def read(cloudwatch: CloudWatch, source: SourcedTarget) -> list[GroupStreams]:
        from forwarder.cloudwatch.catalogue import (  # noqa: PLC0415 - slow to import
            describe_log_streams,
        )

        found = []
        for one in await _find(cloudwatch, source):
            pages = describe_log_streams(cloudwatch, one.identifier, prefix)
            async with contextlib.aclosing(pages):
                streams = [stream async for page in pages for stream in page]
            found.append(GroupStreams(one, streams))
        return found

    return _read_each(targets, choices, read)


def _read_each(
    targets: Sequence[Target],
    choices: Sequence[AwsChoice],
    read: Callable[[CloudWatch, SourcedTarget], Awaitable[list[_Found]]],
) -> list[_Found]:
    """Call ``read`` with each target in each account and Region; all accounts at once.

    A target that matches in some of them only is no error; a message says where it does not.
    """
    by_choice: dict[AwsChoice, list[SourcedTarget]] = {}
    for source in sources_of(targets, choices):
        if source.choice is not None:
            by_choice.setdefault(source.choice, []).append(source)

    async def read_all(
        cloudwatch: CloudWatch, choice: AwsChoice
    ) -> list[tuple[Target, list[_Found], str]]:
        return [await read_one(cloudwatch, one) for one in by_choice[choice]]

    async def read_one(
        cloudwatch: CloudWatch, source: SourcedTarget
    ) -> tuple[Target, list[_Found], str]:
        from forwarder.cloudwatch.missing import explain_no_match  # noqa: PLC0415 - slow to import

        assert not isinstance(source.target, ForwarderTarget), "forwarders are asked elsewhere"
        if matches := await read(cloudwatch, source):
            return source.target, matches, ""
        return source.target, [], await explain_no_match(cloudwatch, source.target.identifier)

    for choice in by_choice:
        prepare_credentials(choice)
    answers = run_until_signal(read_each(list(by_choice), read_all))
    found = [one for answer in answers for one in answer]
    matched = {target for target, matches, _ in found if matches}
    missing = [why for target, _, why in found if target not in matched]
    if missing:
        raise CannotConnectError("; ".join(missing))
    for why in (why for _, matches, why in found if not matches):
        say(why)
    return [one for _, matches, _ in found for one in matches]


async def _find(cloudwatch: CloudWatch, source: SourcedTarget) -> list[FoundGroup]:
    target, choice = source.target, source.choice
    assert choice is not None, "forwarders are asked elsewhere"
    assert not isinstance(target, ForwarderTarget), "likewise"
    if isinstance(target, GroupTarget) and target.arn is None and not source.label:
        return [FoundGroup(target.name, target.name, choice, "", source.streams)]
    return [
        FoundGroup(
            one.name,
            one.arn if is_linked else one.name,
            choice,
            source.label or (target.account or "" if is_linked else ""),
            source.streams,
        )
        for one, is_linked in await look_up(cloudwatch, target)
    ]


async def look_up(
    cloudwatch: CloudWatch, target: GroupTarget | PatternTarget
) -> list[tuple[GroupInfo, bool]]:
    """Return the log groups of a target, and whether each belongs to a linked account.

    Raises:
        ForwarderError: They can't be listed.
    """
    from forwarder.cloudwatch.catalogue import describe_log_groups  # noqa: PLC0415 - slow to import

    async def list_groups(account: str | None) -> list[GroupInfo]:
        if isinstance(target, PatternTarget):
            return await describe_log_groups(cloudwatch, target.name, account=account)
        listed = await describe_log_groups(cloudwatch, prefix=target.name, account=account)
        return [one for one in listed if one.name == target.name]

    head = "" if target.arn is None else target.arn.partition(":log-group:")[0]
    # moto and some endpoints give no ARN: such a group can only be one of their own.
    own = [one for one in await list_groups(None) if one.arn.startswith(head) or not one.arn]
    if own or target.arn is None:
        return [(one, False) for one in own]
    linked = await list_groups(target.account)
    return [(one, True) for one in linked if one.arn.startswith(head)]
