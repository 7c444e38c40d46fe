"""The viewer keeps both texts of an altered event, and is not green over it."""

from __future__ import annotations

from tests.support.viewer.server_messages import (
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    live_session,
    stored_lines,
)
from tui.client.session import AlteredTexts, ViewerSession
from tui.lines.rows import Line
from wire.limits import ALTERED_TEXTS_MAX
from wire.messages import Altered, AlteredText, Gap, GapState

ITEMS = [item(1, SINCE + 10, 1), item(2, SINCE + 20, 2)]
OTHER = AlteredText(ITEMS[0].id, ITEMS[0].timestamp, "****", 4)


def altered(forwarder: ForwarderMessages, *texts: AlteredText, count: int = 1) -> Altered:
    return Altered(n=forwarder._number(), texts=list(texts), count=count)


def gap(forwarder: ForwarderMessages, state: GapState = "unrecoverable") -> Gap:
    moment = ITEMS[0].timestamp
    message = forwarder.gap(moment, moment, state)
    message.reason = "altered: other text"
    return message


def shown() -> tuple[ViewerSession, ForwarderMessages, list[Line]]:
    session, forwarder = live_session()
    lines = stored_lines(deliver(session, forwarder.events(0, ITEMS)))
    return session, forwarder, lines


def test_the_other_text_is_kept_until_the_first_is_back() -> None:
    session, forwarder, (first, second) = shown()
    deliver(session, altered(forwarder, OTHER))
    assert session.altered.find(first) == OTHER
    assert session.altered.find(second) is None
    assert (session.altered.count, list(session.altered)) == (1, [OTHER])
    deliver(session, altered(forwarder, AlteredText(OTHER.id, OTHER.timestamp), count=0))
    assert session.altered.find(first) is None
    assert session.altered.count == 0


def test_texts_are_sent_again_after_each_welcome() -> None:
    session, forwarder, _ = shown()
    deliver(session, altered(forwarder, OTHER))
    session.connection_closed()
    session.begin_attempt()
    assert session.altered.count == 1
    connect(session, ForwarderMessages(ITEMS).welcome("resumed", after=2, head_seq=2))
    assert (session.altered.count, list(session.altered)) == (0, [])


def test_texts_are_bounded() -> None:
    texts = AlteredTexts()
    many = [AlteredText(str(number), SINCE, "*", 1) for number in range(ALTERED_TEXTS_MAX + 1)]
    texts.take(Altered(texts=many, count=len(many)))
    assert (len(list(texts)), texts.count) == (ALTERED_TEXTS_MAX, ALTERED_TEXTS_MAX + 1)


def test_the_verified_time_ends_before_it_until_it_is_repaired() -> None:
    session, forwarder, _ = shown()
    proof = session.holdings.proof
    mark_end = SINCE + 100
    deliver(session, forwarder.mark(SINCE, mark_end, 2, owned=ITEMS))
    assert proof.complete_through == mark_end
    deliver(session, gap(forwarder))
    assert proof.complete_through == ITEMS[0].timestamp - 1
    deliver(session, forwarder.mark(SINCE, mark_end, 2, owned=ITEMS))
    assert proof.complete_through == ITEMS[0].timestamp - 1
    deliver(session, gap(forwarder, "repaired"))
    assert proof.complete_through == mark_end


def test_a_gap_repaired_while_the_viewer_was_away_is_closed_by_a_mark() -> None:
    session, forwarder, _ = shown()
    deliver(session, gap(forwarder))
    session.connection_closed()
    session.begin_attempt()
    forwarder = ForwarderMessages(ITEMS)
    connect(session, forwarder.welcome("resumed", after=2, head_seq=2))
    deliver(session, forwarder.mark(SINCE, SINCE + 100, 2, owned=ITEMS))
    [closed] = session.holdings.proof.gaps
    assert closed.state == "repaired"
    assert session.holdings.proof.complete_through == SINCE + 100
