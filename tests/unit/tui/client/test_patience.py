"""Waiting for a time range that makes no progress ends."""

from __future__ import annotations

from tui.client.patience import READABLE_FACTOR, Patience


def test_patience_ends_without_progress() -> None:
    one = Patience(30_000)
    one.note("a", 1_000, is_readable=False)
    one.note("a", 30_900, is_readable=False)
    assert not one.is_over
    one.note("a", 31_000, is_readable=False)
    assert one.is_over


def test_any_progress_starts_it_again() -> None:
    one = Patience(30_000)
    one.note("a", 0, is_readable=False)
    one.note("b", 29_000, is_readable=False)
    one.note("b", 58_000, is_readable=False)
    assert not one.is_over


def test_a_long_scan_of_a_readable_group_may_take_longer_but_not_for_ever() -> None:
    one = Patience(30_000)
    one.note("a", 0, is_readable=True)
    one.note("a", 30_000 * READABLE_FACTOR - 1, is_readable=True)
    assert not one.is_over
    one.note("a", 30_000 * READABLE_FACTOR, is_readable=True)
    assert one.is_over
