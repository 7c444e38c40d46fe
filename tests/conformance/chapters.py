"""Every scenario, in the order in which they are run; the first fills the main connection.

The page's "connecting": cursors, held, filters, base, and what is refused. Scenarios.

The page's "server to client": the past, marks, heartbeats, gaps. Scenarios.

The page's "client to server": verify, repair, credit, and what is none of them. Scenarios.

The page's "HTTP on the same port". Scenarios.

What the page says of executions: everything they have, and their end. Scenarios.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import pairwise
from typing import Any, Final
from urllib.parse import urlencode

from tests.conformance.observer import Connection, Held, Holdings, Observer
from tests.conformance.suite import Answer, Scenario, Suite
from wire.codec import decode_body
from wire.errors import WireError
from wire.limits import (
    CLOSE_BAD_MESSAGE,
    DEFAULT_HISTORY_MS,
    FRAME_EVENTS_MAX,
    LOGS_PAGE_BYTES_MAX,
    LOGS_PAGE_EVENTS_MAX,
    REQUEST_LINE_BYTES_MAX,
)
from wire.messages import Credit, LogsPage, Repair, Verify
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
    expected = time.time_ns() // 1_000_000 - DEFAULT_HISTORY_MS
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


CONNECTING: Final = (
    Scenario(frozenset({"since-default"}), since_default),
    Scenario(frozenset({"resumed", "no-held", "seq-cover", "once"}), resumed),
    Scenario(frozenset({"held"}), held),
    Scenario(frozenset({"rebased"}), rebased),
    Scenario(frozenset({"base"}), base),
    Scenario(frozenset({"filters"}), filters),
    Scenario(frozenset({"malformed", "unknown-group", "token"}), refusals),
)


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


STREAMING = (
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


FEW: Final = 7
"""Events that the first grant lets through."""

MORE: Final = 10
REPAIRED_MAX: Final = 300
"""Events that a repair has sent again, at about."""

BAD_FRAMES: Final[tuple[str | bytes, ...]] = (
    "nonsense",
    "[]",
    '{"type":"conform"}',
    '{"type":"credit"}',
    '{"type":"credit","events":-1}',
    '{"type":"verify","from":1}',
    '{"type":"repair","from":"a","through":2}',
    b"\xff\xfe",
)


async def verify(suite: Suite) -> None:
    """The whole range, and one that begins before since."""
    main = suite.main
    observer = main.observer
    last = max((one.timestamp for one in observer.holdings.events.values()), default=observer.since)
    for from_ in (observer.since, 0):
        await _ask(suite, main, Verify(from_=from_, through=last), "verify")


async def repair(suite: Suite) -> None:
    """A range in the midst, sent again."""
    main = suite.main
    events = main.observer.holdings.in_order()
    if not events:
        return
    middle = events[len(events) // 3 :][:REPAIRED_MAX]
    span = Repair(from_=middle[0].timestamp, through=middle[-1].timestamp)
    await _ask(suite, main, span, "repair")


async def _ask(suite: Suite, connection: Connection, asked: Verify | Repair, rule: str) -> None:
    replies = connection.observer.replies
    before = len(replies)
    await connection.send(asked)
    answered = await connection.until(lambda: len(replies) > before, suite.patience_s)
    suite.ledger.check(rule, answered, "a digest", "none")


async def credit(suite: Suite) -> None:
    """Few events, then a lower grant, then a few more, then all."""
    total = len(suite.main.observer.holdings.events)
    if total <= MORE:
        return
    check = suite.ledger.check
    connection = await suite.open(TailQuery(since=suite.main.observer.since, credit=FEW))
    observer = connection.observer
    for granted, rule in ((FEW, "credit"), (FEW - 2, "credit-cumulative"), (MORE, "credit")):
        allowed = max(granted, FEW)
        if granted != FEW:
            await connection.send(Credit(events=granted))
        came = await connection.until(lambda of=allowed: observer.items >= of, suite.patience_s)  # type: ignore[misc]
        check(rule, came, f"{allowed} events", f"{observer.items}")
        beats = observer.beats + 2
        beat = await connection.until(lambda of=beats: observer.beats >= of, suite.patience_s)  # type: ignore[misc]
        check("credit-free", beat, "heartbeats without credit", "none")
        check(rule, observer.items == allowed, f"{allowed} events", f"{observer.items}")
    await connection.send(Credit(events=10 * total))
    done = await connection.until(lambda: observer.is_done, suite.patience_s)
    check("credit", done, "everything, once it is granted", f"{observer.items} of {total}")
    await suite.drop(connection)


async def bad_messages(suite: Suite) -> None:
    """Each on a connection of its own, which alone is closed for it."""
    main, check = suite.main, suite.ledger.check
    for frame in BAD_FRAMES:
        connection = await suite.open(TailQuery(since=main.observer.since, credit=0))
        await connection.send_raw(frame)
        await connection.until(lambda: False, suite.patience_s)
        got = f"{connection.close_code}" if connection.is_over else "still open"
        holds = connection.close_code == CLOSE_BAD_MESSAGE
        check("bad-message", holds, f"close {CLOSE_BAD_MESSAGE} after {frame!r}", got)
        await suite.drop(connection)
    beats = main.observer.beats + 1
    lives = await main.until(lambda: main.observer.beats >= beats, suite.patience_s)
    check("bad-alone", lives, "the other connection goes on", f"closed: {main.close_code}")


REQUESTS: Final = (
    Scenario(frozenset({"verify"}), verify),
    Scenario(frozenset({"repair"}), repair),
    Scenario(frozenset({"credit", "credit-cumulative", "credit-free"}), credit),
    Scenario(frozenset({"bad-message", "bad-alone"}), bad_messages),
)


OK: Final = 200
BAD: Final = 400
NO_TOKEN: Final = 401
NONE_SUCH: Final = 404
CONFLICT: Final = 409
TOO_LONG: Final = 414
NOT_READY: Final = 503

PAGES_MAX: Final = 2_000
NO_EPOCH: Final = "conform-no-such-epoch"

_STATUSES: Final = frozenset({"RUNNING", "SUCCEEDED", "FAILED", "STOPPED", "UNKNOWN"})


async def logs(suite: Suite) -> None:
    """All pages, small ones, against what the WebSocket sent."""
    observer, check = suite.main.observer, suite.ledger.check
    known = set(observer.holdings.events)
    limit = max(2, min(LOGS_PAGE_EVENTS_MAX, len(known) // 3))
    items: list[Held] = []
    query: dict[str, Any] = {"since": observer.since, "limit": limit}
    for _ in range(PAGES_MAX):
        page = _page(suite, await suite.get("/v1/logs", **query), limit)
        if page is None:
            return
        items += [Held.of(one) for one in page.items]
        if page.next is None:
            break
        query["next"] = page.next
    else:
        check("logs-page", holds=False, expected="next null at the end", got=f"{PAGES_MAX} pages")
        return
    keys = [one.key for one in items]
    if len(keys) > 1:
        holds = all(left < right for left, right in pairwise(keys))
        check("logs-order", holds, "each after the one before, by K", "otherwise")
    missing = known - set(keys)
    holds = not missing and len(set(keys)) == len(keys)
    got = f"{len(missing)} missing, {len(keys) - len(set(keys))} doubled"
    check("logs-whole", holds, f"{len(known)} events, each once", got)


async def after_cursor(suite: Suite) -> None:
    """Pages in seq order."""
    observer, check = suite.main.observer, suite.ledger.check
    events = sorted(observer.holdings.events.values(), key=lambda one: one.seq)
    assert observer.welcome is not None
    epoch = observer.welcome.epoch
    if len(events) >= EVENTS_MIN:
        after, until = events[len(events) // 4].seq, events[len(events) // 2].seq
        wanted = [one.seq for one in events if after < one.seq <= until][:LOGS_PAGE_EVENTS_MAX]
        answer = await suite.get(
            "/v1/logs", since=observer.since, epoch=epoch, after=after, until_seq=until
        )
        page = _page(suite, answer, LOGS_PAGE_EVENTS_MAX)
        got = [] if page is None else [one.seq for one in page.items]
        # Larger events may end a page sooner.
        holds = bool(got) and (got == wanted or (page is not None and page.next is not None))
        holds = holds and got == wanted[: len(got)]
        check("logs-seq", holds, f"seq {wanted[0]} to {wanted[-1]}", f"{got[:3]} to {got[-3:]}")
    conflicts = {
        "logs-conflict": await suite.get("/v1/logs", since=0, epoch=NO_EPOCH, after=1),
        "digest-conflict": await suite.get("/v1/digest", from_=0, through=1, epoch=NO_EPOCH, seq=1),
    }
    for rule, answer in conflicts.items():
        said = answer.fields().get("epoch")
        holds = answer.status == CONFLICT and said == epoch
        check(rule, holds, f"409 with epoch {epoch}", f"{answer.status} with epoch {said}")


async def http_refusals(suite: Suite) -> None:
    """What is malformed, unknown, or too long."""
    check = suite.ledger.check
    for query, status in (
        ("limit=0", BAD),
        ("since=yesterday", BAD),
        ("group=%2Fconform%2Fno-such-group", NONE_SUCH),
    ):
        answer = await suite.get_raw("/v1/logs", query)
        said = answer.fields().get("error")
        # With several groups the group is asked for first; with tokens, whether it is covered.
        allowed = {status} | ({403} if suite.token is not None else set())
        holds = answer.status in allowed and isinstance(said, str) and bool(said)
        check("logs-refusals", holds, f"{query}: {status} and an error", f"{answer.status} {said}")
    long = "x" * (REQUEST_LINE_BYTES_MAX + 100)
    answer = await suite.get("/v1/logs", conform=long)
    check("request-line", answer.status == TOO_LONG, "414", answer.status)
    if suite.token is not None:
        answer = await suite.get("/v1/logs", token=False, limit=1)
        check("http-token", answer.status == NO_TOKEN, "401", answer.status)


async def digest(suite: Suite) -> None:
    """For the present head, and for the journal as it stood before."""
    observer, check = suite.main.observer, suite.ledger.check
    assert observer.welcome is not None
    through = max((one.timestamp for one in observer.holdings.events.values()), default=0)
    if not await suite.main.until(lambda: observer.is_done, suite.patience_s):
        return
    seqs = sorted(one.seq for one in observer.holdings.events.values())
    for seq in {observer.cursor, *seqs[len(seqs) // 2 :][:1]}:
        answer = await suite.get(
            "/v1/digest",
            from_=observer.since,
            through=through,
            epoch=observer.welcome.epoch,
            seq=seq,
        )
        found = answer.fields()
        own = observer.holdings.total(observer.since, through, seq)
        got = (found.get("count"), found.get("digest"))
        check("digest", own == got, f"{own} at seq {seq}", f"{answer.status} {got}")


async def the_rest(suite: Suite) -> None:
    """Executions, groups, viewers, health, metrics."""
    check = suite.ledger.check
    answer = await suite.get("/v1/executions")
    rows = rows_of(answer, "executions")
    wanted = {"execution", "status", "first", "last", "count"}
    holds = rows is not None and all(
        wanted <= set(one) and one["status"] in _STATUSES for one in rows
    )
    check(
        "executions", holds, f"rows with {sorted(wanted)}", f"{answer.status} {answer.body[:200]!r}"
    )
    answer = await suite.get("/v1/groups")
    found = answer.json()
    names = found.get("groups") if isinstance(found, dict) else found
    told = [one if isinstance(one, str) else str(one) for one in names or ()]
    holds = answer.status == OK and bool(told)
    holds = holds and (suite.group is None or any(suite.group in one for one in told))
    check("groups", holds, f"the groups, {suite.group} among them", f"{answer.status} {told[:3]}")
    answer = await suite.get("/v1/viewers")
    rows = rows_of(answer, "viewers")
    holds = bool(rows) and any(one.get("since") == suite.main.observer.since for one in rows or ())
    check("viewers", holds, "a record of our connection", f"{answer.status} {answer.body[:200]!r}")
    answer = await suite.get_raw("/healthz", "")
    check("health", answer.status == OK, "/healthz: 200", answer.status)
    answer = await suite.get_raw("/readyz", "")
    check("health", answer.status in (OK, NOT_READY), "/readyz: 200 or 503", answer.status)
    answer = await suite.get_raw("/metrics", "")
    text = answer.body.decode("utf-8", "replace")
    holds = answer.status == OK and answer.content_type.startswith("text/plain")
    check("metrics", holds and "# TYPE " in text, "Prometheus text", f"{answer.status} {text[:80]}")


def rows_of(answer: Answer, name: str) -> list[dict[str, Any]] | None:
    """The rows of an answer: an array, or an object that has one by that name."""
    found = answer.json()
    rows = found.get(name) if isinstance(found, dict) else found
    if answer.status != OK or not isinstance(rows, list):
        return None
    return rows if all(isinstance(one, dict) for one in rows) else None


def _page(suite: Suite, answer: Answer, limit: int) -> LogsPage | None:
    """A page, if it is one and keeps to its bounds."""
    try:
        page = decode_body(answer.body, LogsPage, bytes_max=len(answer.body))
    except WireError as error:
        got = f"{answer.status}: {error}"
        suite.ledger.check("logs-page", holds=False, expected="a page of items", got=got)
        return None
    size, count = len(answer.body), len(page.items)
    holds = count <= limit and (size <= LOGS_PAGE_BYTES_MAX or count == 1)
    expected = f"at most {limit} items and 4 MiB"
    suite.ledger.check("logs-page", holds, expected, f"{count} items in {size} bytes")
    return page


HTTP: Final = (
    Scenario(frozenset({"logs-order", "logs-whole", "logs-page"}), logs),
    Scenario(frozenset({"logs-seq", "logs-conflict", "digest-conflict"}), after_cursor),
    Scenario(frozenset({"logs-refusals", "request-line", "http-token"}), http_refusals),
    Scenario(frozenset({"digest"}), digest),
    Scenario(frozenset({"executions", "groups", "viewers", "health", "metrics"}), the_rest),
)


_OVER: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})

EVENTS_MAX: Final = 50_000
"""An execution with more events is left alone."""


async def end(suite: Suite) -> None:
    """Of an execution that is over: all that it has, then its end, on each of two connections."""
    rows = rows_of(await suite.get("/v1/executions"), "executions") or []
    usable = [one for one in rows if 0 < (one.get("count") or 0) <= EVENTS_MAX]
    over = [one for one in usable if one.get("status") in _OVER]
    if not usable:
        return
    if not over:
        suite.ledger.not_shown("end", "no execution is over: has the forwarder a lifecycle?")
        await _everything(suite, usable[0], wait_end=False)
        return
    for _ in range(2):
        await _everything(suite, over[0], wait_end=True)


async def _everything(suite: Suite, row: dict[str, Any], *, wait_end: bool) -> None:
    check, name = suite.ledger.check, str(row["execution"])
    connection = await suite.open(TailQuery(filter=Filter(executions=(name,))))
    observer = connection.observer
    done = await connection.until(lambda: observer.is_done, suite.patience_s)
    count = len(observer.holdings.events)
    holds = done and count >= int(row["count"])
    expected = f"the {row['count']} events of {name}, and done"
    check("since-execution", holds, expected, f"{count}, done: {done}")
    if wait_end:
        came = await connection.until(lambda: bool(observer.ends), suite.patience_s)
        got = "none"
        if came:
            got = f"{observer.ends[-1].execution} {observer.ends[-1].status}"
            came = (observer.ends[-1].execution, observer.ends[-1].status) == (name, row["status"])
        expected = f"the end of {name} as {row['status']}"
        check("end", came, expected, got)
        if not suite.ledger.has_failed("end"):
            check("end-again", came, expected, got)
    await suite.drop(connection)


EXECUTIONS: Final = (Scenario(frozenset({"end", "end-again", "since-execution"}), end),)


ALL: Final[tuple[Scenario, ...]] = (
    *STREAMING,
    *CONNECTING,
    *HTTP,
    *REQUESTS,
    *EXECUTIONS,
)
