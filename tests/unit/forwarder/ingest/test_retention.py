from __future__ import annotations

import pytest

from forwarder.config import DAY_MS
from forwarder.ingest.log_group import LogGroup
from forwarder.ingest.retention import AWAY, EXPIRED, FIRSTS_MAX, SLACK_MS, Expiry, concerns
from forwarder.records import GapRecord
from tests.support.log_events import GROUP, NOW_MS
from tests.support.memory_journal import MemoryJournal
from tests.support.scanning import scanned

WEEK_MS = 7 * DAY_MS
HORIZON = NOW_MS - WEEK_MS


@pytest.fixture
def group() -> LogGroup:
    return LogGroup(MemoryJournal(GROUP))


def gone(group: LogGroup) -> list[tuple[int, int, str]]:
    """The gaps that can't be recovered."""
    return [
        (gap.from_, gap.through, gap.reason)
        for gap in group.journal.gaps()
        if gap.state == "unrecoverable"
    ]


def is_settled(group: LogGroup) -> bool:
    """Whether no first scan waits for the log group's settings."""
    return all(one.is_settled for one in group._expiry._firsts)


def test_a_time_that_had_expired_when_it_was_first_looked_at_can_not_be_had(
    group: LogGroup,
) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    since = NOW_MS - 30 * DAY_MS
    scanned(group, [], NOW_MS, HORIZON + 5, NOW_MS)
    assert gone(group) == []
    scanned(group, [], NOW_MS, since + 100, HORIZON + 4, kind="backfill")
    scanned(group, [], NOW_MS, since, since + 99, kind="backfill")
    assert gone(group) == [(since, HORIZON - 1, EXPIRED)]
    # Looking again changes nothing, nor does time.
    scanned(group, [], NOW_MS + 20 * DAY_MS, since, NOW_MS)
    assert gone(group) == [(since, HORIZON - 1, EXPIRED)]


def test_what_was_scanned_before_it_expired_is_no_gap(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    scanned(group, [], NOW_MS, HORIZON, NOW_MS)
    later = NOW_MS + 5 * DAY_MS
    scanned(group, [], later, HORIZON, later)
    assert gone(group) == []


def test_before_the_group_was_made_there_is_nothing_to_lose(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, NOW_MS - 3 * DAY_MS)
    scanned(group, [], NOW_MS, 0, NOW_MS)
    assert gone(group) == []


def test_a_group_that_is_a_little_older_than_its_retention_lost_only_that(group: LogGroup) -> None:
    made = HORIZON - 2 * DAY_MS
    group.learn_settings(WEEK_MS, made)
    scanned(group, [], NOW_MS, 0, NOW_MS)
    assert gone(group) == [(made, HORIZON - 1, EXPIRED)]


def test_without_a_retention_setting_nothing_is_lost(group: LogGroup) -> None:
    group.learn_settings(None, NOW_MS - 300 * DAY_MS)
    scanned(group, [], NOW_MS, 0, NOW_MS)
    assert gone(group) == []


def test_who_asks_for_as_long_as_events_are_kept_is_not_told_of_the_moment_it_took(
    group: LogGroup,
) -> None:
    group.learn_settings(WEEK_MS, 0)
    scanned(group, [], NOW_MS, HORIZON - SLACK_MS, NOW_MS)
    assert gone(group) == []


def test_a_forwarder_that_was_away_for_too_long_says_so() -> None:
    journal = MemoryJournal(GROUP)
    before = NOW_MS - 20 * DAY_MS
    scanned(LogGroup(journal), [], before, before - DAY_MS, before)
    journal.begin_epoch()
    group = LogGroup(journal)
    group.learn_settings(WEEK_MS, NOW_MS - 300 * DAY_MS)
    scanned(group, [], NOW_MS, before - DAY_MS, NOW_MS, kind="backfill")
    assert gone(group) == [(before + 1, HORIZON - 1, AWAY)]


def test_settings_that_are_learnt_late_are_applied_to_what_was_scanned_before(
    group: LogGroup,
) -> None:
    scanned(group, [], NOW_MS, NOW_MS - 30 * DAY_MS, NOW_MS)
    assert gone(group) == []
    group.learn_settings(WEEK_MS, 0)
    assert gone(group) == [(NOW_MS - 30 * DAY_MS, HORIZON - 1, EXPIRED)]


def test_a_retention_that_is_made_longer_brings_nothing_back(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, 0)
    scanned(group, [], NOW_MS, NOW_MS - 8 * DAY_MS, NOW_MS)
    group.learn_settings(4 * WEEK_MS, 0)
    scanned(group, [], NOW_MS, NOW_MS - 20 * DAY_MS, NOW_MS)
    assert gone(group) == [(NOW_MS - 20 * DAY_MS, HORIZON - 1, EXPIRED)]


def test_ranges_that_wait_for_the_setting_are_bounded() -> None:
    expiry = Expiry()
    for number in range(FIRSTS_MAX + 10):
        expiry.add_first_scans([(number, number)], NOW_MS, None)
    expiry.learn(WEEK_MS, 0)
    assert len(expiry.due()) == FIRSTS_MAX
    expiry.forget_declared()
    assert expiry.due() == []


def test_who_asks_for_all_that_there_is_did_not_ask_for_what_is_older() -> None:
    assert concerns(EXPIRED, NOW_MS)
    assert not concerns(EXPIRED, 0)
    assert concerns(AWAY, 0)
    assert concerns("anything else", 0)


def test_a_clock_that_was_ahead_for_a_while_makes_nothing_expire_later(group: LogGroup) -> None:
    group.learn_settings(DAY_MS, 0)
    scanned(group, [], NOW_MS, kind="live")
    ahead = NOW_MS + 30 * DAY_MS
    scanned(group, [], ahead, ahead - 5_000, kind="live")
    group.learn_settings(3 * DAY_MS, 0)
    before = gone(group)
    for at in range(1, 5):
        now_ms = NOW_MS - at * 10_000
        scanned(group, [], now_ms, now_ms - 5_000, kind="live")
    assert gone(group) == before == []


def test_what_a_wrong_clock_said_to_be_lost_is_not(group: LogGroup) -> None:
    group.learn_settings(DAY_MS, 0)
    scanned(group, [], NOW_MS, kind="live")
    ahead = NOW_MS + 30 * DAY_MS
    scanned(group, [], ahead, NOW_MS, kind="live")
    assert gone(group) == [(NOW_MS + 1, ahead - DAY_MS - 1, AWAY)]
    group.take_notices()
    scanned(group, [], NOW_MS + 10_000, NOW_MS - 5_000, kind="live")
    assert gone(group) == []
    told = [one for one in group.take_notices() if isinstance(one, GapRecord)]
    assert [(one.reason, one.state) for one in told] == [(AWAY, "repaired")]


def test_a_clock_that_is_set_back_a_little_changes_nothing(group: LogGroup) -> None:
    group.learn_settings(WEEK_MS, 0)
    scanned(group, [], NOW_MS, HORIZON - 2 * DAY_MS, NOW_MS)
    lost = gone(group)
    scanned(group, [], NOW_MS - 60_000, HORIZON - 2 * DAY_MS, NOW_MS)
    assert gone(group) == lost != []


def test_a_setting_made_shorter_before_the_first_look_is_declared_once_it_is_known(
    group: LogGroup,
) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    group.learn_settings(None, created)
    # It is made shorter here, and takes what nobody has looked at.
    scanned(group, [], NOW_MS, since, NOW_MS, kind="backfill")
    assert gone(group) == []
    assert not is_settled(group)
    group.learn_settings(DAY_MS, created)
    assert gone(group) == [(since, NOW_MS - DAY_MS - 1, EXPIRED)]
    assert is_settled(group)


def test_a_setting_made_shorter_after_the_first_look_took_nothing_unseen(group: LogGroup) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    scan = group.begin_scan("backfill", since, NOW_MS, NOW_MS)
    scan.take_page([])
    group.learn_settings(None, created)  # asked after its last page
    scan.is_settled = True
    group.finish_scan(scan, NOW_MS)
    group.learn_settings(DAY_MS, created)
    assert gone(group) == []


def test_what_was_asked_before_a_scan_ended_does_not_settle_it(group: LogGroup) -> None:
    created, since = NOW_MS - 300 * DAY_MS, NOW_MS - 3 * DAY_MS
    asked = group.first_scan_count
    scanned(group, [], NOW_MS, since, NOW_MS, kind="backfill")
    group.learn_settings(None, created, asked)
    assert not is_settled(group)
    group.learn_settings(DAY_MS, created, group.first_scan_count)
    assert gone(group) == [(since, NOW_MS - DAY_MS - 1, EXPIRED)]


def test_the_settings_are_wanted_for_the_first_look_at_what_may_have_expired(
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
    scanned(group, [], NOW_MS, yesterday - 60, yesterday)
    assert not wants(yesterday - 60, NOW_MS)
    assert not wants(yesterday - 60, yesterday - 50)
    assert wants(yesterday - 61, yesterday - 50)
