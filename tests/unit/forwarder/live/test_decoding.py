"""Decoding the records of a subscription filter."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwarder.live import decoding as module
from forwarder.live.decoding import LiveBatch, decode
from forwarder.records import LiveSource, LogEvent
from tests.support.forwarder.kinesis import OWNER, record

ID = str(10**55)


def packed(fields: dict[str, Any]) -> bytes:
    return gzip.compress(json.dumps(fields).encode(), mtime=0)


def test_a_record_of_cloudwatch_and_one_of_moto() -> None:
    for one in (ID, int(ID)):
        assert decode(record("/g", "s", [(one, 5, "text")], filters=("b", "a"))) == LiveBatch(
            "/g", LiveSource(OWNER, ("a", "b")), [LogEvent(ID, 5, None, "s", "text")]
        )


def test_events_of_one_record_keep_their_order_and_may_be_equal() -> None:
    delivery = decode(record("/g", "s", [(2, 5, "a"), (1, 5, "a"), (2, 5, "a")]))
    assert isinstance(delivery, LiveBatch)
    assert [one.id for one in delivery.events] == ["2", "1", "2"]


def test_ids_are_as_scans_have_them_and_text_may_be_anything() -> None:
    delivery = decode(record("/g", "s", [("007", 5, "\ud800"), ("0", 6, "\0\n\u2028")]))
    assert isinstance(delivery, LiveBatch)
    assert [(one.id, one.message) for one in delivery.events] == [
        ("7", "\ud800"),
        ("0", "\0\n\u2028"),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "x1", "timestamp": 5, "message": "m"},
        {"id": "", "timestamp": 5, "message": "m"},
        {"id": -1, "timestamp": 5, "message": "m"},
        {"id": "9" * 58, "timestamp": 5, "message": "m"},
        {"id": "٣", "timestamp": 5, "message": "m"},
        {"id": 1.5, "timestamp": 5, "message": "m"},
        {"id": True, "timestamp": 5, "message": "m"},
        {"id": "1", "timestamp": -5, "message": "m"},
        {"id": "1", "timestamp": 10**30, "message": "m"},
        {"id": "1", "timestamp": "5", "message": "m"},
        {"id": "1", "timestamp": 5},
        {"id": "1", "timestamp": 5, "message": None},
        [],
        None,
    ],
)
def test_an_event_that_the_protocol_cannot_express_leaves_the_others(bad: object) -> None:
    fields = json.loads(gzip.decompress(record("/g", "s", [("1", 5, "good")])))
    fields["logEvents"].append(bad)
    delivery = decode(packed(fields))
    assert isinstance(delivery, LiveBatch)
    assert [one.message for one in delivery.events] == ["good"]
    assert delivery.refused == 1


def test_a_control_message_is_recognised() -> None:
    assert decode(record("", "", [("", 5, "CWL CONTROL MESSAGE")], kind="CONTROL_MESSAGE")) == (
        "control"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text",
        b'{"messageType":"DATA_MESSAGE"}',
        gzip.compress(b"", mtime=0),
        gzip.compress(b"[]", mtime=0),
        gzip.compress(b"{}", mtime=0),
        gzip.compress(b"\xff", mtime=0),
        gzip.compress(b"[" * 200_000, mtime=0),
        gzip.compress(b'{"messageType":' + b"9" * 5_000 + b"}", mtime=0),
        packed({"messageType": "DATA_MESSAGE", "logGroup": "/g", "logStream": "s", "logEvents": 1}),
        packed({"messageType": "DATA_MESSAGE", "logGroup": "", "logStream": "s"}),
        packed({"messageType": "NEWS", "logGroup": "/g", "logStream": "s"}),
        record("/g", "s", [(1, 5, "text")])[:-3],
        record("/g", "s", [(1, 5, "text")])[:-8] + b"\0" * 8,
    ],
)
def test_invalid_records_are_malformed(data: bytes) -> None:
    assert decode(data) == "malformed"


def test_a_bomb_is_not_blown_up() -> None:
    bomb = gzip.compress(b" " * (module.DECODED_BYTES_MAX + 1))
    assert len(bomb) < 100_000
    assert decode(bomb) == "too large"
    assert decode(b"\0" * (module.RECORD_BYTES_MAX + 1)) == "too large"


@given(st.binary(max_size=200), st.booleans())
def test_nothing_raises(data: bytes, is_packed: bool) -> None:  # noqa: FBT001 - hypothesis
    assert isinstance(decode(gzip.compress(data) if is_packed else data), (str, LiveBatch))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.fixed_dictionaries(
        {"messageType": st.just("DATA_MESSAGE") | _json},
        optional={
            "logGroup": st.just("/g") | _json,
            "logStream": st.just("s") | _json,
            "owner": _json,
            "subscriptionFilters": st.lists(st.text(), max_size=2) | _json,
            "logEvents": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "id": st.integers() | st.text() | _json,
                        "timestamp": st.integers() | _json,
                        "message": st.text() | _json,
                    },
                ),
                max_size=3,
            )
            | _json,
        },
    )
)
def test_whatever_the_fields_are_events_have_a_place_in_the_protocol(
    fields: dict[str, Any],
) -> None:
    decoded = decode(packed(fields))
    if isinstance(decoded, LiveBatch):
        assert len(decoded.events) + decoded.refused == len(fields.get("logEvents", ()))
        for event in decoded.events:
            assert str(int(event.id)) == event.id
            assert len(event.id) <= 57
            assert event.timestamp >= 0
