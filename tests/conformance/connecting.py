"""The page's "connecting": cursors, held, filters, base, and what is refused. Scenarios."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlencode

from tests.conformance.connection import Connection
from tests.conformance.holdings import Held, Holdings
from tests.conformance.suite import Scenario, Suite
from wire.limits import DEFAULT_PAST_MS
from wire.messages import Verify
from wire.order import Interval
from wire.query import Filter, TailQuery

EVENTS_MIN: Final = 4
"""With fewer events a cursor or a held interval in the midst of them shows nothing."""

_CLOCKS_MS: Final = 60_000
"""By how much two clocks may differ."""

MALFORMED: Final = (
    ("since=yesterday", "since"),
    ("since=-1", "since"),
    ("history=both", "history"),
    ("epoch=E&since=0", "after"),
    ("after=1&since=0", "epoch"),
    ("epoch=E&after=1", "since"),
    ("epoch=E&after=1&since=0&held=x", "held"),
    ("credit=much", "credit"),
    ("base=x", "base"),
)
"""Queries that the page's table does not allow, and the parameter that the body must name."""


async def since_default(suite: Suite) -> None:
    """Without since and cursor."""
    connection = await suite.open(TailQuery())
    welcome = connection.observer.welcome
    assert welcome is not None
    expected = time.time_ns() // 1_000_000 - DEFAULT_PAST_MS
    holds = abs(welcome.since - expected) <= _CLOCKS_MS
    suite.ledger.check("since-default", holds, f"since {expected}", f"since {welcome.since}")
    await suite.drop(connection)


async def resumed(suite: Suite) -> None:
    """From a cursor in the midst: what follows it, once, and nothing of the past."""
    events = _by_seq(suite)
    if len(events) < EVENTS_MIN:
        return
    at = len(events) // 2
    cursor = events[at].seq
    connection = await suite.open(_cursor(suite, cursor), Holdings(events[: at + 1]))
    observer = connection.observer
    if _is(suite, connection, "resumed", "resumed"):
        missing = await _missing(suite, connection, {one.key for one in events[at + 1 :]})
        expected = f"the {len(events) - at - 1} events after {cursor}"
        suite.ledger.check("resumed", not missing, expected, f"{len(missing)} of them missing")
        beats = observer.beats + 1
        await connection.until(lambda: observer.beats >= beats, suite.patience_s)
        seen = {one.key for one in events[: at + 1]} & observer.seen
        got = f"{len(seen)} events that the cursor covers"
        suite.ledger.check("no-held", not seen, "no past", got)
    await suite.drop(connection)


async def held(suite: Suite) -> None:
    """With a held interval, whose upper end is inside a millisecond where there is one such."""
    events = suite.main.observer.holdings.in_order()
    if len(events) < EVENTS_MIN:
        return
    low, high = len(events) // 4, _inside_a_millisecond(events, len(events) // 2)
    span = Interval(events[low].key, events[high].key)
    query = _cursor(suite, max(one.seq for one in events), held=span)
    connection = await suite.open(query, Holdings(events[low : high + 1]))
    if _is(suite, connection, "held", "resumed"):
        await _is_whole(suite, connection, "held", events)
    await suite.drop(connection)


async def rebased(suite: Suite) -> None:
    """A cursor of an epoch that never was, with a held interval that must be ignored."""
    events = suite.main.observer.holdings.in_order()
    span = Interval(events[0].key, events[-1].key) if events else None
    query = TailQuery(
        since=suite.main.observer.since, epoch="conform-no-such-epoch", after=1, held=span
    )
    connection = await suite.open(query, Holdings(events))
    if _is(suite, connection, "rebased", "rebased"):
        await _is_whole(suite, connection, "rebased", events)
    await suite.drop(connection)


async def base(suite: Suite) -> None:
    """Resumed at the end, with the lower half left out of counts."""
    events = _by_seq(suite)
    if len(events) < EVENTS_MIN:
        return
    at = events[len(events) // 2].seq
    query = _cursor(suite, events[-1].seq, base=at)
    connection = await suite.open(query, Holdings(events, base=at))
    observer = connection.observer
    span = Verify(
        from_=min(one.timestamp for one in events), through=max(one.timestamp for one in events)
    )
    await connection.send(span)
    await connection.until(lambda: bool(observer.replies), suite.patience_s)
    for reply, _ in observer.replies:
        own = observer.holdings.total(reply.from_, reply.through, reply.seq)
        got = (reply.count, reply.digest)
        suite.ledger.check("base", own == got, f"{own}, over seq > {at}", got)
    await suite.drop(connection)


async def filters(suite: Suite) -> None:
    """Each filter by itself, two united, and names that are nearly right."""
    events = suite.main.observer.holdings.in_order()
    streams = sorted({one.stream for one in events})
    if not streams:
        return
    first, last = streams[0], streams[-1]
    execution = first.rpartition("/")[2] or first
    wanted = [
        Filter(streams=(first,)),
        Filter(prefixes=(first[: max(1, len(first) - 1)],)),
        Filter(executions=(execution,)),
        Filter(streams=(first,), executions=(last.rpartition("/")[2] or last,)),
        Filter(streams=(first + "-conform",), executions=("-" + execution,)),
    ]
    for one in wanted:
        connection = await suite.open(TailQuery(since=suite.main.observer.since, filter=one))
        await _is_whole(suite, connection, "filters", events)
        await suite.drop(connection)


async def refusals(suite: Suite) -> None:
    """What is said before the upgrade."""
    check, group = suite.ledger.check, {"group": suite.group} if suite.group else {}
    for query, name in MALFORMED:
        asked = "&".join([urlencode(group), query]) if group else query
        answer = await suite.refusal(asked, token=suite.token)
        status = None if answer is None else answer.status
        said = "" if answer is None else str(answer.fields().get("error", ""))
        expected = f"{query}: 400 and an error that names {name}"
        check("malformed", status == 400 and name in said, expected, f"{status} {said}")
    unknown = "/conform/no-such-group"
    answer = await suite.refusal(urlencode({"group": unknown}), token=suite.token)
    status = None if answer is None else answer.status
    said = "" if answer is None else str(answer.fields().get("error", ""))
    # A forwarder that asks for tokens may not tell whoever has none for it what there is.
    allowed = (404,) if suite.token is None else (404, 403)
    holds = status in allowed and (unknown in said or status != 404)
    check("unknown-group", holds, f"404 and an error that names {unknown}", f"{status} {said}")
    if suite.token is not None:
        answer = await suite.refusal(urlencode(group), token=None)
        status = None if answer is None else answer.status
        check("token", status == 401, "401", status)


def _by_seq(suite: Suite) -> list[Held]:
    return sorted(suite.main.observer.holdings.events.values(), key=lambda one: one.seq)


def _cursor(suite: Suite, after: int, *, held: Interval | None = None, base: int = 0) -> TailQuery:
    welcome = suite.main.observer.welcome
    assert welcome is not None
    since = suite.main.observer.since
    return TailQuery(since=since, epoch=welcome.epoch, after=after, held=held, base=base)


def _is(suite: Suite, connection: Connection, rule: str, outcome: str) -> bool:
    welcome = connection.observer.welcome
    assert welcome is not None
    return suite.ledger.check(rule, welcome.outcome == outcome, outcome, welcome.outcome)


async def _missing(suite: Suite, connection: Connection, wanted: set[int]) -> set[int]:
    """Which of these positions do not come, in all the time that there is."""
    seen = connection.observer.seen
    await connection.until(lambda: wanted <= seen, suite.patience_s)
    return wanted - seen


async def _is_whole(suite: Suite, connection: Connection, rule: str, events: list[Held]) -> None:
    """Whether a connection comes to hold what the main one does, as far as its filter goes."""
    observer = connection.observer
    wants = observer.query.filter.matches
    wanted = {one.key for one in events if wants(one.stream)}

    def is_there() -> bool:
        return observer.is_done and wanted <= set(observer.holdings.events)

    await connection.until(is_there, suite.patience_s)
    missing = wanted - set(observer.holdings.events)
    got = f"{len(missing)} of {len(wanted)} missing, done: {observer.is_done}"
    suite.ledger.check(rule, not missing and observer.is_done, "everything, and done", got)


def _inside_a_millisecond(events: list[Held], at: int) -> int:
    """The first place from ``at`` on whose next event is of the same millisecond, else ``at``."""
    for place in range(at, len(events) - 1):
        if events[place].timestamp == events[place + 1].timestamp:
            return place
    return at


SCENARIOS: Final = (
    Scenario(frozenset({"since-default"}), since_default),
    Scenario(frozenset({"resumed", "no-held", "seq-cover", "once"}), resumed),
    Scenario(frozenset({"held"}), held),
    Scenario(frozenset({"rebased"}), rebased),
    Scenario(frozenset({"base"}), base),
    Scenario(frozenset({"filters"}), filters),
    Scenario(frozenset({"malformed", "unknown-group", "token"}), refusals),
)
