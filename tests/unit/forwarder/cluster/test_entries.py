from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarder.cluster import entries
from forwarder.cluster.entries import (
    Append,
    BeginChain,
    BeginEpoch,
    Change,
    MarkLost,
    Over,
    Restore,
    Retire,
    append_of,
    cut,
    decode,
    decode_bodies,
    digests_of,
    encode,
    encode_bodies,
    events_of,
)
from forwarder.cluster.log import NO_DIGEST, digest_of
from forwarder.errors import JournalError
from forwarder.journal.tables import compute_digests
from forwarder.records import LogEvent, Retirement
from tests.support.forwarder.log_events import event

EVENTS = st.lists(
    st.builds(
        LogEvent,
        st.integers(0, 10**57 - 1).map(str),
        st.integers(0, 2**53),
        st.none() | st.integers(0, 2**53),
        st.sampled_from(["job/1", "job/2", "half \udcff"]),
        st.just(""),
    ),
    max_size=20,
)
CHANGES = [
    append_of(7, [event(1, stream="half \udcff"), event(2)], [1, 2**64 - 1], "live"),
    BeginEpoch("e1"),
    BeginChain("e2"),
    Restore(["1", "2"]),
    MarkLost(["1"], b"why \xed\xb3\xbf"),
    Retire(Retirement(None, (3, "4"))),
    Over(b"job/1", None, b"rule"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: type(one).__name__)
def test_every_kind_of_change_survives_encoding(change: Change) -> None:
    index = encode(b"12345678", change)
    assert decode(index) == (b"12345678", change)


def test_every_kind_of_change_is_tried() -> None:
    assert {type(one) for one in CHANGES} == set(get_args(Change))


@given(EVENTS)
def test_events_and_digests_survive_in_columns(batch: list[LogEvent]) -> None:
    digests = compute_digests(batch)
    change = append_of(1, batch, digests, "repair")
    _, decoded = decode(encode(NO_DIGEST, change))
    assert isinstance(decoded, Append)
    assert events_of(decoded) == batch
    assert digests_of(decoded) == digests


@given(st.lists(st.binary(max_size=9)))
def test_messages_survive(messages: list[bytes]) -> None:
    assert decode_bodies(encode_bodies(messages)) == messages


def test_a_digest_depends_on_all_entries_before() -> None:
    change = BeginEpoch("e")
    assert digest_of(encode(b"11111111", change)) != digest_of(encode(b"22222222", change))


@given(st.lists(st.integers(0, 300).map(bytes)), st.integers(1, 1_000))
def test_a_batch_is_cut_into_entries_below_the_limit(messages: list[bytes], most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(entries, "ENTRY_BYTES_MAX", most)
        parts = [messages[part] for part in cut(messages)]
    assert [one for part in parts for one in part] == messages
    for part in parts:
        assert len(part) == 1 or sum(80 + len(one) for one in part) <= most


def test_an_entry_of_a_newer_version_names_the_remedy() -> None:
    index = encode(NO_DIGEST, BeginEpoch("e"))
    with pytest.raises(JournalError, match="upgrade gapless"):
        decode(b"\x02" + index[1:])


@pytest.mark.parametrize("index", [b"", b"\x01", b"\x01nonsense", b"\x00"])
def test_a_damaged_entry_is_one_error(index: bytes) -> None:
    with pytest.raises(JournalError, match="damaged"):
        decode(index)


def test_flipped_bits_of_messages_are_noticed() -> None:
    data = bytearray(encode_bodies([b"some message " * 20]))
    data[-6] ^= 1
    with pytest.raises(JournalError, match="damaged"):
        decode_bodies(bytes(data))
