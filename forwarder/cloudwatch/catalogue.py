"""Lists the log groups of an account and the log streams of a log group."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch, RetryPolicy, is_arn
from forwarder.errors import CloudWatchError, ScanStuckError
from forwarder.targets import common_prefix

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import (
        DescribeLogGroupsRequestTypeDef,
        DescribeLogStreamsRequestTypeDef,
    )

DESCRIBE_LIMIT: Final = 50
"""Largest page of DescribeLogGroups and DescribeLogStreams."""

LOOKED_UP_ALONE_MAX: Final = 2
"""Most log groups that are looked up with a call each; more are listed together."""

_WILDCARD: Final = re.compile(r"[*?\[]")


_T = TypeVar("_T")
_Page = tuple[list[_T], str | None]
"""A reply's entries, and the token of the next page."""


class GroupInfo(msgspec.Struct, frozen=True):
    """A log group as DescribeLogGroups describes it; missing fields are None."""

    name: str
    created: int | None
    stored_bytes: int | None
    retention_days: int | None
    arn: str = ""
    """Without the ``:*`` that AWS appends to it."""


class StreamInfo(msgspec.Struct, frozen=True):
    """A log stream as DescribeLogStreams describes it; its times lag by up to an hour."""

    name: str
    created: int | None
    first: int | None
    last: int | None
    stored_bytes: int | None = None
    """Its size; AWS gives none for streams written to since June 2019."""


async def describe_log_groups(
    cloudwatch: CloudWatch,
    pattern: str | None = None,
    *,
    prefix: str | None = None,
    account: str | None = None,
    pages_max: int | None = None,
    on_page: Callable[[], None] = lambda: None,
) -> list[GroupInfo]:
    """List the log groups of an account, sorted by name.

    Args:
        cloudwatch: the account to list.
        pattern: a part of the name, or a shell pattern if it contains one of ``*?[``.
        prefix: the start of the name.
        account: a linked account to list instead (CloudWatch cross-account observability).
        pages_max: list only this many pages of 50; None: all.
        on_page: called for each page, which is a call.

    Raises:
        CloudWatchError: they can't be listed.
    """
    head, matches = _name_filter(pattern, prefix)
    if account is not None:
        head = {**head, "includeLinkedAccounts": True, "accountIdentifiers": [account]}

    def ask(token: str | None, client: CloudWatchLogsClient) -> _Page[GroupInfo]:
        request: DescribeLogGroupsRequestTypeDef = {**head, "limit": DESCRIBE_LIMIT}
        if token is not None:
            request["nextToken"] = token
        answer = client.describe_log_groups(**request)
        for one in [] if account is not None else answer["logGroups"][:1]:
            cloudwatch.note_account(one.get("arn", ""))
        found = [
            GroupInfo(
                one["logGroupName"],
                one.get("creationTime"),
                one.get("storedBytes"),
                one.get("retentionInDays"),
                (one.get("logGroupArn") or one.get("arn") or "").removesuffix(":*"),
            )
            for one in answer["logGroups"]
            if matches(one["logGroupName"])
        ]
        return found, answer.get("nextToken")

    groups: list[GroupInfo] = []
    # Before the lookups of single log groups: one call answers for many, and viewers wait for it.
    async with aclosing(_paged(cloudwatch, ask, priority=Priority.POLL)) as pages:
        count = 0
        async for page in pages:
            groups += page
            on_page()
            count += 1
            if count == pages_max:
                break
    return sorted(groups, key=lambda one: one.name)


async def describe_log_streams(
    cloudwatch: CloudWatch, group: str, prefix: str | None = None
) -> AsyncGenerator[list[StreamInfo], None]:
    """List the log streams of a log group, given by name or ARN, by name, a page at a time.

    Never choose streams by their times, which lag (AWS API reference, LogStream).

    Raises:
        CloudWatchError: they can't be listed.
    """

    def ask(token: str | None, client: CloudWatchLogsClient) -> _Page[StreamInfo]:
        request: DescribeLogStreamsRequestTypeDef = {"limit": DESCRIBE_LIMIT}
        if is_arn(group):
            request["logGroupIdentifier"] = group
        else:
            request["logGroupName"] = group
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
                one.get("storedBytes") or None,
            )
            for one in answer["logStreams"]
        ]
        return found, answer.get("nextToken")

    async with aclosing(_paged(cloudwatch, ask, group)) as pages:
        async for page in pages:
            yield page


async def last_event_ms(cloudwatch: CloudWatch, group: str) -> int | None:
    """Read the time of a log group's last event, ms; AWS updates it within an hour.

    Returns:
        The time; None without events.

    Raises:
        CloudWatchError: it can't be read.
    """

    def ask(_token: str | None, client: CloudWatchLogsClient) -> _Page[int | None]:
        answer = client.describe_log_streams(
            logGroupName=group, orderBy="LastEventTime", descending=True, limit=1
        )
        return [one.get("lastEventTimestamp") for one in answer["logStreams"]], None

    async with aclosing(_paged(cloudwatch, ask, group)) as pages:
        async for page in pages:
            return page[0] if page else None
    return None


async def find_stream(cloudwatch: CloudWatch, group: str, stream: str) -> StreamInfo | None:
    """Look up a log stream by name; None if it does not exist.

    Raises:
        CloudWatchError: the lookup failed; ``GroupNotFoundError``: there is no such log group.
    """
    async with aclosing(describe_log_streams(cloudwatch, group, stream)) as pages:
        async for page in pages:
            for one in page:
                if one.name == stream:
                    return one
    return None


async def find_group(cloudwatch: CloudWatch, group: str) -> GroupInfo | None:
    """Look up a log group by name, or by the ARN of a linked account's; None without one.

    Raises:
        CloudWatchError: the lookup failed.
    """
    if is_arn(group):
        name, account = group.split(":", 6)[6], group.split(":")[4]
        found = await describe_log_groups(cloudwatch, prefix=name, account=account)
        return next((one for one in found if one.arn == group), None)
    return await cloudwatch.group_lookups.ask(group, partial(_find_groups, cloudwatch))


async def _find_groups(cloudwatch: CloudWatch, names: Collection[str]) -> dict[str, GroupInfo]:
    """Look up log groups by name: many with a listing of what begins as they all do."""
    pages = 0

    def count_page() -> None:
        nonlocal pages
        pages += 1

    alone, found = set(names), dict[str, GroupInfo]()
    if len(alone) > LOOKED_UP_ALONE_MAX:
        most = len(alone)  # more pages would cost more calls than asking for each
        prefix = common_prefix(alone) or None
        listed = await describe_log_groups(
            cloudwatch, prefix=prefix, pages_max=most, on_page=count_page
        )
        found = {one.name: one for one in listed if one.name in alone}
        alone = alone - found.keys() if pages == most else set()
    for name in sorted(alone):
        listed = await describe_log_groups(cloudwatch, prefix=name)
        found |= {one.name: one for one in listed if one.name == name}
    return found


async def _paged(
    cloudwatch: CloudWatch,
    ask: Callable[[str | None, CloudWatchLogsClient], _Page[_T]],
    group: str | None = None,
    priority: Priority = Priority.SCAN,
) -> AsyncGenerator[list[_T], None]:
    token: str | None = None
    retries = RetryPolicy(cloudwatch.random)
    while True:
        try:
            call = partial(ask, token)
            page, following = await cloudwatch.call(call, group=group, priority=priority)
        except CloudWatchError as error:
            wait_ms = retries.count_failure(error)
            if wait_ms is None:
                raise
            await asyncio.sleep(wait_ms / 1000)
            continue
        retries.reset()
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
    """The part of a filter that DescribeLogGroups can apply (prefix or pattern), and the whole."""
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
