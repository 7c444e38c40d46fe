from __future__ import annotations

from random import Random

from simulator.network.frames import Piece
from simulator.network.toxics import Bandwidth, FrameStrain, FrameToxic, Latency, Pace


def message(text: str) -> Piece:
    """A short message as a server's frame."""
    return Piece(bytes((0x81, len(text))) + text.encode(), is_message=True)


A, B, C = message("a"), message("b"), message("c")
PASSING = Piece(b"ping")


def toxic(strain: FrameStrain) -> FrameToxic:
    return FrameToxic(strain, Random(1))


def test_dropping_takes_messages_alone() -> None:
    assert toxic(FrameStrain("drop", 1)).apply([A, PASSING, B]) == [PASSING]
    assert toxic(FrameStrain("drop", 0)).apply([A, PASSING, B]) == [A, PASSING, B]


def test_a_share_is_hit_and_the_same_one_for_a_seed() -> None:
    left = toxic(FrameStrain("drop", 0.3)).apply([A] * 1_000)
    assert 600 < len(left) < 800
    mixed = [A, B, C] * 100
    assert toxic(FrameStrain("drop", 0.3)).apply(mixed) == toxic(FrameStrain("drop", 0.3)).apply(
        mixed
    )


def test_duplicating() -> None:
    assert toxic(FrameStrain("duplicate", 1)).apply([A, PASSING, B]) == [A, A, PASSING, B, B]


def test_reordering_swaps_a_message_with_the_next() -> None:
    swap = toxic(FrameStrain("reorder", 1))
    assert swap.apply([A, PASSING]) == [PASSING]
    assert swap.apply([B, C]) == [B, A]
    assert swap.release() == [C]
    assert swap.release() == []


def test_muting_takes_heartbeats_alone() -> None:
    beat = message('{"type":"heartbeat"}')
    assert toxic(FrameStrain("mute_heartbeat", 1)).apply([A, beat, B, beat]) == [A, B]
    assert toxic(FrameStrain("mute_heartbeat", 0)).apply([A, beat]) == [A, beat]


def test_latency_keeps_the_order() -> None:
    pace = Pace(Random(1))
    strain = [Latency(100, 100)]
    due = [pace.schedule(b"x", float(at), strain)[0][0] for at in range(200)]
    assert due == sorted(due)
    assert all(0 <= at_ms - sent_ms <= 400 for sent_ms, at_ms in enumerate(due))
    assert len({round(at_ms - sent_ms) for sent_ms, at_ms in enumerate(due)}) > 5


def test_a_narrow_link_takes_its_time() -> None:
    pace = Pace(Random(1))
    data = b"x" * 10_000
    slices = pace.schedule(data, 0.0, [Bandwidth(80), Bandwidth(800)])
    assert b"".join(part for _, part in slices) == data
    assert slices[-1][0] == 1_000, "80 kilobits a second are 10 bytes a millisecond"
    assert slices[0][0] == 50
    assert pace.schedule(b"x" * 100, 0.0, [Bandwidth(80)])[-1][0] == 1_010, "the link is still busy"
    pace.reset()
    assert pace.schedule(b"x", 5_000.0, [Latency(7, 0)]) == [(5_007, b"x")]


def test_both_add_up() -> None:
    assert Pace(Random(1)).schedule(b"x" * 500, 0.0, [Bandwidth(80), Latency(10, 0)]) == [
        (60, b"x" * 500)
    ]
