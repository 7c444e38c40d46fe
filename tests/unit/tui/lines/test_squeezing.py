from __future__ import annotations

import random
import sys

from hypothesis import given
from hypothesis import strategies as st

from tui.lines.squeezing import squeezed, unsqueezed

LINES = b"".join(b"GET /health 200 in %d ms\xff" % number for number in range(1_000))


@given(st.binary(max_size=200))
def test_what_was_squeezed_comes_back(data: bytes) -> None:
    assert unsqueezed(squeezed(data)) == data


def test_log_lines_take_a_part_of_the_room() -> None:
    packed = squeezed(LINES)
    assert sys.getsizeof(packed) < len(LINES) / 4
    assert unsqueezed(packed) == LINES


def test_what_has_no_pattern_comes_back() -> None:
    noise = random.Random(1).randbytes(10_000)
    assert unsqueezed(squeezed(noise)) == noise
