from __future__ import annotations

import pytest
from websockets.frames import Close, Frame, Opcode

from simulator.network.frames import (
    FRAME_BYTES_MAX,
    HEAD_BYTES_MAX,
    FrameSplitter,
    Piece,
    ServerStream,
    close_frame,
    could_be_request,
    is_upgrade,
)

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


def text(payload: str, *, fin: bool = True) -> bytes:
    return Frame(Opcode.TEXT, payload.encode(), fin).serialize(mask=False)


def is_between(splitter: FrameSplitter) -> bool:
    """Read it each time, because mypy would narrow the attribute."""
    return splitter.is_at_frame_end


def test_whole_messages_are_told_from_what_only_passes() -> None:
    sent = [text("a"), text("b", fin=False), Frame(Opcode.PING, b"").serialize(mask=False)]
    assert [piece.is_message for piece in FrameSplitter().split_frames(b"".join(sent))] == [
        True,
        False,
        False,
    ]


def test_the_kind_of_a_message() -> None:
    def kind(frame: bytes) -> str | None:
        (piece,) = FrameSplitter().split_frames(frame)
        return piece.kind()

    assert kind(text('{"type": "heartbeat", "n": 1}')) == "heartbeat"
    assert kind(text('{"type": 1}')) is None
    assert kind(text("[]")) is None
    assert kind(text("not JSON")) is None
    assert kind(text("[" * 100_000)) is None
    assert kind(Frame(Opcode.BINARY, b'{"type": "x"}').serialize(mask=False)) is None
    assert Piece(b"x").kind() is None


def test_cutting_begins_with_the_next_frame() -> None:
    splitter = FrameSplitter()
    one, two = text("x" * 300), text("y")
    assert splitter.pass_through(one[:3]) == one[:3]
    assert not is_between(splitter)
    assert splitter.split_frames(one[3:] + two) == [Piece(one[3:]), Piece(two, is_message=True)]
    assert splitter.split_frames(two[:2]) == []
    assert is_between(splitter), "what is held back has not been passed on"
    assert splitter.pass_through(two[2:]) == two


def test_a_frame_larger_than_is_held_back_passes_in_pieces() -> None:
    size = FRAME_BYTES_MAX + 1
    frame = bytes((0x81, 127)) + size.to_bytes(8, "big")
    splitter = FrameSplitter()
    assert splitter.split_frames(frame + b"begun") == [Piece(frame + b"begun")]
    assert splitter.split_frames(b"x" * (size - 5) + text("next")) == [
        Piece(b"x" * (size - 5)),
        Piece(text("next"), is_message=True),
    ]


def test_frames_begin_behind_the_head() -> None:
    stream = ServerStream()
    assert stream.feed(SWITCHING[:20], whole=True) == [Piece(SWITCHING[:20])]
    rest = SWITCHING[20:]
    assert stream.feed(rest + text("a"), whole=True) == [
        Piece(rest),
        Piece(text("a"), is_message=True),
    ]
    assert stream.is_websocket
    assert stream.is_at_frame_end


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"hello\n",
        b"HTTP/1.1 101 " + b"x" * HEAD_BYTES_MAX,
        b"H\r\n\r\n",
    ],
)
def test_what_is_no_websocket_passes(head: bytes) -> None:
    stream = ServerStream()
    assert stream.feed(head, whole=True) == [Piece(head)]
    assert stream.feed(text("a"), whole=True) == [Piece(text("a"))]
    assert not stream.is_websocket
    assert not stream.is_at_frame_end
    assert stream.release() == b""


def test_a_close_frame() -> None:
    frame = close_frame(4001, "x" * 200)
    assert Close.parse(frame[2:]) == Close(4001, "x" * 123)
    assert frame[:2] == bytes((0x88, 125))


@pytest.mark.parametrize(
    ("head", "is_it"),
    [
        (b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nUPGRADE:  WebSocket \r\n\r\n", True),
        (b"GET /upgrade:websocket HTTP/1.1\r\nHost: a\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", False),
        (b"", False),
    ],
)
def test_upgrades_are_known_by_their_header(head: bytes, *, is_it: bool) -> None:
    assert is_upgrade(head) is is_it


def test_only_a_request_is_waited_for() -> None:
    assert could_be_request(b"")
    assert could_be_request(b"GE")
    assert could_be_request(b"GET / HTTP/1.1\r\n")
    assert not could_be_request(b"hello\n")
    assert not could_be_request(b"GET / HTTP/1.1\r\n" + b"x" * HEAD_BYTES_MAX)
