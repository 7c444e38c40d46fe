"""Fuzzes the frame parser: no byte is lost or reordered, for any input and chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from simulator.network.frames import FrameSplitter, Piece, ServerStream, header_bytes, payload_bytes

SIZES = st.one_of(st.integers(0, 300), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))


@st.composite
def frames(draw: st.DrawFn) -> list[bytes]:
    """A server's frames, encoded by the websockets library."""
    kinds = st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG, Opcode.CLOSE])
    out = []
    for _ in range(draw(st.integers(0, 6))):
        kind, fin = draw(kinds), draw(st.booleans())
        is_data = kind in (Opcode.TEXT, Opcode.BINARY)
        size = draw(SIZES) if is_data else draw(st.integers(0, 125))
        out.append(Frame(kind, b"x" * size, fin or not is_data).serialize(mask=False))
    return out


def chunks(source: st.DataObject, data: bytes) -> list[bytes]:
    """Split the bytes at random places."""
    cuts = sorted(source.draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def joined(pieces: list[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


@given(st.data(), frames())
def test_frames_are_found_in_any_chunks(data: st.DataObject, sent: list[bytes]) -> None:
    splitter = FrameSplitter()
    got = [one for part in chunks(data, b"".join(sent)) for one in splitter.split_frames(part)]
    assert [piece.data for piece in got] == sent
    assert splitter.is_at_frame_end
    assert splitter.release() == b""


@given(st.data(), frames(), st.binary(max_size=40))
def test_no_byte_is_lost_when_parsing_starts_and_ends(
    data: st.DataObject, sent: list[bytes], rubbish: bytes
) -> None:
    stream = b"".join(sent) + rubbish
    splitter = FrameSplitter()
    out: list[Piece] = []
    for part in chunks(data, stream):
        if data.draw(st.booleans()):
            out += splitter.split_frames(part)
        else:
            out.append(Piece(splitter.pass_through(part)))
    out.append(Piece(splitter.release()))
    assert joined(out) == stream
    assert all(piece.data in sent for piece in out if piece.is_message and not rubbish)


@given(st.data(), st.binary(max_size=300))
def test_arbitrary_bytes_pass(data: st.DataObject, rubbish: bytes) -> None:
    whole = data.draw(st.booleans())
    head = data.draw(
        st.sampled_from(
            [
                b"",
                b"HTTP/1.1 200 OK\r\n\r\n",
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
                b"HTTP/1.1 101",
            ]
        )
    )
    stream = ServerStream()
    out: list[Piece] = []
    for part in chunks(data, head + rubbish):
        out += stream.feed(part, whole=whole)
    out.append(Piece(stream.release()))
    assert joined(out) == head + rubbish
    has_switched = (head + rubbish).startswith(b"HTTP/1.1 101") and b"\r\n\r\n" in head + rubbish
    assert stream.is_websocket == has_switched


@given(frames())
def test_headers_contain_the_frame_length(sent: list[bytes]) -> None:
    for frame in sent:
        assert header_bytes(frame) + payload_bytes(frame) == len(frame)
