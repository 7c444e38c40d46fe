"""Older history: how far back the plan asks for it, and how a session does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.viewer.http_journal import HttpJournal, poll
from tests.support.viewer.server_messages import (
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    live_session,
)
from tui.client.polling import OLDER_POLL_MS, POLL_MS, PollPlan
from tui.client.refetch import (
    FAST_MS,
    SLOW_MS,
    STEP_LEAST_MS,
    STEP_MS,
    HistoryStart,
    OlderPlan,
    beginning_text,
)
from tui.client.saved import Cursor
from tui.client.session import ViewerSession
from tui.client.status import CloseConnection, Effect, SendMessage
from wire.messages import Extend
from wire.order import Interval, first_key, key_of

HOUR, DAY = 3_600_000, 86_400_000
START = 1_000 * HOUR


def here(since: int, oldest: int | None = None, retention: int | None = None) -> HistoryStart:
    """A target whose history is all here."""
    return HistoryStart(since, since, is_done=True, oldest_ms=oldest, retention_ms=retention)


def walk(
    plan: OlderPlan, since: int, oldest: int | None = None, took: int = 1, lines: int = 0
) -> list[int]:
    """Every start that the plan asks one target for, each piece taking ``took`` ms."""
    asked: list[int] = []
    now = 0
    while (following := plan.next_starts([here(since, oldest)], lines, now)) is not None:
        asked += following
        since, now = following[0], now + took
        assert len(asked) < 1_000
    return asked


def test_a_reader_who_scrolls_up_gets_an_hour() -> None:
    plan = OlderPlan()
    plan.ask_for_lines([here(START)], 10)
    assert plan.next_starts([here(START)], 10, 0) == [START - HOUR]
    assert plan.is_active
    waiting = HistoryStart(START - HOUR, START - 1, is_done=False)
    assert plan.next_starts([waiting], 12, 5) is None
    assert plan.is_active
    assert plan.next_starts([here(START - HOUR)], 12, 9) is None
    assert not plan.is_active


def test_an_hour_without_lines_is_followed_by_longer_ones_until_there_is_one() -> None:
    plan = OlderPlan()
    plan.ask_for_lines([here(START)], 10)
    asked = walk(plan, START, oldest=500 * HOUR, lines=10)
    assert asked[:3] == [START - HOUR, START - 3 * HOUR, START - 7 * HOUR]
    assert asked[-1] == 0


def test_a_second_key_does_not_double_what_is_being_fetched() -> None:
    plan = OlderPlan()
    plan.ask_for_lines([here(START)], 10)
    plan.next_starts([here(START)], 10, 0)
    plan.ask_for_lines([here(START - HOUR)], 10)
    assert plan.next_starts([here(START - HOUR)], 11, 9) is None


def test_a_time_is_reached_exactly() -> None:
    plan = OlderPlan()
    plan.ask_from(START - 10 * HOUR)
    asked = walk(plan, START)
    assert asked == [START - HOUR, START - 3 * HOUR, START - 7 * HOUR, START - 10 * HOUR]


def test_what_is_here_already_is_not_asked_for() -> None:
    plan = OlderPlan()
    plan.ask_from(START)
    assert walk(plan, START) == []
    assert not plan.is_active


def test_slow_pieces_become_shorter_but_not_too_short() -> None:
    plan = OlderPlan()
    plan.ask_from(START - 10 * HOUR)
    asked = walk(plan, START, took=SLOW_MS + 1)
    steps = [above - below for above, below in zip([START, *asked], asked, strict=False)]
    assert steps[:3] == [STEP_MS, STEP_MS // 2, STEP_MS // 4]
    assert min(steps[:-1]) >= STEP_LEAST_MS


def test_escape_stops_after_the_present_piece() -> None:
    plan = OlderPlan()
    plan.ask_from(0)
    assert plan.is_to_beginning
    plan.next_starts([here(START)], 0, 0)
    assert plan.cancel()
    assert plan.is_active
    assert not plan.cancel()
    assert plan.next_starts([here(START - HOUR)], 0, FAST_MS) is None
    assert not plan.is_active


def test_groups_are_asked_for_the_same_time_and_the_later_one_catches_up() -> None:
    plan = OlderPlan()
    plan.ask_from(START - 2 * HOUR)
    starts = [here(START), here(START - 30 * HOUR), here(START - 60_000)]
    assert plan.next_starts(starts, 0, 0) == [START - HOUR, START - 30 * HOUR, START - HOUR]


def test_one_group_that_is_not_ready_makes_all_wait() -> None:
    plan = OlderPlan()
    plan.ask_from(0)
    starts = [here(START), HistoryStart(START, None, is_done=False)]
    assert plan.next_starts(starts, 0, 0) is None
    assert plan.is_active


def test_before_the_oldest_event_everything_is_asked_for_at_once() -> None:
    plan = OlderPlan()
    plan.ask_from(0)
    starts = [here(START, oldest=START - HOUR), here(START, oldest=0)]
    assert plan.next_starts(starts, 0, 0) == [0, START - HOUR]


@given(
    since=st.integers(0, 400_000 * HOUR),
    goal=st.integers(0, 400_000 * HOUR),
    oldest=st.none() | st.integers(0, 400_000 * HOUR),
    took=st.sampled_from([1, FAST_MS, SLOW_MS]),
)
def test_every_walk_goes_down_and_ends_at_its_goal(
    since: int, goal: int, oldest: int | None, took: int
) -> None:
    plan = OlderPlan()
    plan.ask_from(goal)
    asked: list[int] = []
    at, now = since, 0
    while len(asked) < 200:  # a piece of years is not walked through here to its end
        following = plan.next_starts([here(at, oldest)], 0, now)
        if following is None:
            break
        assert following[0] < at
        at, now = following[0], now + took
        asked.append(at)
    if len(asked) < 200:
        assert not plan.is_active
        assert at <= max(goal, 0) or at == since
        assert at in (since, goal, 0)


def test_the_beginning_says_why_there_is_nothing_older() -> None:
    assert beginning_text([here(0)]) == "beginning of the log group: CloudWatch has nothing older"
    kept = here(0, retention=30 * DAY)
    assert beginning_text([kept]).endswith("(it keeps events for 30 days)")
    assert beginning_text([kept, here(0)]).startswith("beginning of the 2 log groups")
    assert "keeps" not in beginning_text([kept, here(0)])


OLDER = SINCE - 500
RECENT = [item(1, SINCE + 10), item(2, SINCE + 20)]
OLD = [item(3, OLDER + 10, origin="backfill"), item(4, OLDER + 400, origin="backfill")]


def sent(effects: list[Effect]) -> list[object]:
    return [one.message for one in effects if isinstance(one, SendMessage)]


def green(session: ViewerSession) -> int | None:
    return session.holdings.proof.complete_through


def is_done(session: ViewerSession) -> bool:
    return session.is_backfilled


def extendable() -> tuple[ViewerSession, ForwarderMessages]:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome(extends=True))
    deliver(session, forwarder.backfill(f"{SINCE}:0..", done=True, since=SINCE))
    deliver(session, forwarder.events(0, RECENT), forwarder.mark(SINCE, SINCE + 50, 2))
    return session, forwarder


def test_what_is_verified_stays_until_older_history_is_here_and_verified() -> None:
    session, forwarder = extendable()
    assert sent(session.extend(OLDER)) == [Extend(OLDER)]
    assert (session.since, session.requested_since) == (SINCE, OLDER)
    assert green(session) == SINCE + 50
    assert session.complete_from == SINCE
    deliver(session, forwarder.events(2, OLD))
    deliver(session, forwarder.backfill(f"{OLDER + 300}:0..", since=OLDER))
    assert (is_done(session), session.complete_from) == (False, OLDER + 300)
    assert green(session) == SINCE + 50
    deliver(session, forwarder.backfill(f"{OLDER}:0..", done=True, since=OLDER))
    assert (is_done(session), session.since) == (True, OLDER)
    assert green(session) is None
    deliver(session, forwarder.mark(OLDER, SINCE + 50, 4))
    assert green(session) == SINCE + 50
    assert session.holdings.counts.late == 0


def test_older_lines_that_differ_are_not_verified() -> None:
    session, forwarder = extendable()
    session.extend(OLDER)
    deliver(session, forwarder.events(2, OLD[:1], seq=4))
    deliver(session, forwarder.backfill(f"{OLDER}:0..", done=True, since=OLDER))
    deliver(session, forwarder.mark(OLDER, SINCE + 50, 4, owned=[*RECENT, *OLD]))
    assert green(session) is None


def test_the_end_of_the_earlier_backfill_is_not_that_of_the_extended_one() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome(extends=True))
    session.extend(OLDER)
    deliver(session, forwarder.backfill(f"{SINCE}:0..", done=True, since=SINCE))
    assert not session.is_backfilled
    assert session.since == SINCE


def test_later_or_equal_starts_ask_for_nothing() -> None:
    session, _ = extendable()
    assert session.extend(SINCE) == []
    assert session.extend(SINCE + 1) == []
    assert ViewerSession().extend(5) == []
    assert session.is_backfilled
    assert not session.is_extended


def test_a_broken_connection_resumes_with_the_older_start_and_what_is_here() -> None:
    session, forwarder = extendable()
    session.extend(OLDER)
    deliver(session, forwarder.backfill(f"{OLDER + 300}:0..", since=OLDER))
    query = session.begin_attempt()
    assert (query.since, query.after) == (OLDER, 2)
    assert query.held == Interval(first_key(OLDER + 300), None)
    again = ForwarderMessages([*RECENT, *OLD])
    session.connection_opened(0)
    welcome = again.welcome("resumed", after=2, head_seq=4, since=OLDER, extends=True)
    assert not any(isinstance(one, CloseConnection) for one in deliver(session, welcome))
    assert not session.is_backfilled
    deliver(session, again.events(2, OLD))
    deliver(session, again.backfill(f"{OLDER}:0..", done=True, since=OLDER))
    deliver(session, again.mark(OLDER, SINCE + 50, 4))
    assert green(session) == SINCE + 50


def test_what_was_asked_for_without_a_connection_is_part_of_the_next_query() -> None:
    session, _ = extendable()
    session.connection_closed()
    assert session.extend(OLDER) == []
    assert session.begin_attempt().since == OLDER


def test_what_was_asked_for_during_an_attempt_is_sent_after_welcome() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    session.begin_attempt()
    session.extend(OLDER)
    session.connection_opened(0)
    assert Extend(OLDER) in sent(deliver(session, forwarder.welcome(extends=True)))


def test_a_forwarder_that_cannot_extend_is_asked_by_another_connection() -> None:
    session, _ = live_session(RECENT)
    assert session.extend(OLDER) == []
    assert session.is_restricted
    assert session.begin_attempt().since == OLDER
    assert session.cursor() == Cursor("e1", 2, Interval(first_key(SINCE), None))
    other = ViewerSession(since=SINCE)
    other.begin_attempt()
    other.extend(OLDER)
    other.connection_opened(0)
    effects = deliver(other, ForwarderMessages().welcome())
    assert [one.final for one in effects if isinstance(one, CloseConnection)] == [False]


def test_polling_asks_only_for_what_is_older() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal([*RECENT])
    http_journal.complete_through = SINCE + 50
    plan = PollPlan(session)
    poll(plan, http_journal)
    assert green(session) == SINCE + 50
    http_journal.items += OLD
    http_journal.complete_through = None
    session.extend(OLDER)
    assert plan.interval_ms == OLDER_POLL_MS
    http_journal.asked.clear()
    poll(plan, http_journal)
    pages = [one for one in http_journal.asked if f"since={OLDER}&through={SINCE}" in one]
    assert len(pages) == 1
    assert (is_done(session), len(session.holdings.tally)) == (True, 4)
    assert green(session) is None, "no scan covers it yet"
    http_journal.complete_through = SINCE + 50
    poll(plan, http_journal)
    assert green(session) == SINCE + 50
    assert plan.interval_ms == POLL_MS
    assert session.held == Interval(first_key(OLDER), None)


def test_a_round_that_began_before_is_about_less_and_verifies_nothing() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal([*RECENT])
    http_journal.complete_through = SINCE + 50
    plan = PollPlan(session)
    poll(plan, http_journal)
    plan.begin_round(0)
    scanned = plan.next_request()
    assert scanned is not None
    response = http_journal.answer(scanned.target)
    session.extend(OLDER)
    assert plan.take_response(scanned, response, 0) == []
    assert plan.next_request() is None
    assert green(session) == SINCE + 50


def test_complete_from_counts_a_millisecond_that_is_cut() -> None:
    session, _ = extendable()
    session.extend(OLDER)
    session.set_held(Interval(key_of(OLDER + 7, "9"), None))
    assert session.complete_from == OLDER + 8
    session.set_held(Interval(first_key(OLDER + 7), first_key(SINCE)))
    assert session.complete_from is None


def test_a_resumed_run_does_not_claim_to_have_compared_older_lines() -> None:
    cursor = Cursor("e1", 2, Interval(first_key(SINCE), None))
    session, forwarder = ViewerSession(since=SINCE, cursor=cursor), ForwarderMessages()
    connect(session, forwarder.welcome("resumed", after=2, head_seq=2, extends=True))
    deliver(session, forwarder.events(2, [item(3, SINCE + 30)]))
    deliver(session, forwarder.mark(SINCE, SINCE + 50, 3, base=2))
    assert green(session) == SINCE + 50
    session.extend(OLDER)
    known = item(1, OLDER + 10, origin="backfill")
    deliver(session, forwarder.history(3, [known]))
    deliver(session, forwarder.backfill(f"{OLDER}:0..", done=True, since=OLDER))
    deliver(session, forwarder.mark(OLDER, SINCE + 50, 3, base=2))
    assert is_done(session)
    assert (session.since, session.requested_since) == (SINCE, OLDER)
    assert green(session) == SINCE + 50
    assert len(session.holdings.tally) == 2
