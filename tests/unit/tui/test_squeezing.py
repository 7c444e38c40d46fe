from __future__ import annotations

import random
import sys
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import squeezing
from tui.squeezing import Codec, by_zlib, by_zstd, squeezed, unsqueezed

LINES = b"".join(b"GET /health 200 in %d ms\xff" % number for number in range(1_000))


@given(st.binary(max_size=200))
def test_what_was_squeezed_comes_back(data: bytes) -> None:
    assert unsqueezed(squeezed(data)) == data
    for squeeze, unsqueeze in (by_zlib(), by_zstd()):
        assert unsqueeze(squeeze(data)) == data


@pytest.mark.parametrize("codec", [by_zlib(), by_zstd()], ids=["zlib", "zstd"])
def test_log_lines_take_a_part_of_the_room(codec: Codec) -> None:
    packed = codec[0](LINES)
    assert sys.getsizeof(packed) < len(LINES) / 4
    assert codec[1](packed) == LINES
    noise = random.Random(1).randbytes(10_000)
    assert codec[1](codec[0](noise)) == noise


def test_without_zstd_there_is_zlib() -> None:
    squeezing._codec.cache_clear()
    try:
        with patch.dict(sys.modules, {"zstandard": None}):
            assert squeezed(LINES) == by_zlib()[0](LINES)
            assert unsqueezed(squeezed(LINES)) == LINES
    finally:
        squeezing._codec.cache_clear()
