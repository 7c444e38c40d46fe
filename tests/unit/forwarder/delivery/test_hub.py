from __future__ import annotations

from forwarder.delivery.hub import ConnectedViewer, Hub
from forwarder.ingest.executions import Lifecycle
from forwarder.ingest.log_group import RECREATED, LogGroup
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import NOW, event, log_group, scan
from wire.messages import Bye, Events, Heartbeat, Mark, ServerMessage, Upstream
from wire.query import Filter, TailQuery

SINCE = NOW - 600_000


class Watcher:
    """A viewer of the hub's that is pulled whenever it was woken."""

    def __init__(self, hub: Hub, query: TailQuery | None = None) -> None:
        self.woken = 0
        self.viewer: ConnectedViewer = hub.open(
            query or TailQuery(since=SINCE), NOW, wake=self.wake, peer="127.0.0.1:9"
        )

    def wake(self) -> None:
        self.woken += 1

    def pull(self) -> list[ServerMessage]:
        pulled = []
        while (message := self.viewer.session.next(NOW)) is not None:
            pulled.append(message)
        return pulled


def make(group: LogGroup | None = None) -> tuple[LogGroup, FakeFeed, Hub]:
    group = log_group([event(1, NOW - 50)]) if group is None else group
    scan(group, SINCE, None, [event(1, NOW - 50)], at=NOW)
    group.take_notices()
    feed = FakeFeed(group)
    return group, feed, Hub(group, feed)


def test_new_events_wake_and_reach_all_viewers() -> None:
    group, _, hub = make()
    watchers = [Watcher(hub), Watcher(hub)]
    for one in watchers:
        one.pull()
    group.ingest([event(2, NOW)], "live")
    hub.progress()
    assert [one.woken for one in watchers] == [1, 1]
    for one in watchers:
        (frame,) = one.pull()
        assert isinstance(frame, Events)
        assert [item.id for item in frame.items] == ["2"]


def test_viewers_at_the_same_place_share_a_frame() -> None:
    group, _, hub = make()
    watchers = [Watcher(hub), Watcher(hub, TailQuery(since=SINCE + 5))]
    for one in watchers:
        one.pull()
    group.ingest([event(2, NOW)], "live")
    before = hub.slices.hits
    frames = [one.pull()[0] for one in watchers]
    assert hub.slices.hits == before + 1
    first, second = (frame for frame in frames if isinstance(frame, Events))
    assert first.items is second.items


def test_scans_become_marks_for_later_viewers_as_well() -> None:
    group, _, hub = make()
    first = Watcher(hub)
    first.pull()
    scan(group, NOW - 10_000, None, [event(1, NOW - 50)], at=NOW + 3_000)
    hub.progress()
    assert any(isinstance(one, Mark) for one in first.pull())
    later = Watcher(hub)
    assert [one.count for one in later.pull() if isinstance(one, Mark)] == [1]
    assert hub.counts.marks == 1


def test_a_new_chain_closes_all_viewers_and_forgets_marked_time() -> None:
    group, _, hub = make()
    scan(group, NOW - 10_000, None, [event(1, NOW - 50)], at=NOW + 3_000)
    hub.progress()
    watcher = Watcher(hub)
    watcher.pull()
    group.begin_chain(RECREATED)
    hub.progress()
    assert isinstance(watcher.pull()[-1], Bye)
    assert hub.counts.resets == 1
    assert not any(isinstance(one, Mark) for one in Watcher(hub).pull())


def test_history_is_requested_while_a_viewer_is_connected() -> None:
    _, feed, hub = make()
    wanted = Filter(executions=("b", "a"))
    watcher = Watcher(hub, TailQuery(since=SINCE, filter=wanted, history="oldest"))
    (key,) = feed.wanted
    assert feed.wanted[key] == (SINCE, "oldest", ("a", "b"))
    hub.close(watcher.viewer)
    hub.close(watcher.viewer)
    assert feed.wanted == {}
    assert hub.viewers == []


def test_retention_may_go_on_once_a_viewer_has_its_history() -> None:
    _, feed, hub = make()
    watcher = Watcher(hub)
    hub.release_history(watcher.viewer)
    assert feed.pending == set(feed.wanted)
    watcher.pull()
    hub.release_history(watcher.viewer)
    assert feed.pending == set()
    assert feed.wanted


def test_a_new_state_of_cloudwatch_is_sent_once() -> None:
    _, feed, hub = make()
    watcher = Watcher(hub)
    watcher.pull()
    feed.upstream = Upstream("unreachable", 7_000)
    hub.progress()
    (beat,) = watcher.pull()
    assert isinstance(beat, Heartbeat)
    assert beat.upstream == Upstream("unreachable", 7_000)
    hub.progress()
    assert watcher.pull() == []
    expired = Upstream("unreachable", 7_000, "credentials_expired", "log in")
    feed.upstream = expired
    hub.progress()
    (beat,) = watcher.pull()
    assert isinstance(beat, Heartbeat)
    assert beat.upstream == expired


def test_bye_closes_present_and_future_viewers() -> None:
    _, _, hub = make()
    watcher = Watcher(hub)
    watcher.pull()
    hub.bye("the forwarder is shutting down")
    assert watcher.woken == 1
    assert isinstance(watcher.pull()[-1], Bye)
    late = Watcher(hub)
    assert [type(one).__name__ for one in late.pull()] == ["Welcome", "Bye"]


def test_the_unready_reason_says_why() -> None:
    group, feed, hub = make()
    assert str(hub.unready_reason) == "None"
    feed.is_ready = False
    assert hub.unready_reason == f"{group.name}: the first whole scan has not finished"
    feed.problem = "no connection"
    assert hub.unready_reason == f"{group.name}: no connection"


def test_the_record_of_a_viewer() -> None:
    group, _, hub = make()
    watcher = Watcher(hub, TailQuery(since=SINCE, filter=Filter(prefixes=("app",)), credit=5))
    watcher.pull()
    group.ingest([event(2, NOW)], "live")
    record = watcher.viewer.record(NOW + 4_000)
    assert (record.id, record.peer, record.group) == (1, "127.0.0.1:9", group.name)
    assert (record.outcome, record.since, record.prefixes) == ("fresh", SINCE, ("app",))
    assert (record.after, record.head_seq, record.lag_events, record.lag_ms) == (1, 2, 1, 4_000)
    assert (record.credit, record.events_sent, record.connected_at) == (5, 1, NOW)
    assert record.past_done


def test_sent_totals_survive_a_viewer_that_disconnects() -> None:
    _, _, hub = make()
    watcher = Watcher(hub)
    watcher.pull()
    watcher.viewer.bytes_sent = 700
    assert (hub.events_sent, hub.bytes_sent) == (1, 700)
    hub.close(watcher.viewer)
    assert (hub.events_sent, hub.bytes_sent) == (1, 700)
    assert hub.counts.viewers == 1


def test_a_viewer_of_an_execution_waits_for_its_end() -> None:
    group = log_group()
    group.lifecycle = Lifecycle.idle(1)
    _, feed, hub = make(group)
    Watcher(hub, TailQuery(filter=Filter(streams=("app/one",))))
    assert [executions for _, _, executions in feed.wanted.values()] == [("one",)]
