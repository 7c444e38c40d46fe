"""Reading pages against scripted replies, broken connections, and a raw moto."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from common.errors import EXIT_USAGE
from forwarder.cloudwatch.clock import timer_ms, wall_clock_ms
from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions
from forwarder.errors import (
    AccessDeniedError,
    AwsSettingsError,
    ClockWrongError,
    CloudWatchError,
    CredentialsError,
    CredentialsExpiredError,
    EndpointNotFoundError,
    FilterPatternError,
    GroupNotFoundError,
    RequestRejectedError,
    ThrottledError,
    TruncatedResponseError,
    UnreachableError,
)
from forwarder.records import LogEvent
from tests.support.forwarder.scripted_cloudwatch import (
    Reply,
    ScriptedCloudWatch,
    page,
    refusal,
    scripted_cloudwatch,
)
from tests.support.network.kept_port import kept_port
from tests.support.processes.moto_server import RawMoto, raw_moto

pytestmark = pytest.mark.usefixtures("credentials")


async def fetched(
    cloudwatch: CloudWatch,
    since: int = 0,
    until: int | None = None,
    streams: list[str] | str | None = None,
    outcomes: list[str] | None = None,
) -> list[LogEvent]:
    taken: list[str] = [] if outcomes is None else outcomes

    def observer(error: CloudWatchError | None) -> None:
        taken.append("ok" if error is None else error.code)

    stream = cloudwatch.fetch_logs_since_timestamp("g", since, until, streams, observer=observer)
    async with aclosing(stream) as pages:
        return [event async for events in pages for event in events]


def ids(events: list[LogEvent]) -> list[int]:
    return [int(event.id) for event in events]


async def test_what_is_asked_for(scripted: ScriptedCloudWatch, cloudwatch: CloudWatch) -> None:
    scripted.script(page([(1, 10, "s")], "more"), page([(2, 11, "s")]))
    assert await fetched(cloudwatch, 5, 99) == [
        LogEvent("1", 10, 15, "s", "m1"),
        LogEvent("2", 11, 16, "s", "m2"),
    ]
    first = {
        "operation": "FilterLogEvents",
        "logGroupName": "g",
        "startTime": 5,
        "endTime": 99,
        "interleaved": True,
    }
    assert scripted.asked == [first, {**first, "nextToken": "more"}]


async def test_a_pattern_is_asked_for_with_each_page(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(page([(1, 10, "s")], "more"), page([(2, 11, "s")]))
    pages = cloudwatch.fetch_logs_since_timestamp("g", 5, pattern="{ $.a = 1 }")
    assert [len(one) async for one in pages] == [1, 1]
    await cloudwatch.check("g", "{ $.a = 1 }")
    assert [one["filterPattern"] for one in scripted.asked] == ["{ $.a = 1 }"] * 3


async def test_a_pattern_that_aws_refuses(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(refusal("InvalidParameterException", "Invalid filter pattern: at 'err:'"))
    with pytest.raises(FilterPatternError) as caught:
        await cloudwatch.check("g", "err:")
    text = str(caught.value)
    assert "'err:'" in text
    assert "Invalid filter pattern" in text
    assert "quote" in text
    assert (caught.value.exit_code, "\n" in text) == (EXIT_USAGE, False)


async def test_an_open_end_has_no_end_time(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    await fetched(cloudwatch, 5)
    assert "endTime" not in scripted.asked[0]


async def test_an_empty_range_is_not_asked_for(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    assert await fetched(cloudwatch, 5, 4) == []
    assert scripted.asked == []


async def test_empty_pages_with_a_token_go_on(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(page([], "a"), page([], "b"), page([(1, 1, "s")], "c"), page([]))
    assert ids(await fetched(cloudwatch)) == [1]
    assert len(scripted.asked) == 4


async def test_stream_names_go_by_the_hundred(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    names = [f"s{number}" for number in range(250)]
    await fetched(cloudwatch, 0, None, names)
    assert [asked["logStreamNames"] for asked in scripted.asked] == [
        names[:100],
        names[100:200],
        names[200:],
    ]


async def test_a_prefix_is_asked_for_and_kept_to(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(page([(1, 1, "web/a"), (2, 1, "db/a")]))
    assert ids(await fetched(cloudwatch, 0, None, "web/")) == [1]
    assert scripted.asked[0]["logStreamNamePrefix"] == "web/"


@pytest.mark.parametrize(
    "broken",
    [
        Reply(body=b'{"events":[{"eventId":"9","timest'),
        Reply(body=page([(9, 9, "s")]).body[:-7], missing=7),
        Reply(body=b""),
        Reply(body=b'{"nextToken":"x"}'),
        Reply(closes=True),
        Reply(status=500, body=b"<html>oops</html>"),
        Reply(status=503, body=b""),
        Reply(status=502, body=b"[]"),
        refusal("ServiceUnavailableException", status=503),
    ],
)
async def test_a_broken_page_is_asked_for_again(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch, broken: Reply
) -> None:
    scripted.script(page([(1, 1, "s")], "a"), broken, broken, page([(2, 2, "s")]))
    outcomes: list[str] = []
    assert ids(await fetched(cloudwatch, outcomes=outcomes)) == [1, 2]
    assert outcomes == ["ok", "unreachable", "unreachable", "ok"]
    assert [asked.get("nextToken") for asked in scripted.asked] == [None, "a", "a", "a"]


async def test_a_page_that_stays_broken_begins_the_scan_again_by_time(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    cut = Reply(body=b'{"ev')
    scripted.script(page([(1, 4, "s"), (2, 7, "s")], "a"), *[cut] * 4)
    scripted.script(page([(2, 7, "s"), (3, 7, "s")], "b"), page([(4, 8, "s")]))
    assert ids(await fetched(cloudwatch)) == [1, 2, 3, 4]
    last = [(asked["startTime"], asked.get("nextToken")) for asked in scripted.asked[-2:]]
    assert last == [(7, None), (7, "b")]


async def test_a_refused_token_begins_the_scan_again_by_time(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(page([(1, 4, "s")], "old"), refusal("InvalidParameterException", "expired"))
    scripted.script(page([(1, 4, "s"), (2, 5, "s")]))
    assert ids(await fetched(cloudwatch)) == [1, 2]
    assert (scripted.asked[2]["startTime"], scripted.asked[2].get("nextToken")) == (4, None)


async def test_throttling_is_waited_out_and_slows_everything_down(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.script(refusal("ThrottlingException", "Rate exceeded"), page([(1, 1, "s")]))
    outcomes: list[str] = []
    assert ids(await fetched(cloudwatch, outcomes=outcomes)) == [1]
    assert outcomes == ["throttled", "ok"]
    assert cloudwatch.reads._budget is not None
    assert cloudwatch.reads._budget.rate < cloudwatch.reads.limit


async def test_each_attempt_is_made_once(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    scripted.default = lambda _: refusal("ThrottlingException")
    with pytest.raises(ThrottledError):
        await cloudwatch.check("g")
    assert len(scripted.asked) == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal("ResourceNotFoundException"), GroupNotFoundError),
        (refusal("AccessDeniedException", "not allowed: logs:FilterLogEvents"), AccessDeniedError),
        (refusal("UnrecognizedClientException"), CredentialsError),
        (refusal("ExpiredTokenException"), CredentialsExpiredError),
        (refusal("InvalidSignatureException", "Signature expired: 2026"), ClockWrongError),
        (refusal("InvalidSignatureException", "Signature not yet current: 2"), ClockWrongError),
        (refusal("InvalidSignatureException"), CredentialsError),
        (refusal("InvalidParameterException"), RequestRejectedError),
        (refusal("com.amazonaws#ThrottlingException"), ThrottledError),
        (Reply(status=429, body=b"{}"), ThrottledError),
        (Reply(status=503, body=b"<html></html>"), UnreachableError),
        (Reply(status=404, body=b"not found"), RequestRejectedError),
        (Reply(status=400, body=b"[]"), TruncatedResponseError),
        (Reply(body=b"<html>Welcome to the hotel</html>"), TruncatedResponseError),
        (Reply(closes=True), UnreachableError),
    ],
)
async def test_errors_that_a_start_reports(
    scripted: ScriptedCloudWatch,
    cloudwatch: CloudWatch,
    reply: Reply,
    error: type[CloudWatchError],
) -> None:
    scripted.default = lambda _: reply
    with pytest.raises(error) as raised:
        await cloudwatch.check("/my/group")
    text = str(raised.value)
    assert type(raised.value) is error
    assert "\n" not in text
    assert len(text) < 600
    if error is GroupNotFoundError:
        assert "'/my/group'" in text
        assert "gapless groups" in text


async def test_an_endpoint_without_a_listener() -> None:
    with kept_port() as port:
        url = f"http://127.0.0.1:{port}"
        async with CloudWatch(AwsOptions(endpoint_url=url)) as cloudwatch:
            with pytest.raises(UnreachableError, match=url) as raised:
                await cloudwatch.check("g")
    assert type(raised.value) is UnreachableError


async def test_an_endpoint_whose_name_does_not_resolve() -> None:
    aws = AwsOptions(endpoint_url="http://nowhere.invalid:1")
    async with CloudWatch(aws) as cloudwatch:
        with pytest.raises(EndpointNotFoundError, match="--endpoint-url"):
            await cloudwatch.check("g")


async def test_a_profile_that_there_is_not() -> None:
    with pytest.raises(AwsSettingsError, match="--profile"):
        await CloudWatch(AwsOptions(profile="nobody")).open()


async def test_no_region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(AwsSettingsError, match="--region"):
        await CloudWatch().open()


async def test_a_region_that_can_not_be_one() -> None:
    with pytest.raises(AwsSettingsError, match="--region"):
        await CloudWatch(AwsOptions(region="over there")).open()


async def test_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(CredentialsError, match="--profile"):
        await CloudWatch().open()


async def test_a_scan_that_is_given_up_leaves_nothing_waiting(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    hold = threading.Event()
    scripted.script(Reply(hold=hold))
    task = asyncio.create_task(fetched(cloudwatch))
    while not scripted.asked:  # noqa: ASYNC110 - the server is in a thread
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    hold.set()
    assert await fetched(cloudwatch) == []


async def test_the_loops_own_executor_is_left_alone(cloudwatch: CloudWatch) -> None:
    before = set(threading.enumerate())
    await cloudwatch.check("g")
    threads = await cloudwatch.call(lambda _: threading.current_thread(), priority=Priority.POLL)
    assert threads.name == "cloudwatch"
    begun = set(threading.enumerate()) - before
    assert not any(one.name.startswith("asyncio_") for one in begun)


async def test_it_can_be_closed_twice_and_opened_again(
    scripted: ScriptedCloudWatch, cloudwatch: CloudWatch
) -> None:
    await cloudwatch.close()
    await cloudwatch.close()
    scripted.script(page([(1, 1, "s")]))
    assert ids(await fetched(cloudwatch)) == [1]


# Against a raw moto server


@pytest.fixture(scope="module")
def moto() -> Iterator[RawMoto]:
    with raw_moto() as server:
        yield server


@pytest.fixture
async def real(moto: RawMoto) -> AsyncIterator[CloudWatch]:
    async with CloudWatch(AwsOptions(endpoint_url=moto.url)) as opened:
        yield opened


def now_ms(moto: RawMoto) -> int:
    """The time by the server's clock; like AWS, it rejects events that are too old."""
    client = moto.client()
    try:
        client.create_log_group(logGroupName="clock")
        made = client.describe_log_groups(logGroupNamePrefix="clock")["logGroups"]
        client.delete_log_group(logGroupName="clock")
    finally:
        client.close()
    return made[0]["creationTime"]


async def test_one_millisecond_of_24000_events_over_three_streams(
    moto: RawMoto, real: CloudWatch
) -> None:
    moto.create("/ms", "a", "b", "c")
    moment = now_ms(moto)
    for stream in ("a", "b", "c"):
        moto.put("/ms", stream, [(moment, f"{stream} {number}") for number in range(8_000)])
    scan = real.fetch_logs_since_timestamp("/ms", moment, moment)
    pages = [one async for one in scan]
    events = [event for one in pages for event in one]
    assert [len(one) for one in pages] == [10_000, 10_000, 4_000]
    assert len({event.id for event in events}) == 24_000
    assert {event.timestamp for event in events} == {moment}


async def test_moto_merges_streams_and_both_ends_are_inclusive(
    moto: RawMoto, real: CloudWatch
) -> None:
    moto.create("/order", "a", "b")
    moment = now_ms(moto)
    moto.put("/order", "a", [(moment + number, "a") for number in range(0, 10, 2)])
    moto.put("/order", "b", [(moment + number, "b") for number in range(1, 10, 2)])
    within = real.fetch_logs_since_timestamp("/order", moment + 2, moment + 7)
    events = [event async for one in within for event in one]
    assert [event.timestamp - moment for event in events] == [2, 3, 4, 5, 6, 7]
    only = real.fetch_logs_since_timestamp("/order", moment, None, ["b"])
    assert {event.stream async for one in only for event in one} == {"b"}
    prefixed = real.fetch_logs_since_timestamp("/order", moment, None, "a")
    assert {event.stream async for one in prefixed for event in one} == {"a"}


async def test_messages_arrive_as_they_were_written(moto: RawMoto, real: CloudWatch) -> None:
    moto.create("/text", "a")
    moment = now_ms(moto)
    messages = ["plain", "ümlaut ✓ \U0001f600", 'quoted "\\\t\u0001', "same", "same", " "]
    moto.put("/text", "a", [(moment, message) for message in messages])
    stream = real.fetch_logs_since_timestamp("/text", moment)
    assert [event.message async for one in stream for event in one] == messages


async def test_a_reader_of_its_own_for_one_scan(moto: RawMoto) -> None:
    moto.create("/alone", "a")
    moment = now_ms(moto)
    moto.put("/alone", "a", [(moment, "one")])
    aws = AwsOptions(endpoint_url=moto.url)
    async with CloudWatch(aws) as alone:
        pages = [one async for one in alone.fetch_logs_since_timestamp("/alone", moment)]
    assert [[event.message for event in one] for one in pages] == [["one"]]


async def test_a_group_that_moto_does_not_have(real: CloudWatch) -> None:
    with pytest.raises(GroupNotFoundError, match="'/nothing'"):
        await real.check("/nothing")


async def test_credentials_that_are_refused_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted_cloudwatch() as scripted:
        scripted.script(refusal("ExpiredTokenException", "the token is expired"))
        async with CloudWatch(AwsOptions(endpoint_url=scripted.url)) as cloudwatch:
            with pytest.raises(CredentialsError, match="the token is expired"):
                await cloudwatch.check("group")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fresh")
            await cloudwatch.check("group")
            await cloudwatch.check("group")
        assert scripted.access_keys == ["testing", "fresh", "fresh"]


async def test_missing_credentials_are_looked_for_until_they_are_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scripted_cloudwatch() as scripted:
        scripted.script(refusal("ExpiredTokenException"))
        async with CloudWatch(AwsOptions(endpoint_url=scripted.url)) as cloudwatch:
            with pytest.raises(CredentialsError):
                await cloudwatch.check("group")
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            with pytest.raises(CredentialsError, match="--profile"):
                await cloudwatch.check("group")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "fresh")
            await cloudwatch.check("group")
        assert scripted.access_keys == ["testing", "fresh"]


async def test_a_reply_shows_the_time_of_its_server() -> None:
    with raw_moto() as moto:
        moto.create("g", "s")
        async with CloudWatch(AwsOptions(endpoint_url=moto.url)) as opened:
            before_ms = wall_clock_ms()
            assert opened.skew.server.latest_ms(timer_ms()) is None
            await opened.check("g")
            most_ms = opened.skew.server.latest_ms(timer_ms())
            assert most_ms is not None
            assert most_ms >= before_ms
            assert opened.skew.reported_ms == 0
