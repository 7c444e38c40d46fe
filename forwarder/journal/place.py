"""How rows are keyed on disk: ids that sort as numbers, and places that sort as seqs."""

from __future__ import annotations

from typing import Final

from wire.order import id_of, timestamp_of

SEQ_BITS: Final = 40
"""A row's place is its chain and its seq: 10^12 events, and eight million chains."""

SEQ_MASK: Final = (1 << SEQ_BITS) - 1

_ID_DIGITS: Final = 58
"""An id has at most 57, the greatest number of a key's low bits 58: 29 bytes."""


def id_to_blob(event_id: str) -> bytes:
    """A decimal id, two digits a byte, so that bytes compare as the numbers do."""
    return bytes.fromhex(event_id.zfill(_ID_DIGITS))


def id_from_blob(data: bytes) -> str:
    """The decimal id again."""
    return data.hex().lstrip("0") or "0"


def key_to_columns(key: int) -> tuple[int, bytes]:
    """A position of the display order as (timestamp, id) on disk."""
    return timestamp_of(key), id_to_blob(str(id_of(key)))
