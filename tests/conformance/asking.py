"""The page's "client to server": verify, repair, credit, and what is none of them. Scenarios."""

from __future__ import annotations

from typing import Final

from tests.conformance.connection import Connection
from tests.conformance.suite import Scenario, Suite
from wire.limits import CLOSE_BAD_MESSAGE
from wire.messages import Credit, Repair, Verify
from wire.query import TailQuery

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


SCENARIOS: Final = (
    Scenario(frozenset({"verify"}), verify),
    Scenario(frozenset({"repair"}), repair),
    Scenario(frozenset({"credit", "credit-cumulative", "credit-free"}), credit),
    Scenario(frozenset({"bad-message", "bad-alone"}), bad_messages),
)
