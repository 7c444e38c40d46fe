"""tests.unit.tui.client.test_history."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from tests.support.viewer.server_messages import (
    SINCE,
    ForwarderMessages,
    connect,
    deliver,
    item,
    line,
    live_session,
    stored_lines,
)
from tui.client.history import LAG_MS, EventRate, TargetHistory, TargetParts, make_status
from tui.client.session import ViewerSession
from tui.client.status import (
    QUIET_MS,
    CaughtUp,
    LostRange,
    Rebased,
    Status,
    Stored,
    UnequalRange,
    UpstreamProblem,
    Welcomed,
)
from tui.lines.rows import Rule, describe, time_key, time_of
from tui.lines.timeline import Timeline
from wire import record
from wire.messages import DeclaredBody, Lost, Upstream

NOW = 1_000_000
AGAIN = Welcomed("resumed", "e1", again=True)


def new_history(session: ViewerSession | None = None) -> TargetHistory:
    return TargetHistory(0, session or ViewerSession(since=SINCE), itertools.count(1))


def connected(session: ViewerSession | None = None) -> TargetHistory:
    """One that is live since NOW."""
    history = new_history(session or live_session()[0])
    history.attempt_began(1, NOW)
    history.take_effects([Welcomed("fresh", "e1", again=False)], NOW)
    return history


def cut(history: TargetHistory, now_ms: int, reason: str = "cut") -> list[Rule]:
    return history.attempt_ended(reason, None, 500, final=False, now_ms=now_ms)


def said(rules: list[Rule]) -> list[str]:
    return [describe(rule) for rule in rules]


# States


def test_at_first_it_is_connecting_then_reconnecting() -> None:
    history = new_history()
    history.attempt_began(1, NOW)
    assert history.state(NOW) == "connecting"
    assert cut(history, NOW + 1, "refused") == [], "it was never connected"
    assert (history.detail, history.retry_at_ms) == ("refused", NOW + 501)
    history.attempt_began(2, NOW + 501)
    assert (history.state(NOW), history.attempt, history.retry_at_ms) == ("reconnecting", 2, None)


def test_backfilling_then_live_then_quiet() -> None:
    session = ViewerSession(since=SINCE)
    forwarder = ForwarderMessages()
    connect(session, forwarder.welcome())
    history = connected(session)
    assert history.state(NOW) == "backfilling"
    deliver(session, forwarder.backfill(f"{SINCE}:0..", done=True))
    history.take_effects([Stored([line(1)], [])], NOW)
    assert history.state(NOW + QUIET_MS) == "live"
    assert history.state(NOW + QUIET_MS + 1) == "quiet"


def test_polling_is_a_state_of_its_own() -> None:
    session = ViewerSession(since=SINCE)
    history = new_history(session)
    history.attempt_began(1, NOW)
    cut(history, NOW, "HTTP 502")
    history.round_ended(None, NOW)
    assert history.state(NOW) == "polling"
    assert history.is_polling
    assert cut(history, NOW + 5, "HTTP 502") == [], "polling still brings lines"
    assert history.state(NOW) == "polling"
    assert said(history.round_ended("unreachable", NOW + 9)) == ["offline: unreachable"]
    assert history.state(NOW) == "reconnecting"


def test_a_final_disconnection_is_failed_and_a_reached_goal_is_ended() -> None:
    history = new_history()
    history.attempt_ended("no such group", 4504, 0, final=True, now_ms=NOW)
    assert (history.state(NOW), history.has_failed, history.retry_at_ms) == ("failed", True, None)
    history = connected()
    history.is_over = True
    assert history.state(NOW) == "ended"


def test_changes_of_state_are_recorded_without_quiet_moments() -> None:
    session, _ = live_session()
    history = connected(session)
    history.take_effects([], NOW + 2 * QUIET_MS)
    session.connection_closed()
    cut(history, NOW + 50_000, "cable")
    assert [(one.at_ms, one.state, one.detail) for one in history.state_changes] == [
        (NOW, "live", ""),
        (NOW + 50_000, "reconnecting", "cable"),
    ]
    assert history.state_since_ms == NOW + 50_000


# Outages


def test_an_outage_is_a_rule_that_grows() -> None:
    history = connected()
    (rule,) = cut(history, NOW + 1_000, "cable")
    assert describe(rule) == "offline: cable"
    assert time_of(rule.key) == NOW + 1_000
    assert cut(history, NOW + 5_000, "refused") == []
    (back,) = history.take_effects([AGAIN], NOW + 11_200)
    assert describe(back) == "offline 10.2 s"
    (recovered,) = history.take_effects([CaughtUp(203)], NOW + 11_300)
    assert describe(recovered) == "offline 10.2 s · 203 lines recovered"
    assert rule.key == back.key == recovered.key
    (outage,) = history.outages
    assert (outage.began_ms, outage.ended_ms) == (NOW + 1_000, NOW + 11_200)
    assert (outage.reason, outage.recovered, outage.outcome) == ("cable", 203, "resumed")


def test_polling_ends_an_outage_too() -> None:
    session, _ = live_session()
    history = connected(session)
    cut(history, NOW)
    session.connection_closed()
    history.take_effects([Stored([line(1), line(2)], [])], NOW + 100)
    assert said(history.round_ended(None, NOW + 10_000)) == [
        "offline 10.0 s",
        "offline 10.0 s · 2 lines recovered",
    ]
    assert history.take_effects([AGAIN, CaughtUp(0)], NOW + 20_000) == []


def test_lines_that_polling_brought_before_the_reconnect_are_counted() -> None:
    history = connected()
    cut(history, NOW)
    history.take_effects([Stored([line(1), line(2)], [])], NOW + 100)  # its round has not ended
    rules = history.take_effects([AGAIN, CaughtUp(0)], NOW + 1_000)
    assert said(rules)[-1] == "offline 1.0 s · 2 lines recovered"


def test_lines_of_a_connection_that_was_cut_while_catching_up_are_counted() -> None:
    history = connected()
    cut(history, NOW)
    history.take_effects([AGAIN, Stored([line(1), line(2)], [])], NOW + 1_000)
    cut(history, NOW + 2_000)
    rules = history.take_effects([AGAIN, Stored([line(3)], []), CaughtUp(1)], NOW + 3_000)
    assert said(rules)[-1] == "offline 1.0 s · 3 lines recovered"


def test_lines_that_the_forwarder_found_after_the_reconnect_are_counted() -> None:
    """A forwarder that was away itself has caught up at once, and reads CloudWatch afterwards."""
    history = connected()
    cut(history, NOW)
    history.take_effects([AGAIN, CaughtUp(0)], NOW + 10_000)
    away, after = line(time_key(NOW + 5_000)), line(time_key(NOW + 10_001))
    rules = history.take_effects([Stored([away, after], [])], NOW + 11_000)
    assert said(rules) == ["offline 10.0 s · 1 line recovered"]
    assert history.take_effects([Stored([after], [])], NOW + 12_000) == []


def test_resuming_an_earlier_run_is_a_rule_above_every_line() -> None:
    history = connected()
    (rule,) = history.take_effects([CaughtUp(12)], NOW)
    assert describe(rule) == "12 lines since you left"
    assert time_of(rule.key) == SINCE


# Rules


def test_gaps_losses_and_ends_are_rules_that_stay_in_their_place() -> None:
    session, forwarder = live_session()
    history = connected(session)
    (first,) = history.take_effects(deliver(session, forwarder.gap(2_000, 2_100, "repairing")), NOW)
    (later,) = history.take_effects(deliver(session, forwarder.gap(2_050, 2_100, "repaired")), NOW)
    assert first.key == later.key
    assert later.state == "repaired"
    (early,) = history.take_effects([LostRange(0, 10, 2_000, "retention")], NOW)
    assert time_of(early.key) == SINCE, "not before since"
    deliver(session, forwarder.events(0, [item(1, 2_500)]))
    (ended,) = history.take_effects(
        deliver(session, forwarder.end(SINCE, 2_500, 1, status="FAILED")), NOW
    )
    assert describe(ended) == "execution one FAILED"
    assert time_of(ended.key) == 2_501
    (rebased,) = history.take_effects([Rebased(0, 1, "new epoch")], NOW)
    assert describe(rebased) == "lines above can no longer be verified: new epoch"


def test_an_unequal_end_says_that_it_is_not_verified() -> None:
    session, forwarder = live_session()
    effects = deliver(session, forwarder.end(SINCE, 2_500, 0, owned=[item(0 + 1, 2_000)]))
    assert said(connected(session).take_effects(effects, NOW)) == ["execution one SUCCEEDED"]
    unequal = deliver(session, forwarder.end(SINCE, 2_500, 0, owned=[]))
    assert unequal
    forwarder.owned = [item(1, 2_000)]
    deliver(session, forwarder.events(0, [], seq=1))
    effects = deliver(session, forwarder.end(SINCE, 2_500, 1))
    assert said(connected(session).take_effects(effects, NOW)) == [
        "execution one (not verified yet) SUCCEEDED"
    ]


def test_only_a_second_mismatch_is_a_rule_until_a_later_mark_is_equal() -> None:
    session, forwarder = live_session()
    history = connected(session)
    assert history.take_effects([UnequalRange(0, 2_000, 2_100, 3, final=False)], NOW) == []
    (bad,) = history.take_effects([UnequalRange(0, 2_000, 2_100, 3, final=True)], NOW)
    assert describe(bad) == "not verified: 3 lines missing or different"
    session.holdings.proof.add_unequal(2_000, 2_100, 3, final=True)
    assert history.take_effects(deliver(session, forwarder.mark(2_200, 2_300, 0)), NOW) == []
    (good,) = history.take_effects(deliver(session, forwarder.mark(2_000, 2_300, 0)), NOW)
    assert (describe(good), good.key) == ("now verified", bad.key)
    assert history.take_effects(deliver(session, forwarder.mark(2_000, 2_300, 0)), NOW) == []


# Figures


def test_the_lag_is_of_the_newest_live_line_and_expires() -> None:
    history = connected()
    assert history.lag_ms(NOW) is None
    stored_lines = Stored([line((NOW - 300) << 200), line((NOW - 100) << 200)], [])
    history.take_effects([stored_lines], NOW)
    assert history.lag_ms(NOW) == 100
    assert history.lag_ms(NOW + LAG_MS + 1) is None
    history.take_effects([Stored([line((NOW + 99_000) << 200)], [])], NOW)
    assert history.lag_ms(NOW) == 0, "stamped ahead of the clock"


def test_events_are_counted_by_the_second() -> None:
    volume = EventRate()
    volume.count_events(3, 1_000_100)
    volume.count_events(4, 1_000_900)
    volume.count_events(5, 1_002_000)
    volume.count_events(1, 1_001_000)
    seconds = volume.by_second(1_003_500)
    assert len(seconds) == 60
    assert seconds[-4:] == (7, 0, 6, 0)
    assert volume.per_second(1_003_500) == pytest.approx(13 / 5)
    assert sum(volume.by_second(2_000_000)) == 0


def test_the_rate_is_that_of_live_lines() -> None:
    history = connected()
    backfilled = [msgspec.structs.replace(line(at), origin="backfill") for at in range(1, 90)]
    history.take_effects([Stored([*backfilled, line(100), line(101)], [])], NOW)
    assert history.live_per_second(NOW + 1_000) == pytest.approx(2 / 5)


def test_no_rule_says_that_no_lines_came_since() -> None:
    history = new_history()
    history.attempt_began(1, NOW)
    assert history.take_effects([Welcomed("resumed", "e1", again=False), CaughtUp(0)], NOW) == []
    history = new_history()
    history.attempt_began(1, NOW)
    rules = history.take_effects([Welcomed("resumed", "e1", again=False), CaughtUp(2)], NOW)
    assert [rule.kind for rule in rules] == ["resumed"]


SNAPSHOT_NOW = 50_000


def status_of(*sessions: ViewerSession, timeline: Timeline | None = None) -> Status:
    watched = []
    for number, session in enumerate(sessions):
        history = TargetHistory(number, session, itertools.count(1))
        watched.append(TargetParts("", f"/group/{number}", f"ws://h/{number}", session, history))
    return make_status(watched, timeline or Timeline(), SNAPSHOT_NOW)


def test_several_targets_are_complete_through_the_earliest() -> None:
    one, forwarder = live_session([item(1, 2_000), item(2, 4_000), item(3, 4_001)])
    other, told_other = live_session([item(1, 2_000)])
    deliver(one, forwarder.mark(SINCE, 4_000, 3))
    assert status_of(one, other).complete_through_ms is None
    deliver(other, told_other.mark(SINCE, 3_000, 1))
    status = status_of(one, other)
    assert status.complete_through_ms == 3_000
    assert [target.complete_through_ms for target in status.targets] == [4_000, 3_000]
    assert status.provisional == 1
    assert status.events == 4
    assert status.is_green
    assert [target.name for target in status.targets] == ["/group/0", "/group/1"]


def test_the_worst_state_is_the_state_of_all() -> None:
    one, _ = live_session()
    other, _ = live_session()
    other.connection_closed()
    assert status_of(one, one).state in ("live", "quiet")
    assert status_of(one, other).state == "connecting"
    assert status_of().state == "connecting"


def test_unequal_lost_and_unrecoverable_ranges_are_never_green() -> None:
    session, forwarder = live_session([item(1, 2_000)])
    assert not status_of(session).is_green, "nothing is verified"
    deliver(session, forwarder.mark(SINCE, 3_000, 1))
    assert status_of(session).is_green
    deliver(session, forwarder.gap(2_500, 2_600, "unrecoverable"))
    assert not status_of(session).is_green
    deliver(session, forwarder.gap(2_500, 2_600, "repaired"))
    deliver(session, forwarder.mark(SINCE, 3_000, 1, owned=[]))
    status = status_of(session)
    assert not status.is_green
    assert (status.missing, status.targets[0].marks, status.targets[0].marks_unequal) == (1, 2, 1)
    lost, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(lost, forwarder.welcome(lost=[Lost(1, 2, "x")]))
    deliver(lost, forwarder.mark(SINCE, 3_000, 0))
    assert not status_of(lost).is_green


def test_the_progress_of_the_backfill() -> None:
    session, forwarder = ViewerSession(since=SINCE), ForwarderMessages()
    connect(session, forwarder.welcome(after=9))
    progress = status_of(session).targets[0].progress
    assert progress is not None
    assert (progress.received, progress.total, progress.reached_ms) == (0, None, None)
    deliver(
        session, forwarder.history(9, [item(3, 7_000)]), forwarder.backfill("7000:3..", total=40)
    )
    target = status_of(session).targets[0]
    progress = target.progress
    assert progress is not None
    assert (progress.received, progress.total, progress.reached_ms) == (1, 40, 7_000)
    assert (target.epoch, target.after, target.head_seq) == ("e1", 9, 9)
    deliver(
        session, forwarder.backfill(f"{SINCE}:0..", done=True), forwarder.heartbeat(9, head_seq=12)
    )
    target = status_of(session).targets[0]
    assert target.progress is None
    assert (target.head_seq, target.upstream, target.upstream_lag_ms) == (12, "ok", 5)


def test_a_problem_with_cloudwatch_is_known_while_a_heartbeat_or_a_poll_says_so() -> None:
    session, _ = live_session()
    history = connected(session)
    problem = Upstream("unreachable", 9_000, "credentials_expired", "run `aws sso login`")
    session.report.take_upstream(problem, NOW)
    known = UpstreamProblem("credentials_expired", "run `aws sso login`")
    assert [history.problem] == [known]
    session.connection_closed()
    cut(history, NOW, "HTTP 502")
    assert [history.problem] == [None], "that was of the connection"
    session.take_declared(DeclaredBody("e1", [], [], 0, problem), NOW + 1)
    history.round_ended(None, NOW + 2)
    assert [history.problem] == [known]
    [entry] = [one for one in history.course.entries() if isinstance(one, record.Upstream)]
    assert (entry.at, entry.state, entry.reason) == (NOW + 2, known.code, known.reason)
    parts = TargetParts("", "/group", "ws://h", session, history)
    (target,) = make_status([parts], Timeline(), NOW + 3).targets
    assert (target.state, target.upstream_code) == ("polling", "credentials_expired")
    assert target.upstream_reason == "run `aws sso login`"
    history.round_ended("unreachable", NOW + 4)
    assert [history.problem] == [None]


def test_the_status_has_the_timelines_numbers() -> None:
    session, forwarder = live_session()
    timeline = Timeline()
    timeline.add_many(stored_lines(deliver(session, forwarder.events(0, [item(1, 2_000)]))))
    status = status_of(session, timeline=timeline)
    assert (status.lines, status.evicted, status.evicted_through_ms) == (1, 0, None)
    assert len(status.volume) == len(status.volume_backfill) == 60
