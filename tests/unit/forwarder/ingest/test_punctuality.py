from __future__ import annotations

from forwarder.ingest import punctuality as module
from forwarder.ingest.punctuality import CHANCE_MS, PROBATION_MS, SETTLING_MS, Punctuality

NOW = 1_795_000_000_000
LATER = NOW + SETTLING_MS


def read() -> Punctuality:
    one = Punctuality()
    one.heard(0, NOW)
    return one


def test_what_is_brought_in_time_is_not_missed() -> None:
    one = read()
    one.found([("1", LATER), ("2", LATER)])
    assert one.tick(LATER) == 0
    one.brought(["1", "2", "3"], LATER + CHANCE_MS - 1)
    one.heard(0, LATER + CHANCE_MS)
    assert one.tick(LATER + CHANCE_MS) == 0
    assert not one.is_late(LATER + CHANCE_MS)


def test_what_is_not_brought_makes_it_late_until_it_has_been_good_for_a_while() -> None:
    one = read()
    one.found([("1", LATER), ("2", LATER)])
    one.tick(LATER)
    now = LATER + CHANCE_MS
    assert one.tick(now) == 2
    assert one.missed_count == 2
    one.heard(0, now)
    assert one.is_late(now)
    silent = now + PROBATION_MS
    one.heard(0, silent)
    assert one.is_late(silent)  # it has brought nothing since
    one.brought(["9"], silent)
    assert not one.is_late(silent)
    one.found([("4", silent)])
    one.tick(silent)
    one.tick(silent + CHANCE_MS)
    one.brought(["5"], silent + CHANCE_MS + 1)
    one.heard(0, silent + CHANCE_MS + 1)
    assert one.is_late(silent + CHANCE_MS + 1)  # too soon after the miss


def test_what_was_ingested_before_it_was_read_is_not_expected_of_it() -> None:
    one = Punctuality()
    one.found([("0", LATER)])
    one.heard(0, NOW)
    one.found([("1", LATER - 1), ("2", None)])
    one.tick(NOW)
    assert one.tick(NOW + 10 * CHANCE_MS) == 0


def test_what_is_missed_while_it_is_broken_is_not_held_against_it() -> None:
    one = read()
    one.found([("1", LATER)])
    one.tick(LATER)
    one.broken()
    assert one.tick(LATER + CHANCE_MS) == 0
    assert not one.had_its_chance(LATER, LATER + 60_000)


def test_one_that_is_behind_or_not_read_any_more_is_late() -> None:
    one = read()
    assert not one.is_late(NOW + module.BEHIND_MAX_MS)
    assert one.is_late(NOW + module.BEHIND_MAX_MS + 1)
    one.heard(module.BEHIND_MAX_MS + 1, NOW)
    assert one.is_late(NOW)


def test_when_it_had_its_chance() -> None:
    one = read()
    assert one.had_its_chance(LATER, LATER + CHANCE_MS)
    assert not one.had_its_chance(LATER, LATER + CHANCE_MS - 1)
    assert not one.had_its_chance(LATER - 1, LATER + CHANCE_MS)
    assert not one.had_its_chance(None, LATER + CHANCE_MS)


def test_what_is_expected_is_bounded() -> None:
    one = read()
    one.found((str(number), LATER) for number in range(module.EXPECTED_MAX + 100))
    one.tick(LATER)
    one.found([("more", LATER)])
    assert one.tick(LATER + CHANCE_MS) == module.EXPECTED_MAX
