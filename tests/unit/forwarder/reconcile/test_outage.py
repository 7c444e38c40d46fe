from __future__ import annotations

from forwarder.reconcile.outage import AFTER_MS, AGAIN_MS, Outage

WALL = 1_000_000


def test_nothing_is_said_of_what_passes() -> None:
    outage = Outage(WALL, 0)
    assert outage.suspected(WALL + AFTER_MS - 1, AFTER_MS - 1, 0) is None
    assert not outage.polled(WALL + 10_000, 10_000)
    assert outage.suspected(WALL + AFTER_MS, AFTER_MS, 0) is None


def test_what_was_not_polled_is_suspected_and_grows_as_long_as_it_lasts() -> None:
    outage = Outage(WALL, 0)
    outage.polled(WALL + 1_000, 1_000)
    at = 1_000 + AFTER_MS
    assert outage.suspected(WALL + at, at, 200) == (WALL + 800, WALL + at - 200)
    assert outage.suspected(WALL + at + 1, at + 1, 200) is None
    at += AGAIN_MS
    assert outage.suspected(WALL + at, at, 200) == (WALL + 800, WALL + at - 200)
    assert outage.polled(WALL + at, at)
    assert not outage.polled(WALL + at + 1, at + 1)


def test_a_clock_set_back_meanwhile_crosses_no_range() -> None:
    outage = Outage(WALL, 0)
    assert outage.suspected(WALL - 500_000, AFTER_MS, 0) == (WALL - 500_000, WALL - 500_000)
