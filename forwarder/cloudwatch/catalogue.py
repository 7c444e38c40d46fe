"""What there is to read: the log groups of an account, the log streams of a group."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from forwarder.cloudwatch.reader import CloudWatch, Patience
from forwarder.errors import CloudWatchError, ScanStuckError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import (
        DescribeLogGroupsRequestTypeDef,
        DescribeLogStreamsRequestTypeDef,
    )

DESCRIBE_LIMIT: Final = 50
"""The largest page of DescribeLogGroups and DescribeLogStreams."""

_WILDCARD: Final = re.compile(r"[*?\[]")


_T = TypeVar("_T")
_Page = tuple[list[_T], str | None]
"""What a reply holds, and the token of the next."""


class GroupInfo(msgspec.Struct, frozen=True):
    """A log group, as DescribeLogGroups tells of it; fields it left out are None."""

    name: str
    created: int | None
    stored_bytes: int | None
    retention_days: int | None


class StreamInfo(msgspec.Struct, frozen=True):
    """A log stream, as DescribeLogStreams tells of it: its times lag by up to an hour."""

    name: str
    created: int | None
    first: int | None
    last: int | None


async def describe_log_groups(
    cloudwatch: CloudWatch, pattern: str | None = None, *, prefix: str | None = None
) -> list[GroupInfo]:
    """The log groups of the account, by name.

    Args:
        cloudwatch: where to ask.
        pattern: a part of the name, or a shell pattern where it has one of ``*?[``.
        prefix: how the name begins.

    Raises:
        CloudWatchError: they can't be listed.

    """
    head, matches = _name_filter(pattern, prefix)

    def ask(token: str | None, client: CloudWatchLogsClient) -> _Page[GroupInfo]:
        request: DescribeLogGroupsRequestTypeDef = {**head, "limit": DESCRIBE_LIMIT}
        if token is not None:
            request["nextToken"] = token
        answer = client.describe_log_groups(**request)
        found = [
            GroupInfo(
                one["logGroupName"],
                one.get("creationTime"),
                one.get("storedBytes"),
                one.get("retentionInDays"),
            )
            for one in answer["logGroups"]
            if matches(one["logGroupName"])
        ]
        return found, answer.get("nextToken")

    groups: list[GroupInfo] = []
    async with aclosing(_paged(cloudwatch, ask)) as pages:
        async for page in pages:
            groups += page
    return sorted(groups, key=lambda one: one.name)


async def describe_log_streams(
    cloudwatch: CloudWatch, group: str, prefix: str | None = None
) -> AsyncGenerator[list[StreamInfo], None]:
    """The log streams of a group by name, a page at a time.

    Their times lag: never choose streams by them (AWS API reference, LogStream).

    Raises:
        CloudWatchError: they can't be listed.

    """

    def ask(token: str | None, client: CloudWatchLogsClient) -> _Page[StreamInfo]:
        request: DescribeLogStreamsRequestTypeDef = {
            "logGroupName": group,
            "limit": DESCRIBE_LIMIT,
        }
        if prefix:
            request["logStreamNamePrefix"] = prefix
        if token is not None:
            request["nextToken"] = token
        answer = client.describe_log_streams(**request)
        found = [
            StreamInfo(
                one["logStreamName"],
                one.get("creationTime"),
                one.get("firstEventTimestamp"),
                one.get("lastEventTimestamp"),
            )
            for one in answer["logStreams"]
        ]
        return found, answer.get("nextToken")

    async with aclosing(_paged(cloudwatch, ask, group)) as pages:
        async for page in pages:
            yield page


async def find_stream(cloudwatch: CloudWatch, group: str, stream: str) -> StreamInfo | None:
    """A log stream by its name; None where there is none any more.

    Raises:
        CloudWatchError: nobody can tell; a log group that is gone is ``GroupNotFoundError``.

    """
    async with aclosing(describe_log_streams(cloudwatch, group, stream)) as pages:
        async for page in pages:
            for one in page:
                if one.name == stream:
                    return one
    return None


async def find_group(cloudwatch: CloudWatch, group: str) -> GroupInfo | None:
    """A log group by its name; None where there is none.

    Raises:
        CloudWatchError: nobody can tell.

    """
    found = await describe_log_groups(cloudwatch, prefix=group)
    return next((one for one in found if one.name == group), None)


async def _paged(
    cloudwatch: CloudWatch,
    ask: Callable[[str | None, CloudWatchLogsClient], _Page[_T]],
    group: str | None = None,
) -> AsyncGenerator[list[_T], None]:
    token: str | None = None
    patience = Patience(cloudwatch.random)
    while True:
        try:
            page, following = await cloudwatch.call(partial(ask, token), group=group)
        except CloudWatchError as error:
            wait_ms = patience.failed(error)
            if wait_ms is None:
                raise
            await asyncio.sleep(wait_ms / 1000)
            continue
        patience.succeeded()
        yield page
        if following is None:
            return
        if following == token:
            msg = "CloudWatch Logs gave the same page token twice; try again"
            raise ScanStuckError(msg)
        token = following


def _name_filter(
    pattern: str | None, prefix: str | None
) -> tuple[DescribeLogGroupsRequestTypeDef, Callable[[str], bool]]:
    """What DescribeLogGroups can do of a filter (it takes one of the two), and all of it."""
    begin, part = prefix or "", pattern or ""
    is_glob = _WILDCARD.search(part) is not None

    def matches(name: str) -> bool:
        return name.startswith(prefix or "") and (
            fnmatchcase(name, part) if is_glob else part in name
        )

    if is_glob:
        begin = max(begin, _WILDCARD.split(part, maxsplit=1)[0], key=len)
    if begin:
        return {"logGroupNamePrefix": begin}, matches
    return ({"logGroupNamePattern": part} if part and not is_glob else {}), matches
