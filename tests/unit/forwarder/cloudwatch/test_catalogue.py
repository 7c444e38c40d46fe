"""Listing log groups and log streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from forwarder.cloudwatch.catalogue import (
    GroupInfo,
    StreamInfo,
    describe_log_groups,
    describe_log_streams,
    find_group,
    find_stream,
    last_event_ms,
)
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions
from forwarder.errors import AccessDeniedError, GroupNotFoundError, ScanStuckError
from tests.support.forwarder.scripted_cloudwatch import (
    Reply,
    ScriptedCloudWatch,
    refusal,
)
from tests.support.processes.moto_server import RawMoto, raw_moto

pytestmark = pytest.mark.usefixtures("credentials")


def groups(*names: str, token: str | None = None) -> Reply:
    reply: dict[str, Any] = {"logGroups": [{"logGroupName": name} for name in names]}
    return Reply(body=json.dumps({**reply, "nextToken": token}).encode())


def names(found: list[GroupInfo]) -> list[str]:
    return [one.name for one in found]


async def test_pages_are_joined_and_errors_that_pass_are_waited_out(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(groups("b", token="t"), refusal("ThrottlingException"), groups("a"))
    assert names(await describe_log_groups(cloudwatch)) == ["a", "b"]
    assert [asked.get("nextToken") for asked in scripted.asked] == [None, "t", "t"]
    assert scripted.asked[0]["limit"] == 50


@pytest.mark.parametrize(
    ("pattern", "prefix", "asked", "found"),
    [
        (None, None, {}, ["/aws/ecs/web", "/aws/lambda/web", "web"]),
        ("web", None, {"logGroupNamePattern": "web"}, ["/aws/ecs/web", "/aws/lambda/web", "web"]),
        ("/aws", None, {"logGroupNamePattern": "/aws"}, ["/aws/ecs/web", "/aws/lambda/web"]),
        ("/aws/*/web", None, {"logGroupNamePrefix": "/aws/"}, ["/aws/ecs/web", "/aws/lambda/web"]),
        ("*ecs*", None, {}, ["/aws/ecs/web"]),
        ("we?", None, {"logGroupNamePrefix": "we"}, ["web"]),
        (None, "/aws/l", {"logGroupNamePrefix": "/aws/l"}, ["/aws/lambda/web"]),
        ("ecs", "/aws", {"logGroupNamePrefix": "/aws"}, ["/aws/ecs/web"]),
    ],
)
async def test_what_matches(
    scripted: ScriptedCloudWatch,
    cloudwatch: CloudWatch,
    pattern: str | None,
    prefix: str | None,
    asked: dict[str, str],
    found: list[str],
) -> None:
    scripted.script(groups("web", "/aws/ecs/web", "/aws/lambda/web"))
    assert names(await describe_log_groups(cloudwatch, pattern, prefix=prefix)) == found
    sent = {key: scripted.asked[0][key] for key in scripted.asked[0] if key.startswith("logGroup")}
    assert sent == asked


async def test_a_token_that_repeats_is_an_error_not_a_short_list(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.default = lambda _: groups("a", token="same")
    with pytest.raises(ScanStuckError):
        await describe_log_groups(cloudwatch)


async def test_permanent_errors_are_raised(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(refusal("AccessDeniedException", "not allowed: logs:DescribeLogGroups"))
    with pytest.raises(AccessDeniedError, match="logs:DescribeLogGroups"):
        await describe_log_groups(cloudwatch)


@pytest.mark.parametrize(
    ("streams", "last_ms"),
    [
        ([{"logStreamName": "s", "lastEventTimestamp": 7}], 7),
        ([{"logStreamName": "s"}], None),
        ([], None),
    ],
)
async def test_the_last_event_of_a_group(
    scripted: ScriptedCloudWatch,
    cloudwatch: CloudWatch,
    streams: list[dict[str, Any]],
    last_ms: int | None,
) -> None:
    scripted.script(Reply(body=json.dumps({"logStreams": streams, "nextToken": "more"}).encode()))
    assert await last_event_ms(cloudwatch, "/a") == last_ms
    (asked,) = scripted.asked
    assert (asked["logGroupName"], asked["orderBy"], asked["limit"]) == ("/a", "LastEventTime", 1)
    assert asked["descending"] is True


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        server.create("/many", *(f"web/{number:03}" for number in range(120)), "web/00")
        server.create("/many/more")
        yield server


@pytest.fixture
async def real(moto: RawMoto) -> AsyncIterator[CloudWatch]:
    async with CloudWatch(AwsOptions(endpoint_url=moto.url)) as opened:
        yield opened


async def test_all_log_streams_of_a_group(real: CloudWatch) -> None:
    pages = [one async for one in describe_log_streams(real, "/many")]
    streams = [stream for one in pages for stream in one]
    assert len(streams) == 121
    assert len(pages) == 3
    assert isinstance(streams[0], StreamInfo)
    assert streams[0].created is not None
    assert (streams[0].first, streams[0].last) == (None, None)


async def test_a_stream_is_found_by_its_whole_name(real: CloudWatch) -> None:
    found = await find_stream(real, "/many", "web/00")
    assert found is not None
    assert found.name == "web/00"
    assert await find_stream(real, "/many", "web/0") is None


async def test_a_group_is_found_by_its_whole_name(real: CloudWatch) -> None:
    found = await find_group(real, "/many")
    assert found is not None
    assert found.name == "/many"
    assert await find_group(real, "/man") is None


async def test_groups_that_are_looked_up_together_share_a_listing(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(groups("/svc/a", "/svc/b", "/svc/other", token="t"), groups("/svc/d"))
    wanted = ("/svc/a", "/svc/b", "/svc/c", "/svc/d")
    found = await asyncio.gather(*(find_group(cloudwatch, one) for one in wanted))
    assert [one and one.name for one in found] == ["/svc/a", "/svc/b", None, "/svc/d"]
    assert [asked["logGroupNamePrefix"] for asked in scripted.asked] == ["/svc/", "/svc/"]


async def test_groups_far_apart_are_looked_up_alone(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    listing = [groups(f"/b{number}", token=f"t{number}") for number in range(3)]
    scripted.script(*listing, groups("/a"), groups("/m"), groups("/z"))
    found = await asyncio.gather(*(find_group(cloudwatch, one) for one in ("/z", "/a", "/m")))
    assert [one and one.name for one in found] == ["/z", "/a", "/m"]
    asked = [one["logGroupNamePrefix"] for one in scripted.asked]
    assert asked == ["/", "/", "/", "/a", "/m", "/z"]


async def test_streams_of_a_group_that_there_is_not(real: CloudWatch) -> None:
    with pytest.raises(GroupNotFoundError):
        await find_stream(real, "/none", "x")
