"""Answers that contradict the journal: CloudWatch is asked before anything is forgotten [17]."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from forwarder.cloudwatch import catalogue
from forwarder.cloudwatch.catalogue import GroupInfo
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.errors import AccessDeniedError, CloudWatchError, UnreachableError
from forwarder.ingest.gaps import INCONSISTENT
from forwarder.ingest.log_group import RECREATED
from forwarder.reconcile import scanner
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.maintenance import CONFLICT_CHECK_FIRST_S, CONFLICT_CHECK_MAX_S
from forwarder.reconcile.scanner import (
    AGE_DENIED,
    AGE_UNKNOWN,
    NOT_RECREATED,
    RECREATED_EVERY_MS,
    GroupSettings,
)
from forwarder.records import LogEvent, Reset
from tests.support.forwarder.feed_rig import FeedRig
from tests.support.forwarder.scans import run_scan

MINUTE = 60_000


class Age:
    """Answers lookups of the log group, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.error: CloudWatchError | None = None
        self.is_unknown = False
        self._find = catalogue.find_group
        monkeypatch.setattr(scanner, "find_group", self)

    async def __call__(self, cloudwatch: CloudWatch, name: str) -> GroupInfo | None:
        self.count += 1
        if self.error is not None:
            raise self.error
        found = await self._find(cloudwatch, name)
        assert found is not None
        return replace(found, created=None) if self.is_unknown else found


@pytest.fixture
def age(monkeypatch: pytest.MonkeyPatch) -> Age:
    return Age(monkeypatch)


@pytest.fixture
def rig() -> FeedRig:
    made = FeedRig()
    made.cloudwatch.created = made.now_ms - MINUTE
    made.cloudwatch.put("s", *((made.now_ms - 2_000 + number, "old") for number in range(500)))
    return made


def move(page: list[LogEvent]) -> list[LogEvent]:
    """A page with its first event at another time."""
    return [replace(one, timestamp=one.timestamp + 7) for one in page[:1]] + page[1:]


def resets(rig: FeedRig) -> list[Reset]:
    return [one for one in rig.notices if isinstance(one, Reset)]


def settings_of(rig: FeedRig) -> GroupSettings:
    return GroupSettings(
        rig.group, rig.cloudwatch, clock=rig.clock, timer=rig.timer, on_progress=rig._progress
    )


async def test_inconsistent_answers_take_nothing_that_only_the_journal_has(
    rig: FeedRig, age: Age
) -> None:
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - MINUTE))
    async with rig.run():
        await rig.until(lambda: len(rig.messages()) == 500)
        await rig.until(lambda: age.count == 1)
        epoch = rig.group.epoch
        there = rig.cloudwatch.events
        rig.cloudwatch.events = there[:1]  # only the journal has the others
        rig.cloudwatch.alter = move
        for _ in range(35):
            await rig.pass_ms(450)
        await rig.until(lambda: age.count >= 2)  # it is checked every two seconds
        [gap] = [one for one in rig.group.journal.gaps() if one.reason.startswith(INCONSISTENT)]
        assert gap.state == "suspected"
        assert gap.reason.endswith(NOT_RECREATED)
        assert (rig.group.epoch, len(rig.messages()), resets(rig)) == (epoch, 500, [])
        rig.cloudwatch.events, rig.cloudwatch.alter = there, lambda page: page
        await rig.pass_ms(10_000)
        await rig.until(lambda: gap.id not in {one.id for one in rig.group.journal.gaps()})


async def test_a_recreated_group_that_reuses_ids_has_a_new_chain(rig: FeedRig, age: Age) -> None:
    rig.feed.request_backfill("viewer", BackfillRequest(rig.now_ms - MINUTE))
    async with rig.run():
        await rig.until(lambda: len(rig.messages()) == 500)
        await rig.until(lambda: age.count == 1)
        rig.clock.now_ms += 1_000
        rig.cloudwatch.created = rig.now_ms
        old = rig.cloudwatch.events[0]
        moved = LogEvent(old.id, rig.now_ms, rig.now_ms, "s", "new")
        rig.cloudwatch.events = [moved]
        await rig.pass_ms(1_000)
        await rig.until(lambda: rig.messages() == ["new"])
        assert [one.reason for one in resets(rig)] == [RECREATED]
        await rig.pass_ms(10_000)
        assert rig.marks()[-1].through >= rig.now_ms - 2_000
        assert rig.group.journal.gaps() == []


@pytest.mark.parametrize(
    ("error", "is_unknown", "remark"),
    [
        (AccessDeniedError("no"), False, AGE_DENIED),
        (None, True, AGE_UNKNOWN),
        (UnreachableError("no way"), False, None),
        (None, False, NOT_RECREATED),
    ],
)
async def test_a_chain_never_ends_without_a_confirmation(
    rig: FeedRig, age: Age, error: CloudWatchError | None, remark: str | None, *, is_unknown: bool
) -> None:
    rig.group.ingest(rig.cloudwatch.events, "live")
    run_scan(rig.group, move(rig.cloudwatch.events), rig.now_ms, rig.now_ms - MINUTE)
    age.error, age.is_unknown = error, is_unknown
    await settings_of(rig).check_age()
    [gap] = rig.group.journal.gaps()
    assert gap.reason.partition("; ")[2] == (remark or "")
    assert len(rig.messages()) == 500
    assert resets(rig) == []


async def test_a_log_group_is_not_recreated_again_within_a_moment(rig: FeedRig, age: Age) -> None:
    settings = settings_of(rig)
    begun = rig.now_ms
    for second in range(0, 61, 3):
        rig.clock.now_ms = begun + second * 1_000
        rig.group.ingest([LogEvent("1", second, 0, "s", "old")], "live")
        rig.group.ingest([LogEvent("1", second + 1, 0, "s", "new")], "live")
        rig.cloudwatch.created = rig.now_ms
        await settings.check_age()
        rig._progress()
    assert len(resets(rig)) == 1 + 60_000 // RECREATED_EVERY_MS
    assert age.count == 21
    assert settings.needed.is_set()


async def test_checks_are_rarer_and_rarer_while_answers_contradict(
    rig: FeedRig, age: Age, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conflicted = rig.feed._maintenance._settings.conflicted
    pauses: list[float] = []
    done = asyncio.Event()
    yield_now = asyncio.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) not in (8, 10):
            conflicted.set()
        if len(pauses) == 10:
            done.set()
        await yield_now(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    conflicted.set()
    checking = asyncio.create_task(rig.feed._maintenance.check_conflicts())
    while len(pauses) < 8:
        await yield_now(0)
    for _ in range(5):  # the pause ends
        await yield_now(0)
    conflicted.set()  # after a quiet pause
    await done.wait()
    checking.cancel()
    first, most = CONFLICT_CHECK_FIRST_S, CONFLICT_CHECK_MAX_S
    assert pauses == [first, 4, 8, 16, 32, most, most, most, first, 4]
    assert age.count == len(pauses)
    assert len([one for one in caplog.records if "known event id" in one.message]) == 2
