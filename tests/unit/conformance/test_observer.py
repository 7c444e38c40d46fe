"""Messages as a right forwarder and a wrong one sends them, and what the observer says."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.conformance.observer import Held, Holdings, Observer
from tests.conformance.rules import Ledger, selected
from wire.codec import encode
from wire.messages import (
    Altered,
    AlteredText,
    Backfill,
    Bye,
    DigestReply,
    Events,
    Gap,
    Heartbeat,
    Item,
    Mark,
    Repair,
    ServerMessage,
    Upstream,
    Verify,
    Welcome,
)
from wire.order import Interval, key_of
from wire.query import Filter, TailQuery

SINCE = 1_000
DONE = Backfill(held=f"{SINCE}:0..", done=True)


def item(seq: int, timestamp: int | None = None, stream: str = "s") -> Item:
    return Item(seq, str(seq), timestamp or SINCE + seq, None, stream, f"m{seq}", "live")


def news(*items: Item, after: int) -> Events:
    return Events(after=after, seq=max(one.seq for one in items), items=list(items))


def past(*items: Item, at: int) -> Events:
    return Events(after=at, seq=at, items=list(items))


def beat(seq: int) -> Heartbeat:
    return Heartbeat(head_seq=seq, sent_seq=seq, upstream=Upstream("ok", 0))


def welcome(after: int = 0, **fields: Any) -> Welcome:  # noqa: ANN401 - of the struct's own
    base = Welcome(
        epoch="E", outcome="fresh", after=after, head_seq=9, since=SINCE, heartbeat_ms=2_000
    )
    return msgspec.structs.replace(base, **fields)


class Run:
    """Feeds an observer; ``states`` is what came of the rules."""

    def __init__(self, query: TailQuery | None = None, holdings: Holdings | None = None) -> None:
        self.ledger = Ledger()
        asked = query or TailQuery(since=SINCE)
        self.observer = Observer(self.ledger, asked, holdings or Holdings(), 0.0)
        self._n = 0

    def take(self, *messages: ServerMessage, at_s: float = 0.0) -> Run:
        for message in messages:
            self._n += 1
            message.n = self._n
            self.observer.take(encode(message).decode("utf-8", "surrogatepass"), at_s)
        return self

    def claim(self, from_: int, through: int) -> dict[str, Any]:
        count, digest = self.observer.holdings.total(from_, through, self.observer.cursor)
        span = {"from_": from_, "through": through, "seq": self.observer.cursor}
        return span | {"count": count, "digest": digest}

    @property
    def failed(self) -> set[str]:
        return {one.rule.id for one in self.ledger.verdicts(selected([])) if one.state == "FAILED"}

    def is_ok(self, rule: str) -> bool:
        [verdict] = self.ledger.verdicts([rule])
        return verdict.state == "ok"


def test_a_connection_as_it_should_be() -> None:
    run = Run().take(welcome(2), past(item(1), item(2), at=2), DONE, news(item(3), after=2))
    run.take(beat(3), beat(3), at_s=2.0)
    run.take(Mark(scanned_at=1, **run.claim(SINCE, SINCE + 9)))
    run.take(news(item(4, SINCE + 2), after=3))
    assert run.failed == set()
    for rule in ("n-dense", "seq-cover", "once", "mark-true", "heartbeat", "done", "late"):
        assert run.is_ok(rule), rule
    assert run.observer.green_through() == SINCE + 9


def test_another_text_needs_a_gap_around_it() -> None:
    gap = Gap(
        id="g", from_=SINCE + 1, through=SINCE + 2, state="unrecoverable", reason="altered: other"
    )
    inside = Altered(texts=[AlteredText("2", SINCE + 2, "*", 1)], count=1)
    outside = Altered(texts=[AlteredText("3", SINCE + 3, "*", 1)], count=1)
    back = Altered(texts=[AlteredText("3", SINCE + 3)], count=0)
    declared = Run().take(welcome(), gap, inside, back)
    assert declared.is_ok("altered")
    assert Run().take(welcome(), inside, gap).failed == {"altered"}
    assert Run().take(welcome(), gap, outside).failed == {"altered"}


@pytest.mark.parametrize(
    ("messages", "rule"),
    [
        ([news(item(1), after=0)], "welcome"),
        ([welcome(), welcome()], "welcome"),
        ([welcome(protocol=2)], "welcome"),
        ([welcome(since=SINCE - 1)], "fresh"),
        ([welcome(10)], "welcome"),
        ([welcome(), news(item(2), after=1)], "seq-cover"),
        ([welcome(), news(item(2), item(1), after=0)], "seq-cover"),
        ([welcome(), Events(after=0, seq=1, items=[item(2)])], "seq-cover"),
        ([welcome(2), past(item(3), at=2)], "past-neutral"),
        ([welcome(2), past(item(1, 5), at=2)], "since"),
        ([welcome(2), past(item(1), at=2), past(item(1), at=2)], "once"),
        ([welcome(), news(item(1), after=0), news(item(2, 1_001), after=1)], ""),
        ([welcome(2), DONE, past(item(1), at=2)], "done"),
        ([welcome(2), Backfill(held="1500:0..", done=True)], "done"),
        ([welcome(2), Backfill(held="1000:0..2000:0", done=True)], "done"),
        ([welcome(2), Backfill(held="1500:0.."), Backfill(held="1600:0..")], "backfill"),
        ([welcome(2), Backfill(held="weather")], "backfill"),
        ([welcome(), beat(1)], "sent-seq"),
        ([welcome(), Bye(reason="x"), beat(0)], "bye"),
        ([welcome(), DigestReply(from_=1, through=2, seq=0, count=0, digest="0" * 16)], "verify"),
    ],
)
def test_what_breaks_a_rule(messages: list[ServerMessage], rule: str) -> None:
    failed = Run().take(*messages).failed
    assert failed == ({rule} if rule else set())


def test_marks() -> None:
    def mark(**changes: Any) -> set[str]:  # noqa: ANN401 - of the struct's own
        run = Run().take(welcome(), DONE, news(item(1), after=0))
        return run.take(Mark(scanned_at=1, **(run.claim(SINCE, SINCE + 5) | changes))).failed

    assert mark() == set()
    assert mark(count=2) == {"mark-true"}
    assert mark(digest="0" * 16) == {"mark-true"}
    assert mark(seq=2) == {"mark-seq"}
    assert mark(from_=SINCE - 1) == {"mark-range"}
    early = Run().take(welcome())
    assert early.take(Mark(scanned_at=1, **early.claim(SINCE, SINCE))).failed == {"mark-range"}


def test_silence_is_measured_but_for_our_own_standing_still() -> None:
    assert Run().take(welcome()).take(beat(0), at_s=9.0).failed == {"heartbeat"}
    run = Run().take(welcome())
    run.observer.stalled_s = 7.0
    assert run.take(beat(0), at_s=9.0).failed == set()
    run.observer.check_silence(20.0)
    assert run.failed == {"heartbeat"}


def test_frames() -> None:
    run = Run()
    assert run.observer.take(b"{}", 0.0) is None
    assert run.failed == {"shape"}
    run = Run().take(
        welcome(501, head_seq=501), past(*(item(seq) for seq in range(1, 502)), at=501)
    )
    assert run.failed == {"frame-size"}
    run = Run().take(welcome())
    assert run.observer.take('{"type":"weather","n":2,"wind":3}', 0.0) is not None
    assert run.observer.take('{"type":"mark","n":3}', 0.0) is None
    assert run.failed == {"shape"}


def test_credit_and_filters() -> None:
    query = TailQuery(since=SINCE, credit=1, filter=Filter(streams=("s",)))
    run = Run(query).take(welcome(), news(item(1), after=0))
    assert run.failed == set()
    run.take(news(item(2, stream="t"), after=1))
    assert run.failed == {"credit", "filters"}


def test_what_was_held_does_not_come_again() -> None:
    own = [Held.of(item(1)), Held.of(item(2))]
    span = Interval(own[0].key, own[1].key)
    query = TailQuery(since=SINCE, epoch="E", after=3, held=span)
    run = Run(query, Holdings(own)).take(welcome(3, outcome="resumed"), past(item(3), at=3))
    assert run.failed == set()
    assert run.take(past(item(1), at=3)).failed == {"held"}
    run = Run(TailQuery(since=SINCE, epoch="E", after=3)).take(welcome(3, outcome="resumed"))
    assert run.take(past(item(1), at=3)).failed == {"no-held"}


def test_held_may_not_claim_what_was_not_sent() -> None:
    known = Holdings([Held.of(item(1)), Held.of(item(2))])
    observer = Observer(Ledger(), TailQuery(since=SINCE), Holdings(), 0.0, known)
    run = Run()
    run.observer, run.ledger = observer, observer._ledger
    run.take(welcome(2), past(item(2), at=2), Backfill(held=f"{SINCE + 2}:0.."))
    assert run.failed == set()
    assert run.take(Backfill(held=f"{SINCE}:0..")).failed == {"backfill"}


def test_a_repair_is_whole_or_says_so() -> None:
    run = Run().take(welcome(), DONE, news(item(1), item(2), after=0))
    run.observer.expect_answer(Repair(from_=SINCE, through=SINCE + 9))
    run.take(past(item(1), item(2), at=2))
    run.take(DigestReply(**run.claim(SINCE, SINCE + 9)))
    assert run.failed == set()
    run.observer.expect_answer(Repair(from_=SINCE, through=SINCE + 9))
    answer = DigestReply(**run.claim(SINCE, SINCE + 9))
    assert run.take(past(item(1), at=2), answer).failed == {"repair"}
    assert set(run.observer.holdings.events) == {key_of(SINCE + 1, "1")}


def test_an_answer_is_clipped_to_since() -> None:
    run = Run().take(welcome(), DONE)
    run.observer.expect_answer(Verify(from_=0, through=SINCE))
    assert run.take(DigestReply(**run.claim(0, SINCE))).failed == {"verify"}
