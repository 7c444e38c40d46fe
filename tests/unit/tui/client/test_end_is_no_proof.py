"""Green comes of marks alone: an execution's end says that it is over, not what was scanned."""

from __future__ import annotations

from tui.client.holdings import ClaimedTotal, Holdings
from tui.client.status import ExecutionEnded
from wire.digest import digest_hex, event_digest
from wire.messages import End, Item, Mark

FAR_AHEAD = 90_000
ITEMS = [
    Item(1, "1", 1_000, None, "job/a", "begin", "live"),
    Item(2, "2", FAR_AHEAD, None, "job/a", "stamped ahead of the clock", "live"),
]
DIGEST = digest_hex(
    sum(event_digest(one.id, one.timestamp, one.stream, one.message) for one in ITEMS)
)


def end(digest: str = DIGEST) -> End:
    return End(
        execution="a",
        status="SUCCEEDED",
        from_=1_000,
        through=FAR_AHEAD,
        seq=2,
        count=2,
        digest=digest,
    )


def holdings() -> Holdings:
    held = Holdings()
    held.proof.since = 1_000
    held.store(ITEMS, live=True)
    return held


def test_an_equal_end_leaves_green_where_the_marks_put_it() -> None:
    held = holdings()
    mark = Mark(
        from_=1_000,
        through=5_000,
        scanned_at=7_000,
        seq=2,
        count=1,
        digest=digest_hex(event_digest("1", 1_000, "job/a", "begin")),
    )
    held.compare_mark(mark, 1)
    (ended,) = held.compare_end(end()).effects
    assert isinstance(ended, ExecutionEnded)
    assert ended.end.equal
    assert held.proof.complete_through == 5_000


def test_an_unequal_end_is_asked_about_and_may_agree_after_all() -> None:
    held = Holdings()
    held.proof.since = 1_000
    held.store(ITEMS[:1], live=True)
    judged = held.compare_end(end())
    (request,) = judged.requests
    assert (request.kind, request.scanned) == ("verify", False)
    held.store(ITEMS, live=False)
    claim = ClaimedTotal(1_000, FAR_AHEAD, 2, 2, DIGEST)
    (ended,) = held.compare_answer(request, claim, (), 1).effects
    assert isinstance(ended, ExecutionEnded)
    assert ended.end.equal
    assert held.proof.complete_through is None
