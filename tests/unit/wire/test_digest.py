"""Fixed vectors for the digest: other implementations must compute the same values."""

from __future__ import annotations

import hashlib

import pytest

from wire.digest import MODULUS, digest_hex, digest_sum, event_digest, event_digests
from wire.messages import Item

VECTORS = [
    # id, timestamp, stream, message, digest in hex; computed with coreutils' `b2sum --length 64`.
    ("1", 0, "s", "m", "da11d2b024515672"),
    ("0", 1700000000000, "jobs/abc/1", "hello", "f4a95867acf2c47d"),
    ("37000000000000000000000000000000000000000000000000000000", 1, "s", "", "4f15f35ecd1ea122"),
    ("1", 1, "s", "two\nlines", "efeda4392192b7e2"),
    ("1", 1, "s", "gr\u00fc\u00df \U0001f600", "06d3bb167a23c0d7"),
]


@pytest.mark.parametrize(("event_id", "timestamp", "stream", "message", "expected"), VECTORS)
def test_event_digest_matches_vectors(
    event_id: str, timestamp: int, stream: str, message: str, expected: str
) -> None:
    assert digest_hex(event_digest(event_id, timestamp, stream, message)) == expected


@pytest.mark.parametrize("more", ["", "\ud800", "\ud83d\ude00"])
def test_event_digests_equals_event_digest_of_each_event(more: str) -> None:
    items = [
        Item(1, event_id, timestamp, None, stream, message + more, "live")
        for event_id, timestamp, stream, message, _ in VECTORS
    ]
    assert event_digests(items) == [
        event_digest(item.id, item.timestamp, item.stream, item.message) for item in items
    ]


def test_event_digest_is_big_endian_blake2b_of_four_lines() -> None:
    data = b"7\n5\nstream\nmessage"
    expected = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    assert event_digest("7", 5, "stream", "message") == expected


def test_a_lone_surrogate_is_hashed_in_its_three_byte_form() -> None:
    data = b"7\n5\ns\n\xed\xa0\x80!"
    expected = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
    assert event_digest("7", 5, "s", "\ud800!") == expected


def test_a_surrogate_pair_is_hashed_as_one_character() -> None:
    apart, joined = "\ud83d\ude00 \ud800", "\U0001f600 \ud800"
    assert apart != joined
    assert event_digest("7", 5, "s", apart) == event_digest("7", 5, "s", joined)


def test_low_then_high_surrogate_is_not_a_pair() -> None:
    assert event_digest("7", 5, "s", "\ude00\ud83d") != event_digest("7", 5, "s", "\U0001f600")


@pytest.mark.parametrize(
    "other",
    [("8", 5, "s", "m"), ("7", 6, "s", "m"), ("7", 5, "t", "m"), ("7", 5, "s", "n")],
)
def test_every_field_changes_the_digest(other: tuple[str, int, str, str]) -> None:
    assert event_digest("7", 5, "s", "m") != event_digest(*other)


def test_the_sum_wraps_and_ignores_order() -> None:
    digests = [MODULUS - 1, 5, 1 << 63, 1 << 63]
    assert digest_sum(digests) == digest_sum(reversed(digests)) == 4
    assert digest_sum([1], start=MODULUS - 1) == 0
    assert digest_sum([]) == 0


def test_duplicate_and_missing_events_change_the_sum() -> None:
    one, two = event_digest("1", 1, "s", "m"), event_digest("2", 1, "s", "m")
    assert len({digest_sum(some) for some in ([one], [two], [one, two], [one, one], [])}) == 5


def test_hex_has_sixteen_digits_for_any_integer() -> None:
    assert digest_hex(0) == "0" * 16
    assert digest_hex(255) == "00000000000000ff"
    assert digest_hex(-1) == digest_hex(MODULUS - 1) == "f" * 16
    assert digest_hex(MODULUS) == "0" * 16
