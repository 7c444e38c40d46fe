from __future__ import annotations

from forwarder.journal.tables import id_from_blob, id_to_blob, key_to_columns
from wire.order import KEY_MAX, key_of, last_key


def test_ids_are_decoded_as_they_were_encoded() -> None:
    for event_id in ("0", "7", "10", "9" * 57, str(1_700_000_000_000 << 144 | 5)):
        assert id_from_blob(id_to_blob(event_id)) == event_id


def test_ids_compare_as_numbers() -> None:
    ids = ["9", "10", "99", "100", "9" * 56, "1" + "0" * 56]
    assert sorted(map(id_to_blob, reversed(ids))) == [id_to_blob(one) for one in ids]


def test_display_keys_as_columns() -> None:
    assert key_to_columns(key_of(5, "17")) == (5, id_to_blob("17"))
    assert key_to_columns(last_key(5)) < (6, id_to_blob("0"))
    assert len(key_to_columns(KEY_MAX)[1]) == 29
