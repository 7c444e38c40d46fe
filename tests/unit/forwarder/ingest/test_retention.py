from __future__ import annotations

import pytest

from forwarder.config import DAY_MS
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import AWAY, EXPIRED, FIRSTS_MAX, SLACK_MS, Expiry, concerns
from forwarder.records import GapRecord
from tests.support.forwarder.log_events import GROUP, NOW_MS
from tests.support.forwarder.memory_journal import MemoryJournal
from tests.support.forwarder.scans import run_scan

WEEK_MS = 7 * DAY_MS
HORIZON = NOW_MS - WEEK_MS


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def lost(group: LogGroup) -> list[tuple[int, int, str]]:
    """Unrecoverable gaps: (from, through, reason)."""
    return [
        (gap.from_, gap.through, gap.reason)
        for gap in group.journal.gaps()
        if gap.state == "unrecoverable"
    ]


def is_settled(group: LogGroup) -> bool:
    """Whether no first scan waits for the log group's settings."""
    return all(one.is_settled for one in group._expiry._firsts)


def test_time_that_had_expired_when_first_scanned_is_unrecoverable(
    group: LogGroup,
) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    since = NOW_MS - 30 * DAY_MS
    run_scan(group, [], NOW_MS, HORIZON + 5, NOW_MS)
    assert lost(group) == []
    run_scan(group, [], NOW_MS, since + 100, HORIZON + 4, kind="backfill")
    run_scan(group, [], NOW_MS, since, since + 99, kind="backfill")
    assert lost(group) == [(since, HORIZON - 1, EXPIRED)]
    # Neither another scan nor time changes that.
    run_scan(group, [], NOW_MS + 20 * DAY_MS, since, NOW_MS)
    assert lost(group) == [(since, HORIZON - 1, EXPIRED)]


def test_time_scanned_before_it_expired_is_no_gap(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    run_scan(group, [], NOW_MS, HORIZON, NOW_MS)
    later = NOW_MS + 5 * DAY_MS
    run_scan(group, [], later, HORIZON, later)
    assert lost(group) == []


def test_time_before_the_group_was_created_is_not_lost(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 3 * DAY_MS)
    run_scan(group, [], NOW_MS, 0, NOW_MS)
    assert lost(group) == []


def test_a_group_that_is_a_little_older_than_its_retention_lost_only_that(group: LogGroup) -> None:
    made = HORIZON - 2 * DAY_MS
    group.learn_settings(WEEK_MS, made)
    run_scan(group, [], NOW_MS, 0, NOW_MS)
    assert lost(group) == [(made, HORIZON - 1, EXPIRED)]


def test_without_a_retention_setting_nothing_is_lost(group: LogGroup) -> None:
    group.learn_settings(None, NOW_MS - 300 * DAY_MS)
    run_scan(group, [], NOW_MS, 0, NOW_MS)
    assert lost(group) == []


def test_a_request_for_the_retention_period_shows_no_gap_at_its_edge(
    group: LogGroup,
) -> None:
    group.learn_settings(WEEK_MS, 0)
    run_scan(group, [], NOW_MS, HORIZON - SLACK_MS, NOW_MS)
    assert lost(group) == []


def test_a_forwarder_that_was_down_for_too_long_declares_a_gap() -> None:
    journal = MemoryJournal(GROUP)
    before = NOW_MS - 20 * DAY_MS
    run_scan(LogGroup(journal), [], before, before - DAY_MS, before)
    journal.begin_epoch()
    group = LogGroup(journal)
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    run_scan(group, [], NOW_MS, before - DAY_MS, NOW_MS, kind="backfill")
    assert lost(group) == [(before + 1, HORIZON - 1, AWAY)]


def test_settings_learned_late_apply_to_earlier_scans(
    group: LogGroup,
) -> None:
    run_scan(group, [], NOW_MS, NOW_MS - 30 * DAY_MS, NOW_MS)
    assert lost(group) == []
    group.learn_settings(WEEK_MS, 0)
    assert lost(group) == [(NOW_MS - 30 * DAY_MS, HORIZON - 1, EXPIRED)]


def test_a_lengthened_retention_brings_nothing_back(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, 0)
    run_scan(group, [], NOW_MS, NOW_MS - 8 * DAY_MS, NOW_MS)
    group.learn_settings(4 * WEEK_MS, 0)
    run_scan(group, [], NOW_MS, NOW_MS - 20 * DAY_MS, NOW_MS)
    assert lost(group) == [(NOW_MS - 20 * DAY_MS, HORIZON - 1, EXPIRED)]


def test_ranges_that_wait_for_the_setting_are_bounded() -> None:
    expiry = Expiry()
    for number in range(FIRSTS_MAX + 10):
        expiry.add_first_scans([(number, number)], NOW_MS, None)
    expiry.learn(WEEK_MS, 0)
    assert len(expiry.due()) == FIRSTS_MAX
    expiry.forget_declared()
    assert expiry.due() == []


def test_expired_time_does_not_concern_a_request_for_everything() -> None:
    assert concerns(EXPIRED, NOW_MS)
    assert not concerns(EXPIRED, 0)
    assert concerns(AWAY, 0)
    assert concerns("anything else", 0)


def test_a_clock_that_was_ahead_for_a_while_makes_nothing_expire_later(group: LogGroup) -> None:
    group.learn_settings(DAY_MS, 0)
    run_scan(group, [], NOW_MS, kind="live")
    ahead = NOW_MS + 30 * DAY_MS
    run_scan(group, [], ahead, ahead - 5_000, kind="live")
    group.learn_settings(3 * DAY_MS, 0)
    before = lost(group)
    for at in range(1, 5):
        now_ms = NOW_MS - at * 10_000
        run_scan(group, [], now_ms, now_ms - 5_000, kind="live")
    assert lost(group) == before == []


def test_a_loss_declared_by_a_wrong_clock_is_retracted(group: LogGroup) -> None:
    group.learn_settings(DAY_MS, 0)
    run_scan(group, [], NOW_MS, kind="live")
    ahead = NOW_MS + 30 * DAY_MS
    run_scan(group, [], ahead, NOW_MS, kind="live")
    assert lost(group) == [(NOW_MS + 1, ahead - DAY_MS - 1, AWAY)]
    group.take_notices()
    run_scan(group, [], NOW_MS + 10_000, NOW_MS - 5_000, kind="live")
    assert lost(group) == []
    told = [one for one in group.take_notices() if isinstance(one, GapRecord)]
    assert [(one.reason, one.state) for one in told] == [(AWAY, "repaired")]


def test_a_clock_set_back_a_little_changes_nothing(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, 0)
    run_scan(group, [], NOW_MS, HORIZON - 2 * DAY_MS, NOW_MS)
    before = lost(group)
    run_scan(group, [], NOW_MS - 60_000, HORIZON - 2 * DAY_MS, NOW_MS)
    assert lost(group) == before != []


def test_a_setting_shortened_before_the_first_scan_is_declared_once_known(
    group: LogGroup,
) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    group.learn_settings(None, created)
    # Here it is shortened, and removes events that no scan has read.
    run_scan(group, [], NOW_MS, since, NOW_MS, kind="backfill")
    assert lost(group) == []
    assert not is_settled(group)
    group.learn_settings(DAY_MS, created)
    assert lost(group) == [(since, NOW_MS - DAY_MS - 1, EXPIRED)]
    assert is_settled(group)


def test_a_setting_shortened_after_the_first_scan_lost_nothing(group: LogGroup) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    scan = group.begin_scan("backfill", since, NOW_MS, NOW_MS)
    scan.take_page([])
    group.learn_settings(None, created)  # requested after its last page
    scan.is_settled = True
    group.finish_scan(scan, NOW_MS)
    group.learn_settings(DAY_MS, created)
    assert lost(group) == []


def test_settings_requested_before_a_scan_ended_do_not_settle_it(group: LogGroup) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    asked = group.first_scan_count
    run_scan(group, [], NOW_MS, since, NOW_MS, kind="backfill")
    group.learn_settings(None, created, asked)
    assert not is_settled(group)
    group.learn_settings(DAY_MS, created, group.first_scan_count)
    assert lost(group) == [(since, NOW_MS - DAY_MS - 1, EXPIRED)]


def test_the_first_scan_of_time_that_may_have_expired_is_recognized(
    group: LogGroup,
) -> None:
    def wants(from_: int, through: int | None) -> bool:
        scan = group.begin_scan("backfill", from_, through, NOW_MS)
        try:
            return group.is_first_old_scan(scan, NOW_MS)
        finally:
            group.abandon_scan(scan)

    yesterday = NOW_MS - DAY_MS
    assert not wants(yesterday, None)
    assert wants(yesterday - 1, None)
    assert wants(yesterday - 100, yesterday - 50)
    run_scan(group, [], NOW_MS, yesterday - 60, yesterday)
    assert not wants(yesterday - 60, NOW_MS)
    assert not wants(yesterday - 60, yesterday - 50)
    assert wants(yesterday - 61, yesterday - 50)
