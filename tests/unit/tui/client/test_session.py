"""tests.unit.tui.client.test_session."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.viewer.server_messages import (
    HEARTBEAT_MS,
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    live_session,
    stored_lines,
)
from tui.client.holdings import RangeRequest
from tui.client.saved import NOTHING_HELD, Cursor
from tui.client.session import (
    CREDIT_EVENTS,
    REQUEST_TIMEOUT_MS,
    REQUESTS_WAITING_MAX,
    WELCOME_MS,
    RequestQueue,
    ViewerSession,
)
from tui.client.status import (
    CaughtUp,
    CloseConnection,
    Effect,
    EndStatus,
    GapStatus,
    LostRange,
    MarkStatus,
    Rebased,
    SendMessage,
    UnequalRange,
    Welcomed,
)
from tui.lines.rows import time_key
from wire.errors import WireError
from wire.messages import Credit, Item, Lost, Repair, ServerMessage, UnknownMessage, Verify, Welcome
from wire.order import Interval, first_key, key_of
from wire.query import Filter

HELD = f"{SINCE}:0.."


def green(session: ViewerSession) -> int | None:
    return session.holdings.proof.complete_through


def closes(effects: list[Effect]) -> list[int]:
    return [one.code for one in effects if isinstance(one, CloseConnection)]


# Connecting


def test_the_first_attempt_has_no_cursor() -> None:
    session = ViewerSession(group="/g", event_filter=Filter(("a",)), since=5, history="oldest")
    query = session.begin_attempt()
    assert (query.group, query.filter, query.since) == ("/g", Filter(("a",)), 5)
    assert (query.epoch, query.after, query.held, query.base) == (None, None, None, 0)
    assert (query.history, query.credit) == ("oldest", CREDIT_EVENTS)


def test_since_is_taken_from_the_forwarder_where_none_was_given() -> None:
    session = ViewerSession()
    effects = connect(session, ForwarderMessages().welcome(since=77))
    assert effects == [Welcomed("fresh", "e1", again=False)]
    assert session.since == 77
    assert session.begin_attempt().since == 77


def test_a_cursor_is_never_sent_without_held() -> None:
    """Without held, no past below the cursor would be owed [1]."""
    session = ViewerSession(since=SINCE)
    connect(session, ForwarderMessages().welcome(after=7))
    query = session.begin_attempt()
    assert (query.epoch, query.after, query.held) == ("e1", 7, NOTHING_HELD)


def test_held_has_positions_within_a_millisecond() -> None:
    """[3]"""
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome(after=7))
    deliver(session, forwarder.history(7, [item(3, 2_000)]), forwarder.backfill("2000:3.."))
    assert session.begin_attempt().held == Interval(key_of(2_000, "3"), None)
    assert not session.is_backfilled


def test_done_means_that_all_of_the_history_is_held() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome(after=7))
    deliver(session, forwarder.backfill(f"{SINCE}:5..2000:9", done=True))
    assert session.is_backfilled
    assert session.begin_attempt().held == Interval(first_key(SINCE), None)


def test_an_open_lower_end_is_since() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome())
    deliver(session, forwarder.backfill("..", done=True))
    assert session.held == Interval(first_key(SINCE), None)


def test_another_protocol_version_is_final() -> None:
    session = ViewerSession()
    effects = connect(session, ForwarderMessages().welcome(protocol=2))
    assert [(one.code, one.final) for one in effects if isinstance(one, CloseConnection)] == [
        (4502, True)
    ]


def test_welcome_comes_first_and_once() -> None:
    session, forwarder = ViewerSession(), ForwarderMessages()
    session.begin_attempt()
    session.connection_opened(0)
    assert closes(deliver(session, forwarder.heartbeat(0))) == [4010]
    session, forwarder = live_session()
    assert closes(deliver(session, forwarder.welcome())) == [4010]


def test_bye_and_unknown_types_may_come_before_welcome() -> None:
    session, forwarder = ViewerSession(), ForwarderMessages()
    session.begin_attempt()
    session.connection_opened(0)
    assert deliver(session, forwarder.bye("full", 500)) == []
    assert session.report.bye is not None
    assert session.take_message(UnknownMessage("news", 2), 0) == []
    assert closes(session.take_message(UnknownMessage("news", 4), 0)) == [4010]


# The sequence


def test_a_missing_n_closes_the_connection() -> None:
    """[2]"""
    session, forwarder = live_session()
    forwarder.events(0, [item(1, 2_000)])
    assert closes(deliver(session, forwarder.heartbeat(1))) == [4010]
    assert deliver(session, forwarder.heartbeat(1)) == [], "later messages are ignored"


def test_a_repeated_n_is_ignored() -> None:
    """[2]"""
    session, forwarder = live_session()
    frame = forwarder.events(0, [item(1, 2_000)])
    assert len(stored_lines(deliver(session, frame, frame))) == 1
    assert session.holdings.counts.duplicates == 0


def test_a_stale_generation_is_ignored() -> None:
    session, forwarder = live_session()
    old = session.generation
    session.begin_attempt()
    session.connection_opened(0)
    assert session.take_message(forwarder.heartbeat(0), 0, old) == []


def test_events_must_continue_where_the_last_ended() -> None:
    """[12]"""
    session, forwarder = live_session([item(1, 2_000)])
    assert closes(deliver(session, forwarder.events(2, [item(3, 2_001)]))) == [4010]


@pytest.mark.parametrize("seq", [1, 5])
def test_live_events_lie_in_their_frames_range(seq: int) -> None:
    session, forwarder = live_session([item(1, 2_000)])
    assert closes(deliver(session, forwarder.events(1, [item(seq, 2_001)], seq=4))) == [4010]


def test_an_empty_frame_moves_the_cursor() -> None:
    """The frame's range covers the events that the filter leaves out [12]."""
    session, forwarder = live_session()
    assert deliver(session, forwarder.events(0, [], seq=9), forwarder.heartbeat(9)) == [
        SendMessage(Credit(CREDIT_EVENTS))
    ]
    assert session.cursor() == Cursor("e1", 9, Interval(first_key(SINCE), None))


@pytest.mark.parametrize("what", ["heartbeat", "mark", "digest", "end"])
def test_a_message_beyond_the_received_seq_closes_the_connection(what: str) -> None:
    """[12]"""
    session, forwarder = live_session([item(1, 2_000)])
    messages: dict[str, Callable[[], ServerMessage]] = {
        "heartbeat": lambda: forwarder.heartbeat(2),
        "mark": lambda: forwarder.mark(SINCE, 3_000, 2),
        "digest": lambda: forwarder.digest(SINCE, 3_000, 2),
        "end": lambda: forwarder.end(SINCE, 3_000, 2),
    }
    assert closes(deliver(session, messages[what]())) == [4010]


def test_malformed_items_store_nothing_and_leave_a_number_missing() -> None:
    session, forwarder = live_session()
    with pytest.raises(WireError):
        deliver(session, forwarder.events(0, [item(1, 2_000, "x")]))
    assert session.after == 0
    assert closes(deliver(session, forwarder.events(0, [item(1, 2_000)]))) == [4010]


# Resuming


def test_a_resumed_connection_continues_exactly() -> None:
    session, _ = live_session([item(1, 2_000)])
    session.connection_closed()
    forwarder = ForwarderMessages()
    effects = connect(session, forwarder.welcome("resumed", epoch="e2", after=1, head_seq=3))
    assert effects == [Welcomed("resumed", "e2", again=True)]
    effects = deliver(session, forwarder.events(1, [item(2, 2_001), item(3, 2_002)]))
    assert len(stored_lines(effects)) == 2
    assert effects[-1] == CaughtUp(2)
    assert session.begin_attempt().epoch == "e2"


def test_resumed_with_nothing_missed_is_caught_up_at_once() -> None:
    session, _ = live_session([item(1, 2_000)])
    effects = connect(session, ForwarderMessages().welcome("resumed", after=1))
    assert effects[-1] == CaughtUp(0)


def test_polled_lines_that_come_again_are_dropped() -> None:
    session, _ = live_session([item(1, 2_000)])
    session.begin_attempt()
    session.store_items([item(2, 2_001)], 0, live=True)
    session.after = 2
    session.connection_opened(0)
    forwarder = ForwarderMessages()
    deliver(session, forwarder.welcome("resumed", after=1, head_seq=2))
    assert session.after == 1
    assert stored_lines(deliver(session, forwarder.events(1, [item(2, 2_001)]))) == []
    assert session.holdings.counts.duplicates == 1


@pytest.mark.parametrize(("after", "head_seq"), [(2, 9), (1, 0)])
def test_resuming_another_cursor_is_rejected(after: int, head_seq: int) -> None:
    session, _ = live_session([item(1, 2_000)])
    effects = connect(
        session, ForwarderMessages().welcome("resumed", after=after, head_seq=head_seq)
    )
    assert closes(effects) == [4010]
    assert session.begin_attempt().epoch is None
    assert session.holdings.tally.unconfirmed == 1


def test_resuming_without_a_cursor_is_rejected() -> None:
    session = ViewerSession()
    assert closes(connect(session, ForwarderMessages().welcome("resumed", after=1))) == [4010]


def test_after_a_rebase_events_are_unconfirmed_until_they_come_again() -> None:
    """[6]"""
    first, second = item(1, 2_000), item(2, 2_001)
    session, forwarder = live_session([first, second])
    deliver(session, forwarder.mark(SINCE, 3_000, 2))
    assert green(session) == 3_000
    forwarder = ForwarderMessages()
    effects = connect(session, forwarder.welcome("rebased", epoch="e9", after=40))
    assert Rebased(0, 1, "the forwarder began epoch e9") in effects
    assert green(session) is None
    assert (session.held, session.is_backfilled, session.after) == (None, False, 40)
    again = item(33, 2_001, 2)
    effects = deliver(session, forwarder.history(40, [again]))
    assert stored_lines(effects) == []
    assert session.holdings.tally.unconfirmed == 1
    deliver(session, forwarder.backfill(HELD, done=True), forwarder.mark(SINCE, 3_000, 40))
    assert green(session) == 3_000, "of the events that came again"


def test_after_a_rebase_an_empty_range_is_not_verified_any_more() -> None:
    session, forwarder = live_session()
    deliver(session, forwarder.mark(SINCE, 3_000, 0))
    connect(session, ForwarderMessages().welcome("rebased", epoch="e9"))
    assert green(session) is None


def test_fresh_in_answer_to_a_cursor_is_a_rebase() -> None:
    session, _ = live_session([item(1, 2_000)])
    effects = connect(session, ForwarderMessages().welcome("fresh", epoch="e1", after=1))
    assert any(isinstance(one, Rebased) for one in effects)


def test_a_first_connection_keeps_what_polling_brought_of_the_same_epoch() -> None:
    session = ViewerSession(since=SINCE)
    session.begin_attempt()
    session.store_items([item(1, 2_000)], 0, live=False)
    session.epoch, session.after = "e1", 1
    session.connection_opened(0)
    effects = session.take_message(ForwarderMessages().welcome("fresh", after=4), 0)
    assert effects == [Welcomed("fresh", "e1", again=False)]
    assert session.holdings.tally.unconfirmed == 0
    assert (session.after, session.held) == (4, None)


# A saved cursor


def saved(base: int = 5) -> ViewerSession:
    cursor = Cursor("e1", base, Interval(first_key(SINCE), None))
    return ViewerSession(since=SINCE, cursor=cursor)


def test_a_saved_cursor_resumes_without_its_lines() -> None:
    """[16]"""
    session = saved()
    query = session.begin_attempt()
    assert (query.epoch, query.after, query.base) == ("e1", 5, 5)
    assert query.held == Interval(first_key(SINCE), None)
    session.connection_opened(0)
    forwarder = ForwarderMessages([item(3, 2_000)])
    deliver(session, forwarder.welcome("resumed", after=5, head_seq=6))
    effects = deliver(session, forwarder.events(5, [item(6, 2_001)]))
    assert effects[-1] == CaughtUp(1)
    deliver(session, forwarder.mark(SINCE, 3_000, 6, base=5))
    assert green(session) == 3_000


def test_a_base_of_another_epoch_is_given_up() -> None:
    """[16]"""
    session = saved()
    session.begin_attempt()
    session.connection_opened(0)
    effects = session.take_message(ForwarderMessages().welcome("rebased", epoch="e9", after=2), 0)
    assert closes(effects) == [4010]
    query = session.begin_attempt()
    assert (query.epoch, query.base, query.since) == (None, 0, SINCE)


def test_a_welcome_that_is_given_up_promises_no_events() -> None:
    """[16] Polling begins at a later seq: what lies between was not received."""
    session = saved()
    session.begin_attempt()
    session.connection_opened(0)
    welcome = ForwarderMessages().welcome("rebased", epoch="e9", after=2)
    assert closes(session.take_message(welcome, 0)) == [4010]
    session.advance("e9", 40, 40)
    assert session.live_from == 40


# Heartbeats, credit


def test_silence_is_noticed_after_two_heartbeats() -> None:
    session, forwarder = live_session()
    deliver(session, forwarder.heartbeat(0), now_ms=1_000)
    assert session.wake_at_ms == 1_000 + 2 * HEARTBEAT_MS
    assert session.check_silence(session.wake_at_ms - 1) == []
    assert closes(session.check_silence(session.wake_at_ms)) == [4012]
    assert session.check_silence(1 << 40) == []


def test_a_missing_welcome_is_noticed_later() -> None:
    session = ViewerSession()
    session.begin_attempt()
    session.connection_opened(10)
    assert session.check_silence(10 + WELCOME_MS - 1) == []
    assert closes(session.check_silence(10 + WELCOME_MS)) == [4012]


def test_credit_is_renewed_when_half_is_used_and_at_each_heartbeat() -> None:
    """[15]"""
    session, forwarder = live_session()
    half = CREDIT_EVENTS // 2
    items = [item(seq, 2_000) for seq in range(1, half + 1)]
    effects = deliver(session, forwarder.events(0, items[:-1]))
    assert not [one for one in effects if isinstance(one, SendMessage)]
    effects = deliver(session, forwarder.events(half - 1, items[-1:]))
    assert effects[-1] == SendMessage(Credit(half + CREDIT_EVENTS))
    assert SendMessage(Credit(half + CREDIT_EVENTS)) in deliver(session, forwarder.heartbeat(half))


def test_duplicates_use_credit_too() -> None:
    """Every item of every frame counts [15]."""
    session, forwarder = live_session([item(1, 2_000)])
    deliver(session, forwarder.history(1, [item(1, 2_000)]))
    assert deliver(session, forwarder.heartbeat(1)) == [SendMessage(Credit(2 + CREDIT_EVENTS))]


# Proof


def test_an_equal_mark_verifies_its_range() -> None:
    session, forwarder = live_session([item(1, 2_000), item(2, 2_500)])
    effects = deliver(session, forwarder.mark(SINCE, 2_400, 2))
    mark = effects[0]
    assert isinstance(mark, MarkStatus)
    assert mark.equal
    assert (mark.count, mark.own_count) == (1, 1)
    assert green(session) == 2_400


def test_a_mark_is_compared_as_of_its_seq() -> None:
    """[10]"""
    session, forwarder = live_session([item(1, 2_000), item(2, 2_001)])
    deliver(session, forwarder.mark(SINCE, 3_000, 1))
    assert green(session) == 3_000


def test_an_unequal_mark_requests_one_repair() -> None:
    """[13]"""
    missed = item(1, 2_000)
    session, forwarder = live_session()
    deliver(session, forwarder.events(0, [], seq=2))
    forwarder.owned = [missed]
    effects = deliver(session, forwarder.mark(SINCE, 3_000, 2), forwarder.mark(SINCE, 3_001, 2))
    assert [one for one in effects if isinstance(one, SendMessage)] == [
        SendMessage(Repair(SINCE, 3_000))
    ]
    assert session.holdings.proof.unequal[0].missing == 1
    effects = deliver(session, forwarder.history(2, [missed]), forwarder.digest(SINCE, 3_000, 2))
    assert stored_lines(effects)
    assert green(session) == 3_000
    deliver(session, forwarder.mark(SINCE, 3_001, 2))
    assert session.holdings.proof.unequal == ()


def test_a_second_mismatch_stays_unequal_and_is_not_retried() -> None:
    """[13]"""
    session, forwarder = live_session([item(1, 2_000)])
    other = [item(1, 2_000), item(1, 2_000, 7)]
    deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=other))
    effects = deliver(session, forwarder.history(1, [item(1, 2_000)]))
    assert not stored_lines(effects)
    claim = forwarder.digest(SINCE, 3_000, 1, owned=[item(1, 2_000), item(1, 2_000, 7)])
    effects = deliver(session, claim)
    assert [one.final for one in effects if isinstance(one, UnequalRange)] == [True]
    unequal = forwarder.mark(SINCE, 3_000, 1, owned=[item(1, 2_000), item(1, 2_000, 7)])
    assert not [one for one in deliver(session, unequal) if isinstance(one, SendMessage)]
    assert green(session) is None
    deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=[item(1, 2_000)]))
    assert session.holdings.proof.unequal == ()
    assert green(session) == 3_000


def test_beside_a_given_up_range_only_digests_are_requested() -> None:
    session, forwarder = live_session([item(1, 2_000)])
    bad = [item(1, 2_000, 7)]
    deliver(session, forwarder.mark(1_900, 2_100, 1, owned=bad))
    deliver(session, forwarder.digest(1_900, 2_100, 1, owned=bad))
    sent = deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=bad))
    assert SendMessage(Verify(SINCE, 1_899)) in sent
    effects = deliver(session, forwarder.digest(SINCE, 1_899, 1, owned=[]))
    assert effects == [SendMessage(Verify(2_101, 3_000))]
    assert green(session) == 1_899


def test_events_that_a_repair_does_not_bring_become_unconfirmed() -> None:
    """[13]"""
    good, gone = item(1, 2_000), item(2, 2_001)
    session, forwarder = live_session([good, gone])
    deliver(session, forwarder.mark(SINCE, 3_000, 2, owned=[good]))
    deliver(session, forwarder.history(2, [good]), forwarder.digest(SINCE, 3_000, 2, owned=[good]))
    assert session.holdings.tally.unconfirmed == 1
    assert green(session) == 3_000


def test_live_events_during_a_repair_count_as_seen() -> None:
    good, new = item(1, 2_000), item(2, 2_001)
    session, forwarder = live_session([good])
    deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=[]))
    deliver(session, forwarder.history(1, [good]), forwarder.events(1, [new]))
    deliver(session, forwarder.digest(SINCE, 3_000, 2))
    assert session.holdings.tally.unconfirmed == 0
    assert green(session) == 3_000


def test_an_unrequested_digest_is_ignored() -> None:
    session, forwarder = live_session([item(1, 2_000)])
    assert deliver(session, forwarder.digest(SINCE, 3_000, 1)) == []
    assert green(session) is None


def test_requests_are_forgotten_with_their_connection() -> None:
    session, forwarder = live_session([item(1, 2_000)])
    deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=[]))
    forwarder = ForwarderMessages([item(1, 2_000)])
    connect(session, forwarder.welcome("resumed", after=1))
    assert deliver(session, forwarder.digest(SINCE, 3_000, 1)) == []
    deliver(session, forwarder.mark(SINCE, 3_000, 1))
    assert green(session) == 3_000


def test_a_request_of_polling_uses_the_same_queue() -> None:
    session, _ = live_session()
    request = RangeRequest("repair", SINCE, 2_000, scanned=False)
    assert session.request_range(request, 0) == [SendMessage(Repair(SINCE, 2_000))]
    assert session.request_range(RangeRequest("verify", 1_500, 1_600, scanned=False), 0) == []


# Gaps, losses, ends


def test_an_unrecoverable_gap_limits_t() -> None:
    session, forwarder = live_session()
    deliver(session, forwarder.mark(SINCE, 3_000, 0))
    (effect,) = deliver(session, forwarder.gap(2_000, 2_100, "unrecoverable"))
    assert isinstance(effect, GapStatus)
    assert green(session) == 1_999
    deliver(session, forwarder.gap(2_000, 2_100, "repaired"))
    assert green(session) == 3_000


def test_an_open_gap_that_is_not_repeated_was_repaired_meanwhile() -> None:
    """[9]"""
    session, forwarder = live_session()
    deliver(session, forwarder.gap(2_000, 2_100, "repairing"))
    forwarder = ForwarderMessages()
    connect(session, forwarder.welcome("resumed"))
    effects = deliver(session, forwarder.mark(SINCE, 3_000, 0))
    assert [one.state for one in effects if isinstance(one, GapStatus)] == ["repaired"]


def test_a_loss_is_reported_once_and_stays() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    lost = Lost(2_000, 2_100, "retention")
    effects = connect(session, forwarder.welcome(lost=[lost]))
    assert [one.reason for one in effects if isinstance(one, LostRange)] == ["retention"]
    deliver(session, forwarder.backfill(HELD, done=True), forwarder.mark(SINCE, 3_000, 0))
    assert green(session) == 1_999
    forwarder = ForwarderMessages()
    effects = connect(session, forwarder.welcome("resumed", lost=[lost]))
    assert not [one for one in effects if isinstance(one, LostRange)]
    assert green(session) == 1_999


def test_an_end_is_reported_again_when_it_changes() -> None:
    """[11]"""
    session, forwarder = live_session([item(1, 2_000)])
    (ended,) = deliver(session, forwarder.end(SINCE, 2_000, 1))
    assert isinstance(ended, EndStatus)
    assert ended.equal
    late = item(2, 1_999)
    deliver(session, forwarder.events(1, [late]))
    (again,) = deliver(session, forwarder.end(SINCE, 2_000, 2))
    assert isinstance(again, EndStatus)
    assert (again.count, again.equal) == (2, True)
    assert len(session.holdings.ends) == 1


def test_an_end_among_several_executions_is_compared_by_the_filters_digest() -> None:
    mine, other = item(1, 2_000), item(2, 2_000, stream="app/two")
    session, forwarder = live_session([mine, other])
    ended, asked = deliver(session, forwarder.end(2_000, 2_000, 2, owned=[mine]))
    assert isinstance(ended, EndStatus)
    assert not ended.equal
    assert asked == SendMessage(Verify(2_000, 2_000))
    (proved,) = deliver(session, forwarder.digest(2_000, 2_000, 2))
    assert isinstance(proved, EndStatus)
    assert proved.equal


def request(from_: int, through: int) -> RangeRequest:
    return RangeRequest("repair", from_, through, scanned=True)


def test_one_request_is_in_flight_at_a_time() -> None:
    queue = RequestQueue()
    assert queue.add(request(1, 5))
    assert queue.add(RangeRequest("verify", 6, 9, scanned=True))
    first = queue.start_next(0)
    assert first is not None
    assert first.message() == Repair(1, 5)
    assert queue.start_next(0) is None
    assert queue.take_answered(1, 5) == first
    second = queue.start_next(0)
    assert second is not None
    assert second.message() == Verify(6, 9)


def test_no_two_requests_overlap() -> None:
    queue = RequestQueue()
    queue.add(request(1, 5))
    assert not queue.add(request(5, 9))
    queue.start_next(0)
    assert not queue.add(request(1, 1))
    assert queue.add(request(6, 9))


def test_few_requests_wait() -> None:
    queue = RequestQueue()
    assert all(queue.add(request(number, number)) for number in range(REQUESTS_WAITING_MAX))
    assert not queue.add(request(99, 99))


def test_an_answer_may_be_clipped_but_not_of_another_range() -> None:
    queue = RequestQueue()
    queue.add(request(10, 20))
    queue.start_next(0)
    assert queue.take_answered(5, 20) is None
    assert queue.take_answered(10, 21) is None
    assert queue.take_answered(12, 15) == request(10, 20)
    assert queue.take_answered(12, 15) is None


def test_received_keys_of_a_repair_are_noted_and_extend_its_timeout() -> None:
    queue = RequestQueue()
    queue.add(request(1, 5))
    queue.start_next(0)
    queue.note_keys([time_key(0), time_key(3), time_key(6)], REQUEST_TIMEOUT_MS)
    assert queue.seen_keys == {time_key(3)}
    queue.add(request(6, 6))
    assert queue.start_next(2 * REQUEST_TIMEOUT_MS) is None
    assert queue.start_next(2 * REQUEST_TIMEOUT_MS + 1) == request(6, 6), (
        "the first was never answered"
    )
    assert queue.seen_keys == set()


def test_no_keys_are_noted_for_a_verify() -> None:
    queue = RequestQueue()
    queue.add(RangeRequest("verify", 1, 5, scanned=True))
    queue.start_next(0)
    queue.note_keys([time_key(3)], 0)
    assert queue.seen_keys == set()


def test_the_queue_is_cleared_with_the_connection() -> None:
    queue = RequestQueue()
    queue.add(request(1, 5))
    queue.add(request(6, 9))
    queue.start_next(0)
    queue.clear()
    assert queue.in_flight is None
    assert queue.start_next(0) is None


# Polling between the attempt and its welcome


def test_polling_that_rebased_first_does_not_hide_a_foreign_base() -> None:
    cursor = Cursor("old", 11, Interval(first_key(SINCE), None))
    session = ViewerSession(since=SINCE, cursor=cursor)
    assert session.begin_attempt().base == 11
    session.connection_opened(0)
    # A round of polling finds the new epoch before the welcome of this connection arrives.
    session.rebase("the forwarder began another epoch")
    session.epoch, session.after = "new", 1
    session.store_items([Item(1, "1", SINCE, None, "s", "m", "live")], 0, live=True)
    welcome = Welcome(
        epoch="new", outcome="rebased", after=1, head_seq=1, since=SINCE, heartbeat_ms=2_000
    )
    effects = session.take_message(welcome, 0)
    assert isinstance(effects[-1], CloseConnection)
    assert not effects[-1].final
    query = session.begin_attempt()
    assert (query.base, query.epoch) == (0, None)


def test_since_is_that_of_the_connection_where_none_was_requested() -> None:
    session = ViewerSession()
    assert session.begin_attempt().since is None
    session.connection_opened(0)
    session.since = SINCE  # chosen by a round of polling that began meanwhile
    welcome = Welcome(
        epoch="e", outcome="fresh", after=0, head_seq=0, since=SINCE + 500, heartbeat_ms=2_000
    )
    session.take_message(welcome, 0)
    assert session.since == SINCE + 500
