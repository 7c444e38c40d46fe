"""The page's "server to client": the past, marks, heartbeats, gaps. Scenarios."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from tests.conformance.holdings import Holdings
from tests.conformance.observer import Observer
from tests.conformance.suite import Scenario, Suite
from wire.limits import FRAME_EVENTS_MAX
from wire.messages import Credit
from wire.order import Interval
from wire.query import Filter, TailQuery

_LIVE_IN_A_ROW_MAX = 3


async def past(suite: Suite) -> None:
    """The connection that all the rest is compared with: to the end of the past, and green."""
    main, check = suite.main, suite.ledger.check
    observer = main.observer
    welcome = observer.welcome
    assert welcome is not None
    check("fresh", welcome.outcome == "fresh", "fresh", welcome.outcome)
    done = await main.until(lambda: observer.is_done, suite.patience_s)
    check("done", done, f"done within {suite.patience_s:.0f} s", "nothing of it")
    if done:
        # What a frame announces is whole with the next; a mark says that nothing is on its way.
        green = await main.until(lambda: observer.green_through() is not None, suite.patience_s)
        got = [(mark.from_, mark.through) for mark in observer.marks[-3:]]
        check("green", green, f"marks that join, from {observer.since} on", got)
    wait_s = 3 * welcome.heartbeat_ms / 1000 + suite.patience_s / 4
    beats = observer.beats + 2
    if not await main.until(lambda: observer.beats >= beats, wait_s):
        check("heartbeat", holds=False, expected="two heartbeats", got=f"none in {wait_s:.0f} s")


async def history(suite: Suite) -> None:
    """Which end of the past comes first, seen from its first slice."""
    if len(suite.main.observer.holdings.events) <= FRAME_EVENTS_MAX:
        return
    for end in ("newest", "oldest"):
        query = TailQuery(
            since=suite.main.observer.since,
            history="oldest" if end == "oldest" else "newest",
            credit=FRAME_EVENTS_MAX,
        )
        connection = await suite.open(query)
        observer = connection.observer
        await connection.until(partial(_has_slice, observer), suite.patience_s)
        first, held = observer.first_held, observer.held
        if first is not None and not first.done and held is not None and held != Interval():
            is_newest = held.high is None
            got = f"held {first.held} first"
            suite.ledger.check("history", is_newest == (end == "newest"), f"the {end} end", got)
        await suite.drop(connection)


def _has_slice(observer: Observer) -> bool:
    return observer.first_held is not None


async def skipped(suite: Suite) -> None:
    """A filter that wants nothing: the cursor moves on all the same."""
    main = suite.main.observer
    seqs = sorted(one.seq for one in main.holdings.events.values())
    if main.welcome is None or len(seqs) < 2:
        return
    query = TailQuery(
        since=main.since,
        epoch=main.welcome.epoch,
        after=seqs[0],
        filter=Filter(streams=("conform: no such stream",)),
    )
    connection = await suite.open(query)
    observer = connection.observer
    moved = await connection.until(lambda: observer.cursor >= seqs[-1], suite.patience_s)
    expected = f"the cursor at {seqs[-1]} or above, by empty frames"
    suite.ledger.check("skipped", moved, expected, f"at {observer.cursor}")
    await suite.drop(connection)


async def share(suite: Suite) -> None:
    """Both owed at once, both in the journal: news behind an old cursor, and the past before it."""
    main = suite.main.observer
    events = main.holdings.in_order()
    seqs = sorted(one.seq for one in events)
    behind = (_LIVE_IN_A_ROW_MAX + 1) * FRAME_EVENTS_MAX
    if main.welcome is None or len(seqs) <= behind:
        return
    after = seqs[-behind - 1]
    pair = next((two for two in pairwise(events) if max(one.seq for one in two) <= after), None)
    if pair is None:
        return
    span = Interval(pair[0].key, pair[1].key)
    query = TailQuery(since=main.since, epoch=main.welcome.epoch, after=after, held=span, credit=0)
    connection = await suite.open(query, Holdings(pair))
    await connection.send(Credit(events=2 * len(events) + FRAME_EVENTS_MAX))
    observer = connection.observer
    if await connection.until(lambda: observer.is_done, suite.patience_s):
        frames = observer.frames
        last = max((at for at, kind in enumerate(frames) if kind == "past"), default=-1)
        if last >= 0 and frames.count("live") > _LIVE_IN_A_ROW_MAX:
            runs = "".join("l" if kind == "live" else " " for kind in frames[:last]).split()
            longest = max(map(len, runs), default=0)
            holds = longest <= _LIVE_IN_A_ROW_MAX
            got = f"{longest} frames of news in a row while the past waited"
            suite.ledger.check("past-share", holds, "at most 3 in a row", got)
    await suite.drop(connection)


async def gaps(suite: Suite) -> None:
    """A gap that is open on one connection is told on the next."""
    main = suite.main.observer
    unrepaired = {name for name, gap in main.gaps.items() if gap.state != "repaired"}
    if not unrepaired:
        return
    connection = await suite.open(TailQuery(since=main.since))
    observer = connection.observer
    await connection.until(lambda: observer.beats >= 1, suite.patience_s)
    still = {name for name in unrepaired if main.gaps[name].state != "repaired"}
    if still:
        missing = sorted(still - set(observer.gaps))
        suite.ledger.check("gap-again", not missing, f"{len(still)} gaps", f"not {missing[:3]}")
    await suite.drop(connection)


SCENARIOS = (
    Scenario(
        frozenset(
            {
                *("n-dense", "seq-cover", "once", "late", "welcome", "fresh", "since", "shape"),
                *("frame-size", "past-neutral", "backfill", "done", "heartbeat", "sent-seq"),
                *("mark-range", "mark-seq", "mark-true", "green", "lost", "bye"),
            }
        ),
        past,
    ),
    Scenario(frozenset({"history"}), history),
    Scenario(frozenset({"skipped"}), skipped),
    Scenario(frozenset({"past-share"}), share),
    Scenario(frozenset({"gap-again"}), gaps),
)
