from __future__ import annotations

from wire import limits
from wire.order import ID_BITS


def test_codes_from_4500_tell_a_client_not_to_reconnect() -> None:
    assert [code for code in sorted(limits.CLOSE_REASONS) if limits.forbids_reconnect(code)] == [
        limits.CLOSE_TOKEN,
        limits.CLOSE_BAD_MESSAGE,
        limits.CLOSE_PROTOCOL_VERSION,
        limits.CLOSE_GROUP_DENIED,
    ]
    assert not limits.forbids_reconnect(1000)
    assert not limits.forbids_reconnect(1006)
    assert not limits.forbids_reconnect(5000)


def test_the_longest_id_fits_in_a_key() -> None:
    assert int("9" * limits.ID_DIGITS_MAX) < 1 << ID_BITS


def test_the_client_limit_fits_the_largest_event_fully_escaped() -> None:
    assert limits.CLIENT_FRAME_BYTES_MAX > 6 * (1 << 20)
