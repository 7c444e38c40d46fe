from __future__ import annotations

import itertools

from tests.support.told import SINCE, Told, connect, hear, item, live, stored
from tui.client.history import Story
from tui.client.session import ViewerSession
from tui.client.snapshot import Watched, snapshot
from tui.client.status import Status
from tui.lines.timeline import Timeline
from wire.messages import Lost

NOW = 50_000


def status_of(*sessions: ViewerSession, timeline: Timeline | None = None) -> Status:
    watched = []
    for number, session in enumerate(sessions):
        story = Story(number, session, itertools.count(1).__next__)
        watched.append(Watched("", f"/group/{number}", f"ws://h/{number}", session, story))
    return snapshot(watched, timeline or Timeline(), NOW)


def test_several_targets_are_complete_through_the_least_of_them() -> None:
    one, told = live([item(1, 2_000), item(2, 4_000), item(3, 4_001)])
    other, told_other = live([item(1, 2_000)])
    hear(one, told.mark(SINCE, 4_000, 3))
    assert status_of(one, other).complete_through_ms is None
    hear(other, told_other.mark(SINCE, 3_000, 1))
    status = status_of(one, other)
    assert status.complete_through_ms == 3_000
    assert [target.complete_through_ms for target in status.targets] == [4_000, 3_000]
    assert status.provisional == 1
    assert status.events == 4
    assert status.is_green
    assert [target.name for target in status.targets] == ["/group/0", "/group/1"]


def test_the_worst_state_is_the_word_for_all() -> None:
    one, _ = live()
    other, _ = live()
    other.closed()
    assert status_of(one, one).state in ("live", "quiet")
    assert status_of(one, other).state == "connecting"
    assert status_of().state == "connecting"


def test_what_is_wrong_is_never_green() -> None:
    session, told = live([item(1, 2_000)])
    assert not status_of(session).is_green, "nothing is proved"
    hear(session, told.mark(SINCE, 3_000, 1))
    assert status_of(session).is_green
    hear(session, told.gap(2_500, 2_600, "unrecoverable"))
    assert not status_of(session).is_green
    hear(session, told.gap(2_500, 2_600, "repaired"))
    hear(session, told.mark(SINCE, 3_000, 1, owned=[]))
    status = status_of(session)
    assert not status.is_green
    assert (status.missing, status.targets[0].marks, status.targets[0].marks_unequal) == (1, 2, 1)
    lost, told = ViewerSession(since=SINCE), Told()
    connect(lost, told.welcome(lost=[Lost(1, 2, "x")]))
    hear(lost, told.mark(SINCE, 3_000, 0))
    assert not status_of(lost).is_green


def test_how_far_the_past_has_come() -> None:
    session, told = ViewerSession(since=SINCE), Told()
    connect(session, told.welcome(after=9))
    progress = status_of(session).targets[0].progress
    assert progress is not None
    assert (progress.received, progress.total, progress.reached_ms) == (0, None, None)
    hear(session, told.past(9, [item(3, 7_000)]), told.backfill("7000:3..", total=40))
    target = status_of(session).targets[0]
    progress = target.progress
    assert progress is not None
    assert (progress.received, progress.total, progress.reached_ms) == (1, 40, 7_000)
    assert (target.epoch, target.after, target.head_seq) == ("e1", 9, 9)
    hear(session, told.backfill(f"{SINCE}:0..", done=True), told.heartbeat(9, head_seq=12))
    target = status_of(session).targets[0]
    assert target.progress is None
    assert (target.head_seq, target.upstream, target.upstream_lag_ms) == (12, "ok", 5)


def test_the_timelines_figures_are_there() -> None:
    session, told = live()
    timeline = Timeline()
    timeline.add_many(stored(hear(session, told.events(0, [item(1, 2_000)]))))
    status = status_of(session, timeline=timeline)
    assert (status.lines, status.evicted, status.evicted_through_ms) == (1, 0, None)
    assert len(status.volume) == len(status.volume_past) == 60
