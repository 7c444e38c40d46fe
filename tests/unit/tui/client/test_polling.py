"""tests.unit.tui.client.test_polling."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
import pytest

from common.http import Response
from tests.support.network.kept_port import kept_port
from tests.support.viewer.http_journal import NOW, HttpJournal, poll
from tests.support.viewer.scripted_forwarder import eventually, scripted_forwarder, stay_connected
from tests.support.viewer.server_messages import (
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    live_session,
    stored_lines,
)
from tui.client.connection import Address, HttpGetter
from tui.client.polling import AHEAD_MS, PollError, PollingLoop, PollPlan, RoundResult
from tui.client.saved import Cursor
from tui.client.session import ViewerSession
from tui.client.status import (
    Effect,
    EndStatus,
    GapStatus,
    Rebased,
    SendMessage,
    Stored,
    Unconfirmed,
    UnequalRange,
)
from wire.messages import (
    AlteredText,
    DeclaredBody,
    DeclaredGap,
    ExecutionSummary,
    Item,
    Repair,
    Upstream,
)
from wire.order import Interval, first_key
from wire.query import Filter

ALL = Interval(first_key(SINCE), None)


def items(*seqs: int) -> list[Item]:
    """One event a seq, ten milliseconds apart."""
    return [item(seq, SINCE + 10 * seq) for seq in seqs]


def shown(session: ViewerSession) -> int:
    return len(session.holdings.tally)


def is_done(session: ViewerSession) -> bool:
    return session.is_backfilled


def green(session: ViewerSession) -> int | None:
    return session.holdings.proof.complete_through


def test_without_a_websocket_polling_brings_the_lines() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal(items(*range(1, 11)))
    effects = poll(PollPlan(session), http_journal)
    assert [line.seq for line in stored_lines(effects)] == list(range(1, 11))
    assert session.cursor() == Cursor("e1", 10, ALL)
    assert session.is_backfilled
    assert green(session) is None, "no scan covers it"


def test_a_scanned_range_becomes_verified() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal(items(1, 2, 3, 4))
    http_journal.complete_through = SINCE + 35
    plan = PollPlan(session)
    poll(plan, http_journal)
    assert green(session) == SINCE + 35
    http_journal.items += items(5)
    http_journal.complete_through = SINCE + 60
    poll(plan, http_journal)
    assert green(session) == SINCE + 60
    assert shown(session) == 5


def test_later_rounds_request_only_new_lines() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    poll(plan, http_journal)
    http_journal.items += items(3, 4, 5, 6)
    http_journal.asked.clear()
    assert [line.seq for line in stored_lines(poll(plan, http_journal))] == [3, 4, 5, 6]
    assert [target for target in http_journal.asked if "after=2" in target]


def test_new_lines_during_the_history_are_not_lost() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal(items(1, 2, 3, 4, 5, 6, 7))

    def write(target: str) -> None:
        if "next=" in target and len(http_journal.items) == 7:
            http_journal.items += [item(8, SINCE + 1), item(9, SINCE + 500)]

    http_journal.before = write
    poll(PollPlan(session), http_journal)
    assert shown(session) == 9
    assert session.after == 9


def test_older_late_events_are_shown_but_not_the_backfill_of_others() -> None:
    session, plan = ViewerSession(since=SINCE), None
    http_journal = HttpJournal(items(1))
    plan = PollPlan(session)
    poll(plan, http_journal)
    late = item(2, SINCE - 500, origin="repair")
    fetched = item(3, SINCE - 500, origin="backfill")
    http_journal.items += [late, fetched]
    assert [line.seq for line in stored_lines(poll(plan, http_journal))] == [2]
    assert session.after == 3


def test_polling_finishes_the_history_that_a_websocket_began() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    everything = items(*range(1, 9))
    connect(session, forwarder.welcome(after=8))
    deliver(session, forwarder.history(8, everything[5:]), forwarder.backfill(f"{SINCE + 60}:6.."))
    session.connection_closed()
    poll(PollPlan(session), HttpJournal(everything))
    assert shown(session) == 8
    assert session.is_backfilled


def test_an_interrupted_history_continues_where_it_stopped() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(*range(1, 9))), PollPlan(session)
    plan.begin_round(NOW)
    for _ in range(3):  # a page, nothing after the cursor, a page
        ask = plan.next_request()
        assert ask is not None
        plan.take_response(ask, http_journal.answer(ask.target), NOW)
    plan.end_round()
    assert plan.next_request() is None
    held = session.held
    assert held is not None
    assert held.low == first_key(SINCE)
    assert held.high is not None
    assert not is_done(session)
    http_journal.asked.clear()
    poll(plan, http_journal)
    assert shown(session) == 8
    assert is_done(session)
    assert any("next=" in target for target in http_journal.asked[:2])


def test_a_websocket_resumes_where_polling_stopped() -> None:
    session = ViewerSession(since=SINCE)
    http_journal = HttpJournal(items(1, 2, 3))
    poll(PollPlan(session), http_journal)
    query = session.begin_attempt()
    assert (query.epoch, query.after, query.held) == ("e1", 3, ALL)
    session.connection_opened(0)
    forwarder = ForwarderMessages(http_journal.items)
    deliver(session, forwarder.welcome("resumed", after=3), forwarder.mark(SINCE, 5_000, 3))
    assert green(session) == 5_000


def test_in_another_epoch_all_events_have_to_come_again() -> None:
    """[14]"""
    session = ViewerSession(since=SINCE)
    plan = PollPlan(session)
    poll(plan, HttpJournal(items(1, 2, 3)))
    restarted = HttpJournal([item(1, SINCE + 20, 2), item(2, SINCE + 90, 9)], epoch="e9")
    effects = poll(plan, restarted)
    assert any(isinstance(one, Rebased) for one in effects)
    assert session.cursor() == Cursor("e9", 2, ALL)
    assert shown(session) == 4
    assert session.holdings.tally.unconfirmed == 2


def test_a_restarted_forwarder_with_the_same_journal_is_no_other_epoch() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    poll(plan, http_journal)
    http_journal.epoch = "e2"
    http_journal.resumable.add("e2")
    effects = poll(plan, http_journal)
    assert not any(isinstance(one, Rebased) for one in effects)
    assert session.epoch == "e2"


def test_a_head_below_the_cursor_is_another_journal() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2, 3)), PollPlan(session)
    poll(plan, http_journal)
    http_journal.items = items(1)
    effects = poll(plan, http_journal)
    assert any(isinstance(one, Rebased) for one in effects)
    assert session.after == 1


def test_an_unequal_range_is_repaired_over_http() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2, 3, 4, 5)), PollPlan(session)
    poll(plan, http_journal)
    rotten, *_ = session.holdings.tally.keys_between(0, 1 << 300, 99)
    session.holdings.tally.unconfirm([rotten])
    session.holdings.store([item(3, SINCE + 31, 77)], live=False)
    http_journal.complete_through = SINCE + 500
    effects = poll(plan, http_journal)
    assert [one.final for one in effects if isinstance(one, UnequalRange)] == [False]
    assert [len(one.keys) for one in effects if isinstance(one, Unconfirmed)] == [1]
    assert session.holdings.proof.unequal == ()
    assert green(session) == SINCE + 500


def test_a_second_mismatch_is_not_repaired_again() -> None:
    """[13]"""
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    poll(plan, http_journal)
    lying = HttpJournal(items(1, 2))
    lying.complete_through = SINCE + 500
    true_answer = lying.answer

    def answer(target: str) -> Response:
        given = true_answer(target)
        if "/v1/digest" in target:
            return Response(200, given.body.replace(b'"count":2', b'"count":3'))
        return given

    lying.answer = answer  # type: ignore[method-assign]  # it lies
    effects = poll(plan, lying)
    assert [one.final for one in effects if isinstance(one, UnequalRange)] == [False, True]
    assert not [one for one in poll(plan, lying) if isinstance(one, UnequalRange)]
    assert green(session) is None


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b'"epoch":"e1"', b'"epoch":"e7"'),
        (b'"seq":2', b'"seq":1'),
        (b'"from":1000', b'"from":1001'),
    ],
)
def test_a_digest_of_another_range_is_ignored(part: bytes, other: bytes) -> None:
    """[14]"""
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.complete_through = SINCE + 500
    plan.begin_round(NOW)
    while (ask := plan.next_request()) is not None:
        given = http_journal.answer(ask.target)
        if ask.kind == "digest":
            given = Response(200, given.body.replace(part, other))
        plan.take_response(ask, given, NOW)
    assert green(session) is None


def test_with_a_websocket_the_range_since_the_last_mark_is_compared() -> None:
    session, forwarder = live_session(items(1, 2, 3))
    deliver(session, forwarder.mark(SINCE, SINCE + 25, 3))
    http_journal = HttpJournal(items(1, 2, 3))
    assert poll(PollPlan(session), http_journal) == []
    (target,) = http_journal.asked
    assert f"from={SINCE + 26}&through={NOW + AHEAD_MS}&epoch=e1&seq=3" in target
    assert green(session) == SINCE + 25, "a comparison alone verifies nothing"


def test_with_a_websocket_an_unequal_range_is_repaired_over_it() -> None:
    session, _ = live_session(items(1, 2, 3))
    http_journal = HttpJournal([*items(1, 2, 3), item(3, SINCE + 5, 99)])
    effects = poll(PollPlan(session), http_journal)
    assert effects[-1] == SendMessage(Repair(SINCE, NOW + AHEAD_MS))


def test_with_a_websocket_a_conflict_is_left_to_it() -> None:
    session, _ = live_session(items(1))
    assert poll(PollPlan(session), HttpJournal(items(1), epoch="e9")) == []
    assert session.epoch == "e1"


@pytest.mark.parametrize(
    ("held", "span"),
    [
        ("5000:7..", (5_001, NOW + AHEAD_MS)),
        (f"{SINCE}:0..5000:7", (SINCE + 1, 4_999)),
        ("..5000:7", None),
    ],
)
def test_until_the_history_is_here_only_the_held_part_is_compared(
    held: str, span: tuple[int, int] | None
) -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome())
    deliver(session, forwarder.backfill(held))
    http_journal = HttpJournal([])
    poll(PollPlan(session), http_journal)
    if span is None:
        assert http_journal.asked == []
    else:
        assert f"from={span[0]}&through={span[1]}&" in http_journal.asked[0]


def test_without_any_history_there_is_nothing_to_compare() -> None:
    session = ViewerSession()
    connect(session, ForwarderMessages().welcome())
    http_journal = HttpJournal([])
    poll(PollPlan(session), http_journal)
    assert http_journal.asked == []


def test_a_websocket_that_opens_meanwhile_ends_the_round() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2, 3, 4)), PollPlan(session)
    plan.begin_round(NOW)
    ask = plan.next_request()
    assert ask is not None
    connect(session, ForwarderMessages().welcome(after=4))
    assert plan.take_response(ask, http_journal.answer(ask.target), NOW) == []
    assert shown(session) == 0
    session.connection_closed()
    assert plan.next_request() is None, "nor when it has closed again: it moved the cursor"


def test_since_is_chosen_as_the_forwarder_would() -> None:
    for wanted, since in ((Filter(), NOW), (Filter(executions=("x",)), 0)):
        session = ViewerSession(event_filter=wanted)
        PollPlan(session).begin_round(NOW + 600_000)
        assert session.since == since


def test_every_request_has_the_filter_and_the_group() -> None:
    session = ViewerSession(group="/g", event_filter=Filter(streams=("a",)), since=SINCE)
    http_journal = HttpJournal(items(1))
    poll(PollPlan(session), http_journal)
    assert all("group=%2Fg&stream=a" in target for target in http_journal.asked)


def test_a_repair_does_not_bring_lines_of_an_earlier_run() -> None:
    """[16]"""
    session = ViewerSession(since=SINCE, cursor=Cursor("e1", 2, ALL))
    http_journal, plan = HttpJournal(items(1, 2, 3)), PollPlan(session)
    poll(plan, http_journal)
    assert shown(session) == 1
    session.holdings.store([item(3, SINCE + 31, 77)], live=False)
    poll(plan, http_journal)
    assert shown(session) == 2
    assert session.holdings.tally.unconfirmed == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Response(503, b'{"error":"not ready"}'), "HTTP 503: not ready"),
        (Response(502, b"<html>"), "HTTP 502: the answer is not a forwarder's"),
        (Response(200, b"<html>"), "not a message of the protocol"),
        (
            Response(
                200, b'{"epoch":"e1","head_seq":0,"next":"1","complete_through":null,"items":[]}'
            ),
            "leads to itself",
        ),
    ],
)
def test_a_round_ends_with_a_reason(answer: Response, text: str) -> None:
    session = ViewerSession(since=SINCE, cursor=Cursor("e1", 0, ALL))
    plan = PollPlan(session)

    def asked() -> None:
        plan.begin_round(NOW)
        while (ask := plan.next_request()) is not None:
            plan.take_response(ask, answer, NOW)

    with pytest.raises(PollError, match=text):
        asked()


def test_an_empty_page_leads_to_the_next() -> None:
    session = ViewerSession(since=SINCE, cursor=Cursor("e1", 0, ALL))
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    empty = b'{"epoch":"e1","head_seq":2,"next":"%s","complete_through":null,"items":[]}'
    asked: list[str] = []
    plan.begin_round(NOW)
    while (ask := plan.next_request()) is not None:
        given = http_journal.answer(ask.target.replace("next=there&", ""))
        if ask.kind == "after":
            asked.append(ask.target)
            if "next=" not in ask.target:
                given = Response(200, empty.replace(b"%s", b"there"))
        plan.take_response(ask, given, NOW)
    assert session.after == 2
    assert "next=there" in asked[1]


def test_a_digest_without_an_epoch_is_accepted() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.complete_through = SINCE + 500
    plan.begin_round(NOW)
    while (ask := plan.next_request()) is not None:
        given = http_journal.answer(ask.target)
        if ask.kind == "digest":
            given = Response(200, given.body.replace(b'"epoch":"e1",', b""))
        plan.take_response(ask, given, NOW)
    assert green(session) == SINCE + 500


def test_what_the_forwarder_declares_is_polled_too() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2, 3)), PollPlan(session)
    gap = DeclaredGap("g1", SINCE + 20, SINCE + 20, "unrecoverable", "altered: masked", 0)
    lost = DeclaredGap("g2", SINCE + 25, SINCE + 26, "suspected", "polls fail", 0)
    http_journal.gaps = [gap, lost]
    http_journal.texts = [AlteredText("2", SINCE + 20, "****", 4)]
    effects = poll(plan, http_journal)
    [declared, other] = gaps_of(effects)
    assert (declared.id, declared.state, other.id) == ("g1", "unrecoverable", "g2")
    [line] = [one for one in stored_lines(effects) if one.seq == 2]
    altered = session.altered.find(line)
    assert altered is not None
    assert (altered.message, session.altered.count) == ("****", 1)
    assert gaps_of(poll(plan, http_journal)) == [], "each change once"
    http_journal.gaps, http_journal.texts = [], []
    closed = gaps_of(poll(plan, http_journal))
    assert [(one.id, one.state) for one in closed] == [("g1", "repaired"), ("g2", "repaired")]
    assert session.altered.find(line) is None


def test_a_forwarder_may_lack_what_is_declared() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.declares = False
    http_journal.complete_through = SINCE + 15
    poll(plan, http_journal)
    assert green(session) == SINCE + 15
    assert session.holdings.proof.gaps == ()


def test_what_is_declared_of_another_epoch_is_ignored() -> None:
    session = ViewerSession(since=SINCE)
    gap = DeclaredGap("g1", SINCE, SINCE, "suspected", "polls fail", 0)
    poll(PollPlan(session), HttpJournal(items(1)))
    upstream = Upstream("ok", 40, oldest=5)
    assert session.take_declared(DeclaredBody("e2", [gap], [], 0, upstream), NOW) == []
    assert session.holdings.proof.gaps == ()
    assert session.report.upstream == upstream, "that is of the log group, not of an epoch"


def test_polling_learns_where_cloudwatch_begins() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.upstream = Upstream("ok", 40, oldest=5, retention_ms=86_400_000)
    poll(plan, http_journal)
    assert session.report.upstream == http_journal.upstream
    http_journal.upstream = Upstream("unreachable", 20_000, "credentials_expired", "run `aws sso`")
    poll(plan, http_journal, NOW + 10_000)
    assert session.report.problem is not None
    assert session.report.problem.reason == "run `aws sso`"


@pytest.mark.parametrize("declares", [True, False])
def test_what_a_connection_said_of_cloudwatch_does_not_count_while_polling(
    *, declares: bool
) -> None:
    session = ViewerSession(since=SINCE)
    session.report.take_upstream(Upstream("throttled", 9_000, "access_denied"), NOW - 10_000)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.declares, http_journal.upstream = declares, None
    assert session.report.problem is not None
    poll(plan, http_journal)
    assert session.report.problem is None


def test_a_forwarder_may_declare_nothing_about_cloudwatch() -> None:
    session = ViewerSession(since=SINCE)
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    http_journal.upstream = Upstream("ok", 40, oldest=5)
    poll(plan, http_journal)
    http_journal.upstream = None
    poll(plan, http_journal, NOW + 10_000)
    assert session.report.upstream is not None, "what an earlier answer said stays"


def gaps_of(effects: list[Effect]) -> list[GapStatus]:
    return [one for one in effects if isinstance(one, GapStatus)]


def test_executions_in_another_format_do_not_end_the_round() -> None:
    session = ViewerSession(since=SINCE, event_filter=Filter(executions=("x",)))
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    plan.begin_round(NOW)
    while (ask := plan.next_request()) is not None:
        given = http_journal.answer(ask.target)
        if ask.kind == "executions":
            given = Response(200, b'{"executions":[]}')
        plan.take_response(ask, given, NOW)
    assert session.after == 2


def test_every_request_names_the_filter_pattern() -> None:
    wanted = Filter(executions=("x",), pattern="{ $.a = 1 }")
    http_journal = HttpJournal(items(1, 2))
    poll(PollPlan(ViewerSession(since=SINCE, group="/g", event_filter=wanted)), http_journal)
    paths = {target.partition("?")[0] for target in http_journal.asked}
    assert {"/v1/logs", "/v1/executions"} <= paths
    assert all("&pattern=%7B+%24.a+%3D+1+%7D" in target for target in http_journal.asked)


@pytest.mark.parametrize("seqs", [(1, 4), (5, 4)])
def test_lines_out_of_order_are_rejected(seqs: tuple[int, int]) -> None:
    session = ViewerSession(since=SINCE, cursor=Cursor("e1", 3, ALL))
    http_journal, plan = HttpJournal([]), PollPlan(session)
    http_journal._after = lambda query: items(*seqs)  # type: ignore[method-assign]  # noqa: ARG005 - it errs
    with pytest.raises(PollError, match="out of order"):
        poll(plan, http_journal)
    assert session.after == 3


def test_two_rounds_that_agree_on_verified_events_report_an_end() -> None:
    session = ViewerSession(since=SINCE, event_filter=Filter(executions=("one",)))
    http_journal, plan = HttpJournal(items(1, 2)), PollPlan(session)
    row = ExecutionSummary("one", "app/one", "FAILED", SINCE + 10, SINCE + 20, 2)
    http_journal.executions = [row, ExecutionSummary("two", "app/two", "FAILED", 1, 2, 3)]

    def ends() -> list[str]:
        return [one.status for one in poll(plan, http_journal) if isinstance(one, EndStatus)]

    assert ends() == []
    assert ends() == [], "nothing is verified"
    http_journal.complete_through = SINCE + 500
    http_journal.executions = [msgspec.structs.replace(row, status="RUNNING")]
    assert ends() == []
    http_journal.executions = [row]
    assert ends() == []
    assert ends() == ["FAILED"]
    assert session.holdings.ends[0].equal
    http_journal.asked.clear()
    assert ends() == []
    assert not [target for target in http_journal.asked if "executions" in target]


@pytest.mark.parametrize("status", ["UNKNOWN", "RUNNING"])
def test_an_execution_that_may_still_run_has_not_ended(
    status: Literal["UNKNOWN", "RUNNING"],
) -> None:
    session = ViewerSession(group="/g", since=SINCE, event_filter=Filter(executions=("one",)))
    http_journal, plan = HttpJournal(items(1)), PollPlan(session)
    http_journal.complete_through = SINCE + 500
    http_journal.executions = [
        ExecutionSummary("one", "app/one", status, SINCE + 10, SINCE + 10, 1)
    ]
    for _ in range(3):
        assert not [one for one in poll(plan, http_journal) if isinstance(one, EndStatus)]
    assert http_journal.asked[-1] == "/v1/executions?group=%2Fg"


class Heard:
    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.rounds: list[RoundResult] = []

    async def take_effects(self, effects: list[Effect]) -> None:
        self.effects += effects

    def end_round(self, result: RoundResult) -> None:
        self.rounds.append(result)


def polling_of(url: str, session: ViewerSession) -> tuple[PollingLoop, Heard]:
    heard = Heard()
    getter = HttpGetter(Address(url))
    return PollingLoop(
        PollPlan(session),
        getter,
        on_effects=heard.take_effects,
        on_round_end=heard.end_round,
        now_ms=lambda: NOW,
    ), heard


async def test_a_round_brings_lines_and_reports_its_end() -> None:
    session = ViewerSession(since=SINCE)
    async with scripted_forwarder(
        stay_connected, http_journal=HttpJournal([item(1, 2_000)])
    ) as server:
        polling, heard = polling_of(server.url, session)
        await polling.run_round()
    assert [type(one) for one in heard.effects] == [Stored]
    assert heard.rounds == [(None, True)]


async def test_a_failed_round_reports_its_reason() -> None:
    session = ViewerSession(since=SINCE)
    async with scripted_forwarder(stay_connected) as server:
        polling, heard = polling_of(server.url, session)
        await polling.run_round()
    assert heard.rounds == [("HTTP 502: the answer is not a forwarder's", True)]
    with kept_port() as port:
        polling, heard = polling_of(f"ws://127.0.0.1:{port}", session)
        await polling.run_round()
    assert heard.rounds == [("connection refused", True)]


async def test_a_round_can_begin_at_once() -> None:
    session = ViewerSession(since=SINCE)
    async with scripted_forwarder(stay_connected, http_journal=HttpJournal([])) as server:
        polling, heard = polling_of(server.url, session)
        task = asyncio.create_task(polling.run())
        await asyncio.sleep(0)
        assert heard.rounds == []
        polling.poll_now()
        await eventually(lambda: heard.rounds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
