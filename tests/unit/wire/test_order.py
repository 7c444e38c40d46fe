from __future__ import annotations

import pytest

from wire.errors import WireError
from wire.limits import TIMESTAMP_MAX
from wire.order import (
    KEY_MAX,
    KEY_MIN,
    Interval,
    are_valid_ids,
    first_key,
    format_key,
    id_of,
    key_of,
    last_key,
    parse_interval,
    parse_key,
    timestamp_of,
)

LONGEST = "9" * 57


def test_keys_are_ordered_by_timestamp_then_by_id_as_a_number() -> None:
    parts = [(0, "0"), (0, LONGEST), (1, "2"), (1, "10"), (2, "0"), (TIMESTAMP_MAX, LONGEST)]
    keys = [key_of(*part) for part in parts]
    assert keys == sorted(keys)
    assert keys[0] == KEY_MIN
    assert keys[-1] < KEY_MAX


def test_timestamp_and_id_are_recovered_from_a_key() -> None:
    key = key_of(1700000000000, "37000000000000000000000000000000000000000000000000000001")
    assert timestamp_of(key) == 1700000000000
    assert id_of(key) == 37000000000000000000000000000000000000000000000000000001
    assert parse_key(format_key(key)) == key


def test_first_and_last_key_bound_a_millisecond() -> None:
    assert first_key(5) == key_of(5, "0") == last_key(4) + 1
    assert key_of(5, LONGEST) < last_key(5) < first_key(6)
    assert last_key(TIMESTAMP_MAX) == KEY_MAX


@pytest.mark.parametrize("bad", ["", "-1", "+1", " 1", "1 ", "1.0", "0x1", "٣", "²", "1" * 58, "a"])
def test_ids_that_are_not_decimal_numbers_are_rejected(bad: str) -> None:
    with pytest.raises(WireError, match="decimal number of 1 to 57 digits"):
        key_of(0, bad)
    assert not are_valid_ids(["1", bad, "2"])
    assert are_valid_ids(["1", LONGEST])


@pytest.mark.parametrize(
    "bad",
    ["", ":", "1", "1:", ":1", "1:2:3", "-1:2", "1:-2", "1:2\n", f"{TIMESTAMP_MAX + 1}:1", "٣:1"],
)
def test_malformed_keys_are_rejected(bad: str) -> None:
    with pytest.raises(WireError, match="timestamp:id"):
        parse_key(bad)


def test_an_interval_includes_both_ends() -> None:
    interval = parse_interval("5:1..7:2")
    assert key_of(5, "1") in interval
    assert key_of(7, "2") in interval
    assert key_of(5, "0") not in interval
    assert key_of(7, "3") not in interval


def test_either_side_may_be_open() -> None:
    assert KEY_MAX in parse_interval("5:1..")
    assert key_of(5, "0") not in parse_interval("5:1..")
    assert KEY_MIN in parse_interval("..5:1")
    assert key_of(5, "2") not in parse_interval("..5:1")
    assert KEY_MIN in parse_interval("..")
    assert KEY_MAX in parse_interval("..")


@pytest.mark.parametrize("text", ["..", "5:1..", "..5:1", "5:1..5:1", "5:1..7:0"])
def test_an_interval_survives_a_round_trip(text: str) -> None:
    assert str(parse_interval(text)) == text


@pytest.mark.parametrize("bad", ["", ".", "5:1", "5:1...7:1", "5:1..7", "a..b", "1:1..2:2..3:3"])
def test_malformed_intervals_are_rejected(bad: str) -> None:
    with pytest.raises(WireError):
        parse_interval(bad)


def test_an_interval_that_ends_before_it_begins_is_rejected() -> None:
    with pytest.raises(WireError, match="ends before it begins"):
        parse_interval("7:1..5:1")


def test_the_default_interval_is_open_on_both_sides() -> None:
    assert str(Interval()) == ".."
