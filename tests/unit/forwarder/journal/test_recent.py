from __future__ import annotations

import pytest

from forwarder.journal import recent
from forwarder.journal.recent import Recent
from forwarder.records import Known


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "GENERATION_MAX", 10)
    monkeypatch.setattr(recent, "_OUTLIERS", 2)


def _known(number: int) -> tuple[str, Known]:
    return str(number), Known(number, number, "job/1", has_body=True, is_lost=False)


def test_what_is_greater_than_all_that_was_dropped_is_surely_new() -> None:
    kept = Recent("100")
    kept.add([_known(105)])
    found, unknown = kept.split(["105", "99", "100", "101", "1000"])
    assert list(found) == ["105"]
    assert unknown == ["99", "100"]


def test_an_empty_journal_has_nothing_to_ask_for() -> None:
    assert Recent(None).split(["0", "1"]) == ({}, [])


def test_the_oldest_generation_goes_to_the_disk() -> None:
    kept = Recent(None)
    for number in range(1, 34):
        kept.add([_known(number)])
    found, unknown = kept.split([str(number) for number in range(1, 40)])
    assert len(found) <= 10 + 2 + 11
    assert {*found, *unknown} == {str(number) for number in range(1, 34)}
    assert "33" in found


def test_a_stamp_ahead_of_the_clock_does_not_send_all_others_to_the_disk() -> None:
    kept = Recent(None)
    kept.add([_known(9_999)])
    for number in range(100, 150):
        kept.add([_known(number)])
    found, unknown = kept.split(["9999", "150", "9998"])
    assert "9999" in found
    assert unknown == []


def test_rows_with_news_are_left_to_the_disk() -> None:
    kept = Recent(None)
    kept.add([_known(1), _known(2)])
    kept.forget(["1", "7"])
    assert kept.split(["1", "2"]) == (dict([_known(2)]), ["1"])
