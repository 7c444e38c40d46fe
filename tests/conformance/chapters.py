"""Scenarios that exercise the rules of PROTOCOL.md, grouped by its chapters.

``ALL`` lists them in the order in which they run. The first one loads the main connection, with
whose events the others compare theirs.
"""

from __future__ import annotations

import re
import time
from collections import Counter
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
from wire.messages import Credit, DeclaredBody, LogsPage, Repair, Verify
from wire.order import Interval, key_of
from wire.query import Filter, TailQuery

EVENTS_MIN: Final = 4
"""Fewest events for which a cursor or held interval in the middle tests anything."""

_CLOCKS_MS: Final = 60_000
"""Largest difference allowed between the clocks of forwarder and suite."""

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
    ("pattern=", "pattern"),
)
"""Malformed queries, and the parameter that the error must name."""

# Connecting: cursors, held intervals, filters, base, refused connections


async def since_default(suite: Suite) -> None:
    """Connect without since and cursor: since is 10 minutes ago."""
    connection = await suite.open(TailQuery())
    welcome = connection.observer.welcome
    assert welcome is not None
    expected = time.time_ns() // 1_000_000 - DEFAULT_HISTORY_MS
    holds = abs(welcome.since - expected) <= _CLOCKS_MS
    suite.ledger.check("since-default", holds, f"since {expected}", f"since {welcome.since}")
    await suite.drop(connection)


async def resumed(suite: Suite) -> None:
    """Resume at a cursor in the middle: only later events come, each once, and no history."""
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
        suite.ledger.check("resumed", not missing, expected, f"{len(missing)} missing")
        await _next_beat(suite, connection)
        seen = {one.key for one in events[: at + 1]} & observer.seen
        got = f"{len(seen)} events that the cursor covers"
        suite.ledger.check("no-held", not seen, "no history", got)
    await suite.drop(connection)


async def held(suite: Suite) -> None:
    """Resume with a held interval, which ends between two events of one millisecond if any."""
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
    """Connect with the cursor of an unknown epoch; the forwarder must ignore held."""
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
    """Resume at the last event, with a base that excludes the first half from counts."""
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
    """Connect with each kind of filter, with two, and with names that almost match."""
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


async def pattern(suite: Suite) -> None:
    """Connect to a feed of the events that contain a word, and compare it with all of them."""
    since = suite.main.observer.since
    known = await _messages(suite, since, None)
    word = _rare_word(known)
    if word is None:
        return
    has_others = any(word not in message for message in known.values())
    connection = await suite.open(TailQuery(since=since, filter=Filter(pattern=word)))
    observer = connection.observer
    await connection.until(lambda: observer.is_done and bool(observer.marks), suite.patience_s)
    holds, got = False, "no mark"
    deadline = time.monotonic() + suite.patience_s
    # Two feeds learn of a late event at different times.
    while observer.marks and not holds and time.monotonic() < deadline:
        through = observer.marks[-1].through
        messages = await _messages(suite, since, through)
        wanted = {key for key, message in messages.items() if word in message}
        events = observer.holdings.events.values()
        found = {one.key for one in events if one.timestamp <= through}
        # A range without other events would say nothing.
        holds = found == wanted and (not has_others or len(messages) > len(wanted))
        got = f"{len(wanted - found)} missing, {len(found - wanted)} that do not match"
        await _next_beat(suite, connection)
    suite.ledger.check("pattern", holds, f"the events that contain {word}", got)
    await suite.drop(connection)


async def _next_beat(suite: Suite, connection: Connection) -> None:
    beats = connection.observer.beats + 1
    await connection.until(lambda: connection.observer.beats >= beats, suite.patience_s)


async def _messages(suite: Suite, since: int, through: int | None) -> dict[int, str]:
    """Every message of a range by its position K, from /v1/logs."""
    found: dict[int, str] = {}
    query: dict[str, Any] = {"since": since} | ({} if through is None else {"through": through})
    for _ in range(PAGES_MAX):
        page = _page(suite, await suite.get("/v1/logs", **query), LOGS_PAGE_EVENTS_MAX)
        if page is None:
            break
        found |= {key_of(one.timestamp, one.id): one.message for one in page.items}
        if page.next is None:
            break
        query["next"] = page.next
    return found


def _rare_word(messages: dict[int, str]) -> str | None:
    """A word that few messages contain, as CloudWatch takes it for a pattern; None without one."""
    counts = Counter(
        word
        for message in messages.values()
        for word in set(re.findall(r"(?<!\w)[A-Za-z][A-Za-z0-9_]{1,100}", message))
    )
    return min(counts, key=lambda word: (counts[word], word), default=None)


async def refusals(suite: Suite) -> None:
    """Open connections that the forwarder must refuse, and check the HTTP responses."""
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
    # With tokens, a client may not learn which log groups exist.
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
    """Wait for events at these positions; returns those that did not arrive in time."""
    seen = connection.observer.seen
    await connection.until(lambda: wanted <= seen, suite.patience_s)
    return wanted - seen


async def _is_whole(suite: Suite, connection: Connection, rule: str, events: list[Held]) -> None:
    """Check that a connection gets all events of the main one that its filter matches."""
    observer = connection.observer
    wants = observer.query.filter.matches
    wanted = {one.key for one in events if wants(one.stream)}

    def is_there() -> bool:
        return observer.is_done and wanted <= set(observer.holdings.events)

    await connection.until(is_there, suite.patience_s)
    missing = wanted - set(observer.holdings.events)
    got = f"{len(missing)} of {len(wanted)} missing, done: {observer.is_done}"
    suite.ledger.check(rule, not missing and observer.is_done, "all events, and done", got)


def _inside_a_millisecond(events: list[Held], at: int) -> int:
    """First index from ``at`` on whose successor has the same timestamp; ``at`` without one."""
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
    Scenario(frozenset({"pattern"}), pattern),
    Scenario(frozenset({"malformed", "unknown-group", "token"}), refusals),
)


# Server to client: history, marks, heartbeats, gaps

_LIVE_IN_A_ROW_MAX = 3
"""Live frames that may precede a history frame that is waiting [15]."""


async def load_main(suite: Suite) -> None:
    """Load the main connection: all history, then marks up to the present."""
    main, check = suite.main, suite.ledger.check
    observer = main.observer
    welcome = observer.welcome
    assert welcome is not None
    check("fresh", welcome.outcome == "fresh", "fresh", welcome.outcome)
    done = await main.until(lambda: observer.is_done, suite.patience_s)
    check("done", done, f"done within {suite.patience_s:.0f} s", "no done")
    if done:
        # A mark implies that all frames before it have arrived.
        green = await main.until(lambda: observer.green_through() is not None, suite.patience_s)
        got = [(mark.from_, mark.through) for mark in observer.marks[-3:]]
        check("green", green, f"adjoining marks from {observer.since}", got)
    wait_s = 3 * welcome.heartbeat_ms / 1000 + suite.patience_s / 4
    beats = observer.beats + 2
    if not await main.until(lambda: observer.beats >= beats, wait_s):
        check("heartbeat", holds=False, expected="two heartbeats", got=f"none in {wait_s:.0f} s")


async def history(suite: Suite) -> None:
    """Check which end of the history comes first, by its first frame."""
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
            got = f"first held {first.held}"
            suite.ledger.check("history", is_newest == (end == "newest"), f"the {end} end", got)
        await suite.drop(connection)


def _has_slice(observer: Observer) -> bool:
    return observer.first_held is not None


async def skipped(suite: Suite) -> None:
    """Connect with a filter that matches nothing: the cursor must still advance."""
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
    expected = f"cursor at {seqs[-1]} or above, by empty frames"
    suite.ledger.check("skipped", moved, expected, f"at {observer.cursor}")
    await suite.drop(connection)


async def share(suite: Suite) -> None:
    """Request live events and history at once, and check that history gets its share."""
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
            got = f"{longest} live frames in a row while history waited"
            suite.ledger.check("past-share", holds, "at most 3 in a row", got)
    await suite.drop(connection)


async def gaps(suite: Suite) -> None:
    """Check that a gap that is open on one connection is sent on the next."""
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
                "altered",
            }
        ),
        load_main,
    ),
    Scenario(frozenset({"history"}), history),
    Scenario(frozenset({"skipped"}), skipped),
    Scenario(frozenset({"past-share"}), share),
    Scenario(frozenset({"gap-again"}), gaps),
)


# Client to server: verify, repair, credit, malformed messages

FEW: Final = 7
"""Events of the first credit grant."""

MORE: Final = 10
"""Events of the last credit grant."""

REPAIRED_MAX: Final = 300
"""Approximate number of events that a repair requests."""

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
    """Verify the whole range, and one that starts before since."""
    main = suite.main
    observer = main.observer
    last = max((one.timestamp for one in observer.holdings.events.values()), default=observer.since)
    for from_ in (observer.since, 0):
        await _ask(suite, main, Verify(from_=from_, through=last), "verify")


async def repair(suite: Suite) -> None:
    """Repair a range in the middle."""
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
    suite.ledger.check(rule, answered, "a digest", "no answer")


async def credit(suite: Suite) -> None:
    """Grant a few events, then fewer, then a few more, then all."""
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
        check("credit-free", beat, "heartbeats without credit", "no heartbeats")
        check(rule, observer.items == allowed, f"{allowed} events", f"{observer.items}")
    await connection.send(Credit(events=10 * total))
    done = await connection.until(lambda: observer.is_done, suite.patience_s)
    check("credit", done, "all events, once granted", f"{observer.items} of {total}")
    await suite.drop(connection)


async def bad_messages(suite: Suite) -> None:
    """Send malformed messages; the forwarder must close only that connection."""
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
    check("bad-alone", lives, "other connections stay open", f"closed: {main.close_code}")


REQUESTS: Final = (
    Scenario(frozenset({"verify"}), verify),
    Scenario(frozenset({"repair"}), repair),
    Scenario(frozenset({"credit", "credit-cumulative", "credit-free"}), credit),
    Scenario(frozenset({"bad-message", "bad-alone"}), bad_messages),
)


# HTTP: log pages, digests, executions, groups, viewers, health, metrics

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
    """Read all of /v1/logs in small pages and compare it with the WebSocket's events."""
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
        check("logs-order", holds, "ascending positions K", "another order")
    missing = known - set(keys)
    holds = not missing and len(set(keys)) == len(keys)
    got = f"{len(missing)} missing, {len(keys) - len(set(keys))} duplicated"
    check("logs-whole", holds, f"{len(known)} events, each once", got)


async def after_cursor(suite: Suite) -> None:
    """Read pages after a cursor: in seq order, and 409 for an unknown epoch."""
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
        # Large events may fill a page before the limit.
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
    """Send malformed, unknown and overlong requests and check the errors."""
    check = suite.ledger.check
    for query, status in (
        ("limit=0", BAD),
        ("since=yesterday", BAD),
        ("group=%2Fconform%2Fno-such-group", NONE_SUCH),
    ):
        answer = await suite.get_raw("/v1/logs", query)
        said = answer.fields().get("error")
        # The forwarder checks group and token before the other parameters.
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
    """Compare /v1/digest with the client's own, for the current and for an earlier seq."""
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


async def declared(suite: Suite) -> None:
    """Check what is declared to a client that polls; a forwarder may lack this extension."""
    answer = await suite.get("/v1/declared", since=suite.main.observer.since)
    if answer.status == NONE_SUCH:
        return
    welcome = suite.main.observer.welcome
    assert welcome is not None
    try:
        found = decode_body(answer.body, DeclaredBody, bytes_max=len(answer.body))
        holds, got = found.epoch == welcome.epoch, f"epoch {found.epoch}"
    except WireError as error:
        holds, got = False, f"{answer.status}: {error}"
    suite.ledger.check("declared", holds, f"what is declared of epoch {welcome.epoch}", got)


async def service_pages(suite: Suite) -> None:
    """Check the responses of executions, groups, viewers, health and metrics."""
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
    groups = [one if isinstance(one, str) else str(one) for one in names or ()]
    holds = answer.status == OK and bool(groups)
    holds = holds and (suite.group is None or any(suite.group in one for one in groups))
    check("groups", holds, f"groups including {suite.group}", f"{answer.status} {groups[:3]}")
    answer = await suite.get("/v1/viewers")
    rows = rows_of(answer, "viewers")
    holds = bool(rows) and any(one.get("since") == suite.main.observer.since for one in rows or ())
    check(
        "viewers", holds, "an entry for this connection", f"{answer.status} {answer.body[:200]!r}"
    )
    answer = await suite.get_raw("/healthz", "")
    check("health", answer.status == OK, "/healthz: 200", answer.status)
    answer = await suite.get_raw("/readyz", "")
    check("health", answer.status in (OK, NOT_READY), "/readyz: 200 or 503", answer.status)
    answer = await suite.get_raw("/metrics", "")
    text = answer.body.decode("utf-8", "replace")
    holds = answer.status == OK and answer.content_type.startswith("text/plain")
    check("metrics", holds and "# TYPE " in text, "Prometheus text", f"{answer.status} {text[:80]}")


def rows_of(answer: Answer, name: str) -> list[dict[str, Any]] | None:
    """The rows of a response: its JSON array, or the array of that name in its JSON object."""
    found = answer.json()
    rows = found.get(name) if isinstance(found, dict) else found
    if answer.status != OK or not isinstance(rows, list):
        return None
    return rows if all(isinstance(one, dict) for one in rows) else None


def _page(suite: Suite, answer: Answer, limit: int) -> LogsPage | None:
    """Decode a page and check its limits; None if it is not a page."""
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
    Scenario(frozenset({"declared"}), declared),
    Scenario(frozenset({"executions", "groups", "viewers", "health", "metrics"}), service_pages),
)


# Executions: all their events, and their end

_OVER: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})

EVENTS_MAX: Final = 50_000
"""Executions with more events are skipped."""


async def end(suite: Suite) -> None:
    """Follow an ended execution on two connections: all its events, then its end."""
    rows = rows_of(await suite.get("/v1/executions"), "executions") or []
    usable = [one for one in rows if 0 < (one.get("count") or 0) <= EVENTS_MAX]
    over = [one for one in usable if one.get("status") in _OVER]
    if not usable:
        return
    if not over:
        suite.ledger.not_shown(
            "end", "no execution has ended: the forwarder may have no lifecycle rule"
        )
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
