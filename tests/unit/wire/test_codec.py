from __future__ import annotations

import json

import pytest

from wire import messages
from wire.codec import decode_body, decode_client, decode_server, encode
from wire.errors import WireError
from wire.limits import CLIENT_FRAME_BYTES_MAX, CLIENT_MESSAGE_BYTES_MAX, SEQ_MAX

ITEM = messages.Item(7, "38", 5, None, "s", "m", "live")
ITEM_JSON = b'[7,"38",5,null,"s","m","live"]'

SERVER = [
    (
        messages.Welcome(
            epoch="E",
            outcome="resumed",
            after=4,
            head_seq=9,
            since=3,
            heartbeat_ms=2000,
            lost=[messages.Lost(1, 2, "retention")],
        ),
        (
            b'{"type":"welcome","n":1,"protocol":1,"epoch":"E","outcome":"resumed","after":4,"head_seq":9,'
            b'"since":3,"heartbeat_ms":2000,"lost":[{"from":1,"through":2,"reason":"retention"}],"extends":false}'
        ),
    ),
    (
        messages.Events(n=2, after=4, seq=7, items=[ITEM]),
        b'{"type":"events","n":2,"after":4,"seq":7,"items":[' + ITEM_JSON + b"]}",
    ),
    (
        messages.Backfill(n=3, held="5:1..", total=8, done=True, since=3),
        b'{"type":"backfill","n":3,"held":"5:1..","total":8,"done":true,"since":3}',
    ),
    (
        messages.Heartbeat(
            n=4, head_seq=9, sent_seq=8, upstream=messages.Upstream("throttled", 120)
        ),
        (
            b'{"type":"heartbeat","n":4,"head_seq":9,"sent_seq":8,'
            b'"upstream":{"state":"throttled","lag_ms":120}}'
        ),
    ),
    (
        messages.Mark(
            n=5, from_=1, through=2, scanned_at=3, seq=4, count=5, digest="0123456789abcdef"
        ),
        (
            b'{"type":"mark","n":5,"from":1,"through":2,"scanned_at":3,"seq":4,"count":5,'
            b'"digest":"0123456789abcdef"}'
        ),
    ),
    (
        messages.Gap(n=6, id="g", from_=1, through=2, state="repaired", reason="late", recovered=2),
        (
            b'{"type":"gap","n":6,"id":"g","from":1,"through":2,"state":"repaired","reason":"late",'
            b'"recovered":2}'
        ),
    ),
    (
        messages.DigestReply(n=7, from_=1, through=2, seq=4, count=5, digest="f" * 16),
        b'{"type":"digest","n":7,"from":1,"through":2,"seq":4,"count":5,"digest":"ffffffffffffffff"}',
    ),
    (
        messages.End(
            n=8,
            execution="x",
            status="STOPPED",
            from_=1,
            through=2,
            seq=4,
            count=5,
            digest="f" * 16,
        ),
        (
            b'{"type":"end","n":8,"execution":"x","status":"STOPPED","from":1,"through":2,"seq":4,'
            b'"count":5,"digest":"ffffffffffffffff"}'
        ),
    ),
    (
        messages.Bye(n=9, reason="closing", retry_after_ms=500),
        b'{"type":"bye","n":9,"reason":"closing","retry_after_ms":500}',
    ),
]
CLIENT = [
    (messages.Credit(1000), b'{"type":"credit","events":1000}'),
    (messages.Verify(1, 2), b'{"type":"verify","from":1,"through":2}'),
    (messages.Repair(1, 2), b'{"type":"repair","from":1,"through":2}'),
    (messages.Extend(3), b'{"type":"extend","since":3}'),
]


@pytest.mark.parametrize(("message", "frame"), SERVER)
def test_server_messages_survive_a_round_trip(
    message: messages.ServerMessage, frame: bytes
) -> None:
    assert json.loads(encode(message)) == json.loads(frame)
    assert decode_server(frame) == message
    assert decode_server(frame.decode()) == message


@pytest.mark.parametrize(("message", "frame"), CLIENT)
def test_client_messages_survive_a_round_trip(
    message: messages.ClientMessage, frame: bytes
) -> None:
    assert encode(message) == frame
    assert decode_client(frame) == message


def test_unknown_fields_and_extra_item_elements_are_ignored() -> None:
    frame = b'{"x":[1],"n":2,"type":"bye","reason":"r","retry_after_ms":0,"y":null}'
    assert decode_server(frame) == messages.Bye(n=2, reason="r")
    frame = b'{"type":"events","n":1,"after":0,"seq":7,"items":[[7,"38",5,null,"s","m","live",1]]}'
    assert decode_server(frame) == messages.Events(after=0, seq=7, items=[ITEM])


def test_a_server_message_of_an_unknown_type_keeps_only_type_and_n() -> None:
    assert decode_server(b'{"type":"forecast","n":12,"x":"y"}') == messages.UnknownMessage(
        "forecast", 12
    )
    assert decode_server(b'{"n":12,"x":"\\ud800","type":"\\ud800"}') == messages.UnknownMessage(
        "\ud800", 12
    )


def test_an_optional_field_may_be_omitted_or_null() -> None:
    heartbeat = decode_server(
        b'{"type":"heartbeat","n":3,"head_seq":7,"sent_seq":7,'
        b'"upstream":{"state":"unreachable","lag_ms":null}}'
    )
    upstream = messages.Upstream("unreachable")
    assert heartbeat == messages.Heartbeat(n=3, head_seq=7, sent_seq=7, upstream=upstream)
    gap = b'{"type":"gap","n":6,"id":5,"from":1,"through":2,"state":"repaired","reason":null}'
    assert decode_server(gap) == messages.Gap(
        n=6, id="5", from_=1, through=2, state="repaired", reason=""
    )
    assert decode_server(b'{"type":"bye","n":4,"reason":"r","retry_after_ms":null}') == (
        messages.Bye(n=4, reason="r")
    )


def test_a_required_field_must_not_be_null() -> None:
    with pytest.raises(WireError):
        decode_server(b'{"type":"mark","n":4,"from":1,"through":2,"scanned_at":3,"seq":null}')
    with pytest.raises(WireError):
        decode_server(b'{"type":"events","n":1,"after":0,"seq":7,"items":[null]}')


def test_a_client_message_of_an_unknown_type_is_rejected() -> None:
    with pytest.raises(WireError):
        decode_client(b'{"type":"forecast","n":12}')


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b"1",
        b'"bye"',
        b"\xff\xfe",
        b"\x00",
        b'{"type":"bye"}',
        b'{"type":"bye","n":1,"reason":"r"',
        b'{"type":"bye","n":1,"reason":"r"}}',
        b'{"type":"bye","n":0,"reason":"r"}',
        b'{"type":"bye","n":1.5,"reason":"r"}',
        b'{"type":"bye","n":"1","reason":"r"}',
        b'{"type":"bye","n":true,"reason":"r"}',
        b'{"type":"bye","n":1,"reason":null}',
        b'{"type":"bye","n":1,"reason":"\xff"}',
        b'{"type":"bye","n":1,"reason":"\xed\xa0\x80"}',
        b'{"type":"bye","n":1,"reason":"\\ud800","more":NaN}',
        b'{"type":"bye","n":1,"reason":"\\ud80"}',
        b'{"type":"forecast"}',
        b'{"type":"forecast","n":0}',
        b'{"type":"forecast","n":-1}',
        b'{"type":"forecast","n":9007199254740992}',
        b'{"type":null,"n":1}',
        b'{"type":"mark","n":1,"from":1,"through":2,"scanned_at":3,"seq":4,"count":5,"digest":"F"}',
        b'{"type":"events","n":1,"after":0,"seq":1,"items":[[1,"1",1]]}',
        b'{"type":"events","n":1,"after":0,"seq":1,"items":[[0,"1",1,null,"s","m","live"]]}',
        b'{"type":"events","n":1,"after":0,"seq":1,"items":[[1,"1",-1,null,"s","m","live"]]}',
        b'{"type":"events","n":1,"after":0,"seq":1,"items":[[1,"1",1,null,"s","m","other"]]}',
        b"[" * 100_000,
        b'{"type":"forecast","n":1,"more":' + b"[" * 100_000,
        b'{"type":"\\ud800","n":1,"more":' + b"[" * 100_000,
    ],
)
def test_a_malformed_frame_raises_a_wire_error_of_one_short_line(frame: bytes) -> None:
    with pytest.raises(WireError) as caught:
        decode_server(frame)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_error_text_escapes_control_characters() -> None:
    with pytest.raises(WireError) as caught:
        decode_client(b'{"type":"\\u001b[2J\\n"}')
    assert str(caught.value).isascii()
    assert str(caught.value).isprintable()


def test_utf_16_is_rejected_even_if_it_seems_to_contain_escaped_surrogates() -> None:
    # In UTF-16 these characters contain the bytes `\ud8`, which trigger the second decoding.
    text = '{"type":"bye","n":1,"reason":"x","\u755c\u3864\u3838":0}'
    assert b"\\ud8" in text.encode("utf-16-le")
    with pytest.raises(WireError):
        decode_server(text.encode("utf-16-le"))


def test_lone_surrogates_arrive_unchanged() -> None:
    message = "before \ud83d between \ude00 after \U0001f600"
    item = messages.Item(7, "38", 5, None, "s", message, "live")
    assert decode_server(encode(messages.Events(after=0, seq=7, items=[item]))) == (
        messages.Events(after=0, seq=7, items=[item])
    )


def test_frames_over_the_size_limit_are_rejected() -> None:
    padding = b" " * CLIENT_MESSAGE_BYTES_MAX
    frame = CLIENT[0][1]
    assert decode_client(frame + padding[len(frame) :]) == CLIENT[0][0]
    with pytest.raises(WireError, match="over the limit of 4096"):
        decode_client(frame + padding)
    with pytest.raises(WireError, match="over the limit of 8388608"):
        decode_server(b" " * (CLIENT_FRAME_BYTES_MAX + 1))


def test_the_largest_event_passes_even_when_every_byte_is_escaped() -> None:
    item = messages.Item(7, "38", 5, None, "s", "\x01" * (1 << 20), "live")
    events = messages.Events(after=0, seq=7, items=[item])
    assert decode_server(encode(events)) == events


def test_http_bodies_survive_a_round_trip_within_their_limit() -> None:
    page = messages.LogsPage("E", 9, None, None, [ITEM])
    assert decode_body(encode(page), messages.LogsPage) == page
    total = messages.DigestBody(
        epoch="E", from_=1, through=2, seq=SEQ_MAX, count=4, digest="0" * 16
    )
    assert decode_body(encode(total), messages.DigestBody) == total
    with pytest.raises(WireError):
        decode_body(b"<html>502 Bad Gateway</html>", messages.LogsPage)
    with pytest.raises(WireError, match="over the limit of 5"):
        decode_body(b"      ", messages.LogsPage, bytes_max=5)
