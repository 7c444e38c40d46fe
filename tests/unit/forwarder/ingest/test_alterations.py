"""Texts that change under their ids are declared once, and never covered silently."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forwarder.errors import JournalFullError
from forwarder.ingest import alterations
from forwarder.ingest.alterations import ALTERED, GAPS_MAX, KnownTexts
from forwarder.ingest.log_group import LogGroup
from forwarder.journal.sqlite import SqliteJournals
from forwarder.records import (
    GapRecord,
    KnownRow,
    LogEvent,
    Notice,
    ScanDone,
    TextsChanged,
)
from tests.support.forwarder.log_events import GROUP, NOW_MS, event, events
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan
from wire.digest import event_digest, event_digests
from wire.limits import ALTERED_CHARS_MAX
from wire.query import Filter

LATER_MS = NOW_MS + 60_000
LINES = events(range(1, 6))


def masked(one: LogEvent, text: str = "****") -> LogEvent:
    return replace(one, message=text)


@pytest.fixture
def group() -> LogGroup:
    group = LogGroup(MemoryJournal(GROUP))
    run_scan(group, LINES, LATER_MS)
    group.take_notices()
    return group


def altered_gaps(group: LogGroup) -> list[GapRecord]:
    return [gap for gap in group.gaps() if gap.reason == ALTERED]


def kinds(notices: list[Notice]) -> list[str]:
    return [type(one).__name__ for one in notices]


def test_another_text_is_declared_before_the_mark_and_only_once(group: LogGroup) -> None:
    changed = [*LINES[:2], masked(LINES[2]), *LINES[3:]]
    assert run_scan(group, changed, LATER_MS) is not None
    gap, texts, done = group.take_notices()
    assert isinstance(gap, GapRecord)
    assert (gap.from_, gap.through) == (LINES[2].timestamp, LINES[2].timestamp)
    assert (gap.state, gap.reason) == ("unrecoverable", ALTERED)
    assert gap.streams == frozenset({"job/1"})
    assert isinstance(texts, TextsChanged)
    assert [(one.seq, one.message, one.length) for one in texts.events] == [(3, "****", 4)]
    assert isinstance(done, ScanDone)
    run_scan(group, changed, LATER_MS)
    assert kinds(group.take_notices()) == ["ScanDone"]
    assert (group.counts.altered, group.alterations.count(Filter(), 0)) == (1, 1)
    # The journal keeps the first text, which viewers hold.
    assert [row.message for row in group.journal.read_after(2, 1)] == ["line 3"]


def test_a_third_text_is_sent_without_another_gap(group: LogGroup) -> None:
    run_scan(group, [masked(one) for one in LINES], LATER_MS)
    group.take_notices()
    run_scan(group, [masked(one, "####") for one in LINES], LATER_MS)
    texts, _ = group.take_notices()
    assert isinstance(texts, TextsChanged)
    assert {one.message for one in texts.events} == {"####"}
    assert group.counts.altered == 5


def test_the_first_text_repairs_the_gap_when_it_is_back_everywhere(group: LogGroup) -> None:
    run_scan(group, [masked(one) for one in LINES], LATER_MS)
    [gap] = altered_gaps(group)
    group.take_notices()
    run_scan(group, [*LINES[:4], masked(LINES[4])], LATER_MS)
    texts, _ = group.take_notices()
    assert isinstance(texts, TextsChanged)
    assert [one.message for one in texts.events] == [None] * 4
    assert altered_gaps(group) == [gap]
    run_scan(group, LINES, LATER_MS)
    assert altered_gaps(group) == []
    assert replace(gap, state="repaired") in group.take_notices()
    assert group.alterations.count(Filter(), 0) == 0


def test_a_scan_begun_before_the_change_was_found_repairs_nothing(group: LogGroup) -> None:
    early = group.begin_scan("repair", NOW_MS, None, LATER_MS)
    run_scan(group, [masked(one) for one in LINES], LATER_MS)
    early.take_page(LINES)
    group.finish_scan(early, LATER_MS)
    assert len(altered_gaps(group)) == 1


def test_a_scan_that_breaks_off_declares_all_the_same(group: LogGroup) -> None:
    scan = group.begin_scan("repair", NOW_MS, None, LATER_MS)
    scan.take_page([masked(LINES[0])])
    group.abandon_scan(scan)
    assert len(altered_gaps(group)) == 1


def test_two_texts_in_one_page(group: LogGroup) -> None:
    new = event(9, NOW_MS + 90)
    run_scan(group, [*LINES, new, masked(new)], LATER_MS)
    assert [(gap.from_, gap.through) for gap in altered_gaps(group)] == [(NOW_MS + 90, NOW_MS + 90)]


def test_the_live_path_is_judged_by_scans(group: LogGroup) -> None:
    group.ingest([masked(one) for one in LINES], "live")
    assert altered_gaps(group) == []
    # Its row has a text that scans do not return, and no scan has returned it yet: a new chain.
    pushed = replace(event(9, NOW_MS + 90), ingestion_time=None)
    group.ingest([pushed], "live")
    group.agreement.adopt_rows(group.journal.read_after(5, 1), LATER_MS)
    epoch = group.epoch
    run_scan(group, [*LINES, masked(pushed)], LATER_MS)
    assert group.epoch != epoch
    assert altered_gaps(group) == []


def test_a_live_row_of_an_earlier_process(group: LogGroup) -> None:
    pushed = replace(event(9, NOW_MS + 90), ingestion_time=None)
    group.ingest([pushed], "live")
    run_scan(group, [*LINES, masked(pushed)], LATER_MS)
    assert len(altered_gaps(group)) == 1


def test_surrogates_that_are_joined_are_no_other_text() -> None:
    group = LogGroup(MemoryJournal(GROUP))
    run_scan(group, [event(1, message="\ud83d\ude00")], LATER_MS)
    run_scan(group, [event(1, message="\U0001f600")], LATER_MS)
    assert altered_gaps(group) == []


# Bodies


def test_another_text_is_never_restored_as_the_body(group: LogGroup) -> None:
    group.retain(before=LATER_MS)
    run_scan(group, [masked(one) for one in LINES], LATER_MS, kind="backfill")
    assert [row.message for row in group.journal.read_after(0, 9)] == [None] * 5
    group.ingest([masked(LINES[0])], "backfill")
    assert group.journal.read_after(0, 1)[0].message is None
    run_scan(group, LINES, LATER_MS, kind="backfill")
    assert [row.message for row in group.journal.read_after(0, 9)] == [one.message for one in LINES]
    assert altered_gaps(group) == []


def test_a_retired_body_is_compared_by_its_digest(group: LogGroup) -> None:
    group.retain(before=LATER_MS)
    run_scan(group, [masked(LINES[0]), *LINES[1:]], LATER_MS)
    assert len(altered_gaps(group)) == 1


# A later process


def test_a_later_process_neither_repeats_nor_forgets_the_gap(tmp_path: Path) -> None:
    def restarted() -> Generator[LogGroup, None, None]:
        while True:
            journals = SqliteJournals(tmp_path / "journal")
            yield LogGroup(journals.journal(GROUP))
            journals.close()

    processes = restarted()
    group = next(processes)
    changed = [masked(LINES[0]), *LINES[1:]]
    run_scan(group, LINES, LATER_MS)
    run_scan(group, changed, LATER_MS)
    [gap] = altered_gaps(group)
    group = next(processes)
    assert [one.id for one in altered_gaps(group)] == [gap.id]
    group.take_notices()
    run_scan(group, changed, LATER_MS)
    notices = group.take_notices()
    assert not any(isinstance(one, GapRecord) and one.id != gap.id for one in notices)
    assert group.alterations.texts()[0].message == "****"
    group = next(processes)
    # A scan of a part says nothing about the rest of the gap.
    run_scan(group, LINES[1:], LATER_MS, from_=LINES[1].timestamp)
    assert [one.id for one in altered_gaps(group)] == [gap.id]
    run_scan(group, LINES, LATER_MS)
    assert altered_gaps(group) == []
    processes.close()


def test_an_expired_row_proves_nothing_to_a_later_process(group: LogGroup) -> None:
    run_scan(group, [masked(LINES[0]), *LINES[1:]], LATER_MS)
    later = LogGroup(group.journal)
    later.learn_settings(86_400_000, None)
    run_scan(later, LINES[1:], NOW_MS + 86_400_005)
    assert len(altered_gaps(later)) == 1


def test_scans_of_the_past_and_polls_together_confirm_an_inherited_gap(group: LogGroup) -> None:
    """A gap may reach from the past to events stamped ahead, further than any one scan reads."""
    ahead = event(9, LATER_MS + 3_600_000)
    run_scan(group, [*LINES, ahead], LATER_MS)
    middle = range(LINES[0].timestamp, ahead.timestamp, alterations.NEAR_MS)
    between = [event(100 + number, moment) for number, moment in enumerate(middle)]
    run_scan(group, [*LINES, *between, ahead], LATER_MS)
    run_scan(group, [masked(one) for one in (*LINES, *between, ahead)], LATER_MS)
    assert len(altered_gaps(group)) == 1
    later = LogGroup(group.journal)
    past = [*LINES, *(one for one in between if one.timestamp <= LATER_MS)]
    run_scan(later, past, LATER_MS, through=LATER_MS)
    assert len(altered_gaps(later)) == 1
    polled = [*(one for one in between if one.timestamp >= LATER_MS - 5_000), ahead]
    run_scan(later, polled, LATER_MS, LATER_MS - 5_000, kind="live")
    assert altered_gaps(later) == []


# Bounds


def test_long_and_many_texts_are_bounded(group: LogGroup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alterations, "ALTERED_TEXTS_MAX", 2)
    long = "x" * (ALTERED_CHARS_MAX + 5)
    run_scan(group, [masked(one, long) for one in LINES], LATER_MS)
    kept = group.alterations.texts()
    assert [(len(one.message or ""), one.length) for one in kept] == [
        (ALTERED_CHARS_MAX, ALTERED_CHARS_MAX + 5)
    ] * 2
    assert group.alterations.count(Filter(), 0) == 5
    run_scan(group, LINES, LATER_MS)
    assert group.alterations.count(Filter(), 0) == 0
    assert altered_gaps(group) == []


def test_only_viewers_of_the_log_stream_are_concerned(group: LogGroup) -> None:
    other = event(9, NOW_MS + 90, "job/2")
    run_scan(group, [*LINES, other], LATER_MS)
    run_scan(group, [*LINES, masked(other)], LATER_MS)
    [gap] = altered_gaps(group)
    assert gap.matches(Filter())
    assert gap.matches(Filter(streams=("job/2",)))
    assert not gap.matches(Filter(streams=("job/1",)))
    assert group.alterations.count(Filter(streams=("job/1",)), 0) == 0
    assert group.alterations.count(Filter(), NOW_MS + 91) == 0


def test_a_gap_that_could_not_be_written_holds_the_mark_back(
    group: LogGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = group.journal.put_gap
    monkeypatch.setattr(group.journal, "put_gap", _no_room)
    scan = group.begin_scan("repair", NOW_MS, None, LATER_MS)
    with pytest.raises(JournalFullError):
        scan.take_page([masked(one) for one in LINES])
    group.abandon_scan(scan)
    scan = group.begin_scan("repair", NOW_MS, None, LATER_MS)
    with pytest.raises(JournalFullError):
        group.finish_scan(scan, LATER_MS)
    monkeypatch.setattr(group.journal, "put_gap", put)
    assert group.take_notices() == []
    run_scan(group, [masked(one) for one in LINES], LATER_MS)
    assert kinds(group.take_notices()) == ["GapRecord", "ScanDone"]


def _no_room(_gap: GapRecord) -> None:
    msg = "no room"
    raise JournalFullError(msg)


SPREAD_MS = 3_600_000


@given(st.lists(st.sets(st.integers(0, 399), max_size=300), min_size=1, max_size=4))
def test_gaps_cover_exactly_while_texts_differ(altered_sets: list[set[int]]) -> None:
    """Whatever changes and changes back, gaps cover what is altered, disjoint and bounded."""
    lines = [event(number + 1, NOW_MS + number * SPREAD_MS) for number in range(400)]
    end_ms = lines[-1].timestamp + 60_000
    group = LogGroup(MemoryJournal(GROUP))
    run_scan(group, lines, end_ms)
    for altered in [*altered_sets, set()]:
        page = [masked(one) if index in altered else one for index, one in enumerate(lines)]
        run_scan(group, page, end_ms)
        gaps = sorted((gap.from_, gap.through) for gap in altered_gaps(group))
        assert len(gaps) <= GAPS_MAX
        assert all(before[1] < after[0] for before, after in pairwise(gaps))
        moments = [lines[index].timestamp for index in altered]
        assert all(any(a <= moment <= b for a, b in gaps) for moment in moments)
        # And none covers nothing but first texts.
        assert all(any(a <= moment <= b for moment in moments) for a, b in gaps)
        assert group.alterations.count(Filter(), 0) == len(altered)


# The fast comparison


def row(seq: int, one: LogEvent) -> KnownRow:
    digest = event_digest(one.id, one.timestamp, one.stream, one.message)
    return KnownRow(seq, one.timestamp, one.stream, has_body=True, is_lost=False, digest=digest)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "b", "\udc80"]))))
def test_hashes_never_hide_a_difference(read: list[tuple[int, str]]) -> None:
    """Whatever was compared before, an event differs if and only if its text does."""
    texts = KnownTexts()
    first = [event(number, message="a") for number in range(10)]
    texts.add(0, first[:5])
    for number, message in read:
        one = replace(first[number], message=message)
        known = row(number, first[number])
        assert texts.differing([one], [known]) == ([] if message == "a" else [(one, known)])


def test_a_blank_text_differs_from_an_unknown_one() -> None:
    one = event(1, message="a")
    assert KnownTexts().differing([masked(one, "")], [row(1, one)]) != []


def test_known_texts_need_no_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    digests = _counting(monkeypatch)
    texts = KnownTexts()
    rows = [row(seq, one) for seq, one in enumerate(LINES, 1)]
    assert texts.differing(LINES, rows) == []
    assert texts.differing(LINES, rows) == []
    assert digests() == 5


def test_forgotten_hashes_cost_a_digest_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alterations, "_CHUNKS_MAX", 1)
    digests = _counting(monkeypatch)
    texts = KnownTexts()
    far = 1 << 20
    texts.add(1, LINES[:1])
    texts.add(far, LINES[1:2])
    assert texts.differing(LINES[:2], [row(1, LINES[0]), row(far, LINES[1])]) == []
    assert digests() == 1


def _counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    counted: list[int] = []
    real = event_digests

    def counting(some: list[LogEvent]) -> list[int]:
        counted.append(len(some))
        return real(some)

    monkeypatch.setattr(alterations, "event_digests", counting)
    return lambda: sum(counted)
