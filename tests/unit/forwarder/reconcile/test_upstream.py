"""What heartbeats tell of CloudWatch."""

from __future__ import annotations

from forwarder.reconcile.upstream import SHOWN_MS, STALE_MS, UpstreamWatch
from wire.messages import Upstream

T = 1_000_000
OVERLAP_MS = 5_000
ALLOWANCE_MS = 2_000


def watch() -> UpstreamWatch:
    return UpstreamWatch(T, 1_000, OVERLAP_MS, ALLOWANCE_MS)


def test_lag_is_counted_from_the_begin_of_the_last_whole_poll() -> None:
    one = watch()
    one.poll_finished(T + 1_000, T + 1_000)
    assert one.at(T + 1_400) == Upstream("ok", 400)


def test_a_poll_that_hangs_is_told_as_delay() -> None:
    one = watch()
    one.poll_finished(T, T)
    assert one.at(T + STALE_MS).state == "ok"
    assert one.at(T + STALE_MS + 1) == Upstream("delayed", STALE_MS + 1)


def test_slow_polls_are_not_stale_by_their_own_pace() -> None:
    one = UpstreamWatch(T, 10_000, OVERLAP_MS, ALLOWANCE_MS)
    assert one.at(T + 29_000).state == "ok"


def test_unreachable_until_a_poll_gets_through() -> None:
    one = watch()
    one.poll_outcome("unreachable", T)
    assert one.at(T + 100) == Upstream("unreachable", 100)
    one.poll_outcome("ok", T + 200)
    assert one.at(T + 200).state == "ok"


def test_scans_do_not_tell_that_cloudwatch_is_gone_or_there() -> None:
    one = watch()
    one.scan_outcome("unreachable", T)
    assert one.at(T).state == "ok"
    one.poll_outcome("unreachable", T)
    one.scan_outcome("ok", T)
    assert one.at(T).state == "unreachable"


def test_throttling_by_anything_is_shown_for_a_while() -> None:
    one = watch()
    one.scan_outcome("throttled", T)
    one.poll_finished(T + 1, T + 1)
    assert one.at(T + SHOWN_MS - 1).state == "throttled"
    one.poll_finished(T + SHOWN_MS, T + SHOWN_MS)
    assert one.at(T + SHOWN_MS).state == "ok"


def test_a_wall_clock_that_is_set_changes_no_lag() -> None:
    one = watch()
    one.poll_finished(T + 3_600_000, T)
    assert one.at(T + 400) == Upstream("ok", 400)
    one.poll_finished(T - 3_600_000, T + 1_000)
    assert one.at(T + 1_400) == Upstream("ok", 400)
    assert one.at(T + 1_000 + STALE_MS + 1).state == "delayed"


def test_an_event_that_polls_had_looked_for_was_delayed() -> None:
    one = watch()
    one.poll_finished(T, T)
    one.poll_finished(T + 10_000, T + 10_000)
    one.appeared(T + 1_500, T + 2_000, T + 10_500, T + 10_500)
    assert one.at(T + 10_500) == Upstream("delayed", 8_500)
    one.poll_finished(T + 10_500 + SHOWN_MS, T + 10_500 + SHOWN_MS)
    assert one.at(T + 10_500 + SHOWN_MS).state == "ok"


def test_the_longest_delay_is_told() -> None:
    one = watch()
    one.poll_finished(T, T)
    one.poll_finished(T + 10_000, T + 10_000)
    one.appeared(T + 1_500, T + 2_000, T + 10_500, T + 10_500)
    one.appeared(T + 5_000, T + 5_000, T + 10_500, T + 10_500)
    assert one.at(T + 10_500).lag_ms == 8_500


def test_late_news_is_no_delay() -> None:
    one = watch()
    one.poll_finished(T, T)
    one.poll_finished(T + 10_000, T + 10_000)
    one.appeared(T - 3_600_000, T + 2_000, T + 10_000, T + 10_000)  # old when it was written
    one.appeared(T + 9_000, T + 10_001, T + 14_000, T + 14_000)  # written after the last poll
    one.appeared(T - 500, T - 400, T + 10_000, T + 10_000)  # before this process
    one.appeared(T + 2_000, None, T + 10_000, T + 10_000)  # nobody knows
    one.appeared(T + 9_000, T + 9_000, T + 10_500, T + 10_500)  # within the allowance
    assert one.at(T + 10_000).state == "ok"
