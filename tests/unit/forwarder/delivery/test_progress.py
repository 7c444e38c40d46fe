from __future__ import annotations

from forwarder.delivery.frames import Slices
from forwarder.delivery.lanes import Lanes
from forwarder.delivery.opening import Opening
from forwarder.delivery.progress import Progress
from forwarder.ingest.log_group import LogGroup
from tests.support.session_client import NOW, events, log_group, scan
from wire.order import Interval, first_key, key_of
from wire.query import TailQuery

SINCE = NOW - 100_000


def progress_of(group: LogGroup, **query: object) -> tuple[Progress, Lanes]:
    asked = TailQuery(since=SINCE, **query)  # type: ignore[arg-type] # the query's own fields
    opening = Opening(asked, group.journal, NOW)
    lanes = Lanes(opening, Slices(group.journal), group.head_seq)
    return Progress(group, opening, lanes), lanes


def test_nothing_may_be_spoken_of_before_anything_is_held() -> None:
    progress, _ = progress_of(log_group(events(range(1, 4), lambda n: NOW - n)))
    assert progress.news() is None
    low, high = progress.clip(0, NOW)
    assert low > high >= 0
    low, high = progress.clip(0, 0)
    assert low > high >= 0


def test_until_done_within_held_and_then_from_since() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    scan(group, SINCE, None, [], at=NOW)
    progress, lanes = progress_of(group)
    lanes.look_ahead(group.head_seq)
    assert lanes.next() is not None
    said = progress.slice_end()
    assert said is not None
    assert (said.held, said.total, said.done) == (f"{NOW - 500}:500..", 1_000, False)
    assert progress.clip(0, NOW) == (NOW - 499, NOW)
    while not progress.is_done:
        lanes.next()
        progress.slice_end()
        progress.news()
    assert progress.clip(0, NOW) == (SINCE, NOW)


def test_a_slice_is_closed_once() -> None:
    group = log_group(events(range(1, 4), lambda n: NOW - n))
    progress, lanes = progress_of(group)
    lanes.next()
    assert progress.slice_end() is not None
    assert progress.slice_end() is None


def test_who_resumes_may_be_spoken_to_of_what_it_holds() -> None:
    group = log_group(events(range(1, 1_001), lambda n: NOW - n))
    held = Interval(key_of(NOW - 500, "7"), None)
    progress, _ = progress_of(group, epoch=group.epoch, after=1_000, held=held)
    assert progress.clip(0, NOW) == (NOW - 499, NOW)
    assert progress.held == held


def test_without_held_a_cursor_has_all_of_the_past_at_once() -> None:
    group = log_group()
    progress, _ = progress_of(group, epoch=group.epoch, after=0)
    said = progress.news()
    assert said is not None
    assert (said.held, said.done) == (str(Interval(first_key(SINCE), None)), True)
    assert progress.news() is None


def test_what_must_be_fetched_is_wanted_until_it_is_covered() -> None:
    group = log_group()
    progress, _ = progress_of(group, history="oldest")
    assert progress.wants_backfill == (SINCE, "oldest")
    scan(group, NOW - 5_000, None, [], at=NOW - 500)
    assert progress.wants_backfill == (SINCE, "oldest")
    scan(group, SINCE, NOW - 5_000, [], at=NOW, kind="backfill")
    assert str(progress.wants_backfill) == "None"
