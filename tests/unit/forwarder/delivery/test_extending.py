"""A connected viewer asks for older history: what the session sends then."""

from __future__ import annotations

import pytest

from forwarder.delivery.backfill import HistoryIntervals
from forwarder.delivery.frames import SliceReader
from forwarder.delivery.hub import Hub
from forwarder.ingest.log_group import LogGroup
from forwarder.records import ScanDone
from tests.support.forwarder.fake_feed import FakeFeed
from tests.support.forwarder.session_client import (
    NOW,
    SessionClient,
    event,
    events,
    log_group,
    scan,
)
from wire.messages import Backfill, Credit, Events, Extend, Gap, Mark
from wire.order import first_key, key_of
from wire.query import History, TailQuery

MINUTE = 60_000
RECENT, OLD = NOW - 10 * MINUTE, NOW - 70 * MINUTE


def ids(client: SessionClient) -> set[int]:
    """The ids of the events that the client has."""
    return {int(item.id) for item in client.held_items.values()}


def backfills(messages: list[object]) -> list[Backfill]:
    return [one for one in messages if isinstance(one, Backfill)]


def group_with_old_events() -> LogGroup:
    old = events(range(1, 701), lambda n: OLD + n)
    recent = events(range(1_001, 1_006), lambda n: RECENT + n)
    group = log_group(old, recent)
    scan(group, 0, None, [*old, *recent], at=NOW)
    return group


def connected(**query: object) -> SessionClient:
    client = SessionClient(group_with_old_events(), TailQuery(since=RECENT, **query))  # type: ignore[arg-type] # the query's own fields
    client.pull()
    assert client.done
    return client


def test_what_the_journal_has_is_sent_down_to_the_new_start() -> None:
    client = connected()
    assert client.welcome.extends
    assert ids(client) == set(range(1_001, 1_006))
    client.session.receive(Extend(OLD))
    sent = client.pull()
    assert ids(client) == {*range(1, 701), *range(1_001, 1_006)}
    frames = [one for one in sent if isinstance(one, Events) and one.items]
    assert all(frame.after == frame.seq for frame in frames)
    reports = backfills(list(sent))
    assert [one.done for one in reports] == [False, True]
    assert {one.since for one in reports} == {OLD}
    assert reports[0].held == f"{OLD + 201}:201.."
    assert reports[-1].held == f"{OLD}:0.."


def test_each_backfill_says_which_start_it_is_about() -> None:
    client = connected()
    assert backfills(list(client.log))[-1].since == RECENT


@pytest.mark.parametrize("since", [RECENT, RECENT + 1])
def test_a_start_that_is_not_earlier_changes_nothing(since: int) -> None:
    client = connected()
    client.session.receive(Extend(since))
    assert client.pull() == []
    assert client.session.since == RECENT


def test_several_requests_add_up() -> None:
    client = connected()
    for since in (RECENT - MINUTE, OLD + 600, OLD + 300):
        client.session.receive(Extend(since))
    client.pull()
    assert ids(client) == {*range(300, 701), *range(1_001, 1_006)}
    assert client.done


def test_events_that_were_fetched_for_another_viewer_are_sent_now() -> None:
    client = SessionClient(log_group(events(range(1, 4), lambda n: RECENT + n)))
    client = SessionClient(client.group, TailQuery(since=RECENT))
    client.pull()
    client.group.ingest(events(range(10, 20), lambda n: OLD + n), "backfill")
    client.group.ingest([event(30, RECENT + 30)], "live")
    client.pull()
    assert ids(client) == {1, 2, 3, 30}
    client.session.receive(Extend(OLD))
    client.pull()
    assert ids(client) == {1, 2, 3, 30, *range(10, 20)}


def test_what_was_read_ahead_is_read_again() -> None:
    """The credit kept a slice back from which older events had been left out."""
    group = log_group(events(range(1, 4), lambda n: RECENT + n))
    client = SessionClient(group, TailQuery(since=RECENT, credit=3))
    client.pull()
    group.ingest([event(4, RECENT + 4), *events(range(10, 20), lambda n: OLD + n)], "backfill")
    client.pull()
    client.session.receive(Extend(OLD))
    client.session.receive(Credit(100))
    client.pull()
    assert ids(client) == {1, 2, 3, 4, *range(10, 20)}


def test_what_must_be_fetched_first_moves_held_as_it_comes() -> None:
    group = log_group(events(range(1, 4), lambda n: RECENT + n))
    scan(group, RECENT, None, events(range(1, 4), lambda n: RECENT + n), at=NOW)
    client = SessionClient(group, TailQuery(since=RECENT))
    client.pull()
    assert client.done
    client.session.receive(Extend(OLD))
    assert [(one.held, one.done) for one in backfills(list(client.pull()))] == [
        (f"{RECENT}:0..", False)
    ]
    found = events(range(10, 20), lambda n: RECENT - MINUTE + n)
    scan(group, RECENT - MINUTE, RECENT - 1, found, at=NOW, kind="backfill")
    half = backfills(list(client.pull()))
    assert [(one.held, one.done) for one in half] == [(f"{RECENT - MINUTE}:0..", False)]
    scan(group, OLD, RECENT - MINUTE - 1, [], at=NOW, kind="backfill")
    assert [(one.held, one.done) for one in backfills(list(client.pull()))] == [
        (f"{OLD}:0..", True)
    ]


def test_no_mark_covers_the_older_range_before_it_is_sent() -> None:
    client = connected(credit=10)
    client.session.receive(Extend(OLD))
    client.session.notice(ScanDone(0, NOW, NOW, client.group.head_seq))
    assert not any(isinstance(one, Mark) for one in client.pull())
    client.session.receive(Credit(10_000))
    marks = [one for one in client.pull() if isinstance(one, Mark)]
    assert [(one.from_, one.count) for one in marks] == [(OLD, 705)]
    assert not client.unequal


def test_gaps_and_losses_of_the_older_range_are_declared() -> None:
    client = connected()
    group = client.group
    group.journal.retire(before=OLD + 6)
    group.journal.mark_lost(["1", "2", "3", "4", "5"], "gone")
    client.session.receive(Extend(OLD))
    gaps = [one for one in client.pull() if isinstance(one, Gap)]
    assert [(one.from_, one.through, one.state, one.reason) for one in gaps] == [
        (OLD + 1, OLD + 5, "unrecoverable", "gone")
    ]


def test_the_hub_asks_for_the_history_and_sends_its_marks() -> None:
    group = group_with_old_events()
    feed = FakeFeed(group)
    hub = Hub(group, feed)
    hub.progress()
    viewer = hub.open(TailQuery(since=RECENT), NOW, wake=lambda: None)
    while viewer.session.next(NOW) is not None:
        pass
    hub.release_history(viewer)
    hub.receive(viewer, Extend(OLD))
    assert viewer.needs_history
    marks = []
    while (message := viewer.session.next(NOW)) is not None:
        marks += [message] if isinstance(message, Mark) else []
    assert [one.from_ for one in marks] == [OLD]


@pytest.mark.parametrize("history", ["newest", "oldest"])
def test_intervals_grow_downwards_whatever_was_first(history: History) -> None:
    past = HistoryIntervals(5_000, 9_000, history=history)
    past.extend(1_000, 70)
    untils = [past.until_seq]
    past.finish_interval()
    untils.append(past.until_seq)
    assert untils == [None, 70]
    assert past.newest_first
    assert past.next_interval is not None
    assert past.next_interval.low == first_key(1_000)
    past.advance_to(key_of(3_000, "1"))
    past.finish_interval()
    assert past.next_interval is None


def test_slices_are_not_shared_between_viewers_of_different_starts() -> None:
    group = group_with_old_events()
    slices = SliceReader(group.journal)
    group.ingest(events(range(2_000, 2_005), lambda n: OLD - n), "backfill")
    after = group.head_seq - 5
    wanted = TailQuery().filter
    assert not slices.after(after, wanted, RECENT, 500).items
    assert len(slices.after(after, wanted, 0, 500).items) == 5
