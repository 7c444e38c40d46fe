"""One cell of the quota table in virtual time: the forwarder's feeds, on a model of CloudWatch.

A script of its own, so that it also runs with an earlier commit's forwarder: the report starts it
with that tree on ``PYTHONPATH``. Feeds, call queue, scanner and journal are the real ones; threads,
network and clock are not, so that minutes pass in seconds and the same arguments give the same
figures. The account refuses FilterLogEvents calls by a token bucket of one second's calls.

``cell.py '{"groups": 20, "rate": 3, "quota": 5, "calls_per_second": null, ...}'`` prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import sys
import tempfile
import time
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final, TypeVar

from forwarder.cloudwatch import client as client_module
from forwarder.cloudwatch import rate_limit as rate_limit_module
from forwarder.cloudwatch import reader as reader_module
from forwarder.cloudwatch.reader import CloudWatch
from forwarder.config import Config
from forwarder.errors import ThrottledError
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.sqlite import SqliteJournals
from forwarder.reconcile.demand import BackfillRequest
from forwarder.reconcile.feed import Feed
from forwarder.records import LogEvent

START_MS: Final = 1_795_000_000_000
CALL_S: Final = 0.06
"""Time of a call without its events, half of it each way."""
EVENT_S: Final = 0.000_02
"""Further time for each event that it returns."""
PAGE_EVENTS: Final = 10_000
MESSAGE: Final = (
    "INFO worker-3 request finished status=200 duration_ms=12 path=/v1/orders user=4711"
)
WARM_S: Final = 60
"""Time at the start that does not count."""

_T = TypeVar("_T")


class VirtualSelector(selectors.SelectSelector):
    """Lets time pass instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """Advance the clock to the loop's next timer; a round takes a microsecond, at least."""
        assert timeout is not None, "everything waits, and no timer is set"
        self.now_s += max(1e-6, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time; nothing outside it can wake it."""

    def __init__(self) -> None:
        self.virtual = VirtualSelector()
        super().__init__(self.virtual)

    def time(self) -> float:
        """Virtual seconds."""
        return self.virtual.now_s

    @property
    def now_ms(self) -> int:
        """The wall clock, ms."""
        return START_MS + int(self.virtual.now_s * 1_000)


async def call_in_virtual_time(
    function: Callable[[], _T], *, name: str = "", finished: Callable[[], None] | None = None
) -> _T:
    """Stand in for ``in_thread``."""
    del name

    async def run() -> _T:
        try:
            await asyncio.sleep(CALL_S / 2)
            answer = function()
            events = 0
            for part in answer if isinstance(answer, tuple) else (answer,):
                events += len(part.get("events", ())) if isinstance(part, dict) else 0
            await asyncio.sleep(CALL_S / 2 + events * EVENT_S)
            return answer
        finally:
            if finished is not None:
                finished()

    return await asyncio.shield(asyncio.ensure_future(run()))


class Account:
    """Model of an account: its log groups' events by rate, and its quota."""

    def __init__(self, loop: VirtualLoop, rate: float, quota: float) -> None:
        self.meta = SimpleNamespace(endpoint_url="model", region_name="us-east-1")
        self.calls: list[float] = []
        self.refused: list[float] = []
        self.extra: dict[str, list[LogEvent]] = {}
        self._loop = loop
        self._rate, self._quota = rate, quota
        self._tokens, self._filled_s = quota, 0.0
        self._events: dict[str, list[LogEvent]] = {}
        self._random = Random(1)
        self._offsets: dict[str, float] = {}

    def close(self) -> None:
        """Do nothing."""

    def filter_log_events(self, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3's
        """Answer or refuse a call."""
        now_s = self._loop.time()
        self._tokens = min(self._quota, self._tokens + (now_s - self._filled_s) * self._quota)
        self._filled_s = now_s
        self.calls.append(now_s)
        if self._tokens < 1:
            self.refused.append(now_s)
            msg = "the model refuses"
            raise ThrottledError(msg)
        self._tokens -= 1
        group, low = asked["logGroupName"], int(asked.get("startTime", 0))
        events = self._written(group)
        high = int(asked.get("endTime") or 1 << 60)
        first = int(asked.get("nextToken") or self._index(group, low))
        last = min(len(events), first + PAGE_EVENTS, self._index(group, high + 1))
        answer: dict[str, Any] = {"events": events[first:last]}
        answer["events"] += [
            one for one in self.extra.get(group, ()) if low <= one.timestamp <= high
        ]
        if last == first + PAGE_EVENTS:
            answer["nextToken"] = str(last)
        return answer

    def describe_log_groups(self, **asked: Any) -> dict[str, Any]:  # noqa: ANN401 - as boto3's
        """Describe the log group that is asked for."""
        name = asked["logGroupNamePrefix"]
        return {"logGroups": [{"logGroupName": name, "creationTime": START_MS}]}

    def _timestamp(self, group: str, number: int) -> int:
        return START_MS + int((number + self._offsets[group]) * 1_000 / self._rate)

    def _index(self, group: str, at_ms: int) -> int:
        """Number of the first event at or after a time."""
        if not self._rate:
            return 0
        number = max(0, int((at_ms - START_MS) * self._rate / 1_000) - 2)
        while self._timestamp(group, number) < at_ms:
            number += 1
        return number

    def _written(self, group: str) -> list[LogEvent]:
        events = self._events.setdefault(group, [])
        self._offsets.setdefault(group, self._random.random())
        if self._rate:
            for number in range(len(events), self._index(group, self._loop.now_ms)):
                at_ms = self._timestamp(group, number)
                events.append(event_at(at_ms, number))
        return events


def event_at(at_ms: int, number: int) -> LogEvent:
    """An event of the model."""
    return LogEvent(f"{(at_ms << 144) + number:056d}", at_ms, at_ms, "job/main/1", MESSAGE)


class Watched:
    """A log group, its feed, and how far behind its viewer is."""

    def __init__(self, group: LogGroup, loop: VirtualLoop, cloudwatch: CloudWatch) -> None:
        self.group, self.loop = group, loop
        self.lags: list[int] = []
        self.ages: list[int] = []
        self.is_counting = False
        self._seen = 0
        config = Config(groups=(group.name,))
        self.feed = Feed(
            group,
            cloudwatch,
            config=config,
            on_progress=self.progress,
            clock=lambda: loop.now_ms,
            timer=lambda: int(loop.time() * 1_000),
            random=Random(group.name).random,
        )

    def progress(self) -> None:
        """Note the lag of new events, as a viewer would get them."""
        self.group.take_notices()
        rows = self.group.journal.read_after(self._seen, 100_000)
        if rows:
            self._seen = rows[-1].seq
            if self.is_counting:
                now_ms = self.loop.now_ms
                self.lags += [now_ms - row.timestamp for row in rows if row.origin != "backfill"]

    def sample(self) -> None:
        """Note the age of the mark."""
        through = self.group.complete_through(START_MS)
        self.ages.append(self.loop.now_ms - (START_MS if through is None else through))


def percentile(values: list[int], percent: int) -> int | None:
    """A percentile; None without values."""
    return sorted(values)[(len(values) - 1) * percent // 100] if values else None


async def run(loop: VirtualLoop, asked: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Run a cell; returns its figures."""
    rate, seconds = float(asked["rate"]), float(asked["seconds"])
    account = Account(loop, rate, float(asked["quota"]))
    options: dict[str, Any] = {}
    if "calls_per_second" in signature(CloudWatch.__init__).parameters:
        options["calls_per_second"] = asked["calls_per_second"] or asked["quota"] / 2
    cloudwatch = CloudWatch(clock=lambda: loop.now_ms, **options)
    cloudwatch._client._make = lambda: account  # type: ignore[assignment,return-value]
    if options:
        cloudwatch.reads.set_limit(options["calls_per_second"], float(asked["quota"]))
    cloudwatch.random = Random(7).random
    journals = SqliteJournals(folder / "journal.sqlite3")
    names = [f"/group/{number:03}" for number in range(int(asked["groups"]))]
    watched = [Watched(LogGroup(journals.journal(name)), loop, cloudwatch) for name in names]
    tasks = [asyncio.ensure_future(one.feed.run()) for one in watched]
    for one in watched:
        one.feed.request_backfill("viewer", BackfillRequest(START_MS))
    warm_s = max(WARM_S, float(asked.get("warm_s", 0)))
    await asyncio.sleep(warm_s)
    for one in watched:
        one.is_counting = True
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        for one in watched:
            one.sample()
    end_s = loop.time()
    if not rate:  # the first event after a silence
        for number, one in enumerate(watched):
            account.extra[one.group.name] = [event_at(loop.now_ms, number)]
            await asyncio.sleep(0.37)
        await asyncio.sleep(60)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    journals.close()
    lags = [lag for one in watched for lag in one.lags]
    ages = [age for one in watched for age in one.ages]
    return {
        "lag": [percentile(lags, 50), percentile(lags, 99)],
        "age": [percentile(ages, 50), percentile(ages, 99)],
        "calls": sum(warm_s <= at < end_s for at in account.calls) * 60 / seconds,
        "refused": sum(WARM_S <= at < end_s for at in account.refused),
        "early": sum(at < WARM_S for at in account.refused),
    }


def main() -> None:
    """Run the cell that the argument describes."""
    begun_s = time.monotonic()
    loop = VirtualLoop()
    for module in (client_module, rate_limit_module):
        module.in_thread = call_in_virtual_time  # type: ignore[attr-defined]
    reader_module.timer_ms = lambda: int(loop.time() * 1_000)  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        found = loop.run_until_complete(run(loop, json.loads(sys.argv[1]), Path(folder)))
    print(json.dumps({**found, "took_s": round(time.monotonic() - begun_s, 1)}))  # noqa: T201 - the answer


if __name__ == "__main__":
    main()
