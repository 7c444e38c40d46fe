from __future__ import annotations

import pytest

from tui.replay.playback import Playback


def playback(speed: float | None = 1.0) -> Playback:
    found = Playback(speed, 0)
    found.start(1_000_000, 1_100_000, 500)
    return found


@pytest.mark.parametrize("speed", [1.0, 2.5, 10.0, 100.0])
def test_it_moves_with_the_clock_at_its_speed(speed: float) -> None:
    found = playback(speed)
    assert found.advance(500) == 1_000_000
    assert found.advance(700) == 1_000_000 + int(200 * speed)
    assert found.advance(1_500) == 1_000_000 + min(100_000, int(1_000 * speed))


def test_everything_at_once_begins_at_the_end() -> None:
    found = playback(None)
    assert (found.position_ms, found.is_over, found.speed) == (1_100_000, True, 1.0)


def test_it_pauses_and_goes_on() -> None:
    found = playback()
    found.toggle(1_500)
    assert (found.is_paused, found.advance(9_000)) == (True, 1_001_000)
    found.toggle(9_000)
    assert (found.is_paused, found.advance(9_500)) == (False, 1_001_500)


def test_it_starts_again_at_the_end_and_seeks_within_the_recording() -> None:
    found = playback()
    found.seek(5_000_000, 600)
    assert found.is_over
    found.toggle(700)
    assert (found.position_ms, found.is_paused) == (1_000_000, False)
    found.seek(0, 800)
    assert found.position_ms == 1_000_000
    found.seek(1_050_000, 900)
    assert found.position_ms == 1_050_000


def test_keys_change_the_speed_within_its_bounds() -> None:
    found = playback(3.0)
    found.change_speed(1, 500)
    assert found.speed == 5.0
    for _ in range(9):
        found.change_speed(1, 500)
    assert found.speed == 100.0
    for _ in range(9):
        found.change_speed(-1, 500)
    assert found.speed == 1.0


def test_a_change_of_speed_does_not_move_it() -> None:
    found = playback(1.0)
    found.change_speed(1, 1_500)
    assert found.advance(1_500) == 1_001_000
    assert found.advance(2_500) == 1_003_000
