"""The choice of live paths, and how their readers start and stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

import pytest

from forwarder.cloudwatch.fair_queue import Priority
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import AwsOptions, StreamRef, parse_stream
from forwarder.errors import AccessDeniedError, CloudWatchError
from forwarder.ingest.log_group import LogGroup
from forwarder.live.kinesis import KinesisReader
from forwarder.live.receiver import LiveReceiver, LiveState, LiveStatus, PathCounts
from forwarder.live.subscriptions import (
    LATE_UPDATES_MAX,
    NO_FILTER,
    LivePaths,
    StreamChoice,
    _OpenPath,
    choose_stream,
    look_up_pause_s,
)
from tests.support.forwarder.fake_cloudwatch import Clock
from tests.support.forwarder.memory_journal import MemoryJournal

_T = TypeVar("_T")


def arn(name: str) -> str:
    return f"arn:aws:kinesis:us-east-1:123456789012:stream/{name}"


class FakeCloudWatch:
    """Knows the streams to which log groups are sent."""

    def __init__(self) -> None:
        self.streams: dict[str, str] = {}
        self.failure: CloudWatchError | None = None
        self.asked = 0

    async def call(self, function: Callable[[Any], _T], *, group: str, priority: Priority) -> _T:
        assert priority is not Priority.POLL
        assert group
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return function(self)

    def describe_subscription_filters(self, **asked: object) -> dict[str, Any]:
        name = self.streams.get(str(asked["logGroupName"]))
        filters = [{"filterName": "f", "destinationArn": arn(name)}] if name else []
        return {"subscriptionFilters": filters}


class FakeReader(KinesisReader):
    def __init__(self) -> None:
        self.counts = PathCounts()
        self.receivers: dict[str, LiveReceiver] = {}
        self.is_running = False
        self.begun = 0

    async def run(self, receivers: dict[str, LiveReceiver]) -> None:
        self.receivers = receivers
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(5):  # its calls are cancelled
                await asyncio.sleep(0)
            self.is_running = False

    def restart(self) -> None:
        self.begun += 1


class NoPolls:
    def poll_now(self) -> None:
        """No polls."""

    def set_poll_interval(self, poll_ms: int | None) -> None:
        """No polls."""

    def report_live_delay(self, delay_ms: int) -> None:
        """No viewers."""


class Rig:
    def __init__(self, live: str, *groups: str) -> None:
        self.cloudwatch = FakeCloudWatch()
        self.paths: dict[str, FakeReader] = {}
        self.receivers = {
            name: LiveReceiver(
                LogGroup(MemoryJournal(name)), NoPolls(), clock=Clock(), on_progress=lambda: None
            )
            for name in groups
        }
        self.live = LivePaths(
            live,
            AwsOptions(),
            cast("CloudWatch", self.cloudwatch),
            make_reader=self._make,
            look_up_every_s=0.01,
        )

    def _make(self, stream: StreamRef) -> FakeReader:
        return self.paths.setdefault(stream.name, FakeReader())

    def fed(self, stream: str) -> list[str]:
        """The log groups that a stream feeds while it is read."""
        path = self.paths.get(stream)
        return sorted(path.receivers) if path is not None and path.is_running else []

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(240):
            while not condition():  # noqa: ASYNC110 - the condition has no event
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        for name, receiver in self.receivers.items():
            self.live.add(name, receiver)
        task = asyncio.create_task(self.live.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_groups_whose_events_are_in_one_stream_share_its_reader() -> None:
    rig = Rig("auto", "/a", "/b", "/c")
    rig.cloudwatch.streams = {"/a": "one", "/b": "one"}
    async with rig.run():
        await rig.until(lambda: rig.fed("one") == ["/a", "/b"])
        await rig.until(lambda: rig.receivers["/c"].status.why is not None)
        assert rig.receivers["/c"].status.state == "poll"
        assert rig.receivers["/a"].status.path == f"kinesis:{arn('one')}"
    assert rig.fed("one") == []


async def test_a_filter_that_changes_is_followed() -> None:
    rig = Rig("auto", "/a", "/b")
    rig.cloudwatch.streams = {"/a": "one", "/b": "one"}
    async with rig.run():
        await rig.until(lambda: rig.fed("one") == ["/a", "/b"])
        rig.cloudwatch.streams["/a"] = "two"
        await rig.until(lambda: rig.fed("two") == ["/a"])
        assert rig.fed("one") == ["/b"]
        del rig.cloudwatch.streams["/b"]
        await rig.until(lambda: rig.fed("one") == [])
        assert rig.receivers["/b"].status.state == "poll"


async def test_a_reader_has_ended_once_its_last_log_group_is_removed() -> None:
    rig = Rig("kinesis:one", "/a", "/b")
    async with rig.run():
        await rig.until(lambda: rig.fed("one") == ["/a", "/b"])
        reader = rig.paths["one"]
        await rig.live.remove("/a")
        assert reader.is_running
        await rig.live.remove("/b")
        assert not reader.is_running


async def test_a_reader_that_is_not_needed_any_more_ends_before_the_paths_do() -> None:
    rig = Rig("auto", "/a")
    rig.cloudwatch.streams = {"/a": "one"}
    async with rig.run():
        await rig.until(lambda: rig.fed("one") == ["/a"])
        reader = rig.paths["one"]
        rig.cloudwatch.streams.clear()
        rig.live._choose("/a", NO_FILTER)
        assert reader.is_running
    assert not reader.is_running


async def test_a_failed_lookup_leaves_polls_or_the_running_reader() -> None:
    rig = Rig("auto", "/a")
    rig.cloudwatch.failure = AccessDeniedError("AWS denies access")
    async with rig.run():
        await rig.until(lambda: "AWS denies access" in str(rig.receivers["/a"].status.why))
        assert rig.receivers["/a"].status.state == "poll"
        rig.cloudwatch.failure = None
        rig.cloudwatch.streams["/a"] = "one"
        await rig.until(lambda: rig.fed("one") == ["/a"])
        rig.cloudwatch.failure = AccessDeniedError("AWS denies access")
        asked = rig.cloudwatch.asked
        await rig.until(lambda: rig.cloudwatch.asked > asked + 2)
        assert rig.fed("one") == ["/a"]


async def test_a_named_stream_feeds_every_group_without_lookups() -> None:
    rig = Rig("kinesis:one", "/a", "/b")
    async with rig.run():
        await rig.until(lambda: rig.fed("one") == ["/a", "/b"])
    assert rig.cloudwatch.asked == 0


async def test_with_polls_alone_nothing_is_looked_up() -> None:
    rig = Rig("poll")
    async with rig.run():
        await asyncio.sleep(0)
    assert rig.cloudwatch.asked == 0
    assert not rig.paths


class FakeReceiver(LiveReceiver):
    def __init__(self) -> None:
        self.state: LiveState = "live"

    @property
    def status(self) -> LiveStatus:
        return LiveStatus(self.state, None, None)


def test_a_reader_whose_groups_are_all_late_for_long_restarts() -> None:
    reader = FakeReader()
    receivers = {name: FakeReceiver() for name in ("/a", "/b")}
    path = _OpenPath(reader, {**receivers}, cast("asyncio.Task[None]", None))

    def update(*states: LiveState) -> None:
        path.receivers = dict(list(receivers.items())[: len(states)])
        for receiver, state in zip(receivers.values(), states, strict=False):
            receiver.state = state
        path.restart_if_stalled()

    for _ in range(LATE_UPDATES_MAX - 1):
        update("late", "late")
    update("late", "live")
    for _ in range(LATE_UPDATES_MAX - 1):
        update("late")
    update()
    assert reader.begun == 0
    for _ in range(2 * LATE_UPDATES_MAX):
        update("late")
    assert reader.begun == 2


ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/jobs"
STREAM = StreamRef("jobs", ARN, "eu-west-1")


def filtered(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3 has it
    return {"filterName": "f", "filterPattern": "", "destinationArn": ARN, **fields}


def test_streams_by_name_and_arn() -> None:
    assert parse_stream("jobs-1.a_b") == StreamRef("jobs-1.a_b")
    assert parse_stream(ARN) == STREAM
    assert str(STREAM) == f"kinesis:{ARN}"
    assert STREAM.parameters == {"StreamARN": ARN}
    assert StreamRef("jobs").parameters == {"StreamName": "jobs"}


@pytest.mark.parametrize(
    "text", ["", "a b", "jobs/1", "x" * 129, ARN + "/", ARN.replace("kinesis", "sqs"), "jobs\n"]
)
def test_texts_that_name_no_stream(text: str) -> None:
    assert parse_stream(text) is None


@pytest.mark.parametrize(
    "filters",
    [
        [],
        [filtered(destinationArn="arn:aws:lambda:eu-west-1:123456789012:function:f")],
        [filtered(destinationArn="arn:aws:firehose:eu-west-1:123456789012:deliverystream/d")],
        [filtered(destinationArn="arn:aws:logs:eu-west-1:123456789012:destination:d")],
        [filtered(destinationArn="jobs")],
        [{}],
    ],
)
def test_groups_without_a_readable_destination(filters: list[dict[str, Any]]) -> None:
    assert choose_stream(filters) == NO_FILTER


def test_the_filter_that_lets_everything_through_is_chosen() -> None:
    assert choose_stream([filtered()]) == StreamChoice(STREAM)
    assert choose_stream([filtered(filterPattern=" ")]) == StreamChoice(STREAM)
    assert choose_stream(
        [filtered(filterName="a", filterPattern="ERROR"), filtered()]
    ) == StreamChoice(STREAM)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"filterPattern": "ERROR"}, "lets only some events through"),
        ({"fieldSelectionCriteria": '@aws.region = "x"'}, "lets only some events through"),
        ({"applyOnTransformedLogs": True}, "sends transformed events"),
    ],
)
def test_filters_that_pass_too_little_or_transform_events(given: dict[str, Any], why: str) -> None:
    choice = choose_stream([filtered(**given)])
    assert choice.stream is None
    assert why in str(choice.why)


def test_many_log_groups_are_looked_up_less_often() -> None:
    pauses = [look_up_pause_s(60, groups) for groups in (0, 1, 20, 100, 500)]
    assert pauses == [60, 60, 60, 300, 1_500]
