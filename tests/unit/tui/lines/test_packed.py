from __future__ import annotations

import random
import sys
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from common.patterns import compile_pattern
from tui.lines.packed import PackedRows, RowCache, compressed, decompressed
from tui.lines.rows import Line, Row, Rule
from wire.limits import SEQ_MAX, TIMESTAMP_MAX

any_text = st.text(st.characters(), max_size=12)  # lone surrogates among them
made_lines = st.builds(
    Line,
    key=st.just(0),
    seq=st.integers(0, SEQ_MAX),
    ingestion_time=st.none() | st.integers(0, TIMESTAMP_MAX),
    stream=any_text,
    message=any_text,
    origin=st.sampled_from(["live", "backfill", "repair"]),
    late_ms=st.sampled_from([0, 0, 1, 86_400_000]),
    era=st.integers(-1, 5),
    id_digits=st.integers(1, 57),
)
made_rules = st.builds(
    Rule,
    key=st.just(0),
    kind=st.sampled_from(["gap", "offline"]),
    target=st.none(),
    from_ms=st.just(1),
    through_ms=st.none(),
)


def numbered(rows: list[Row]) -> list[Row]:
    fields = [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]
    return [
        type(row)(**(field | {"key": at * 1_000}))
        for at, (row, field) in enumerate(zip(rows, fields, strict=True))
    ]


@given(st.lists(made_lines | made_rules, max_size=12))
def test_every_field_comes_back_packed_and_compressed(made: list[Row]) -> None:
    rows = numbered(made)
    packed = PackedRows([row.key for row in rows], rows)
    for _ in range(2):
        assert packed.rows() == rows
        assert [packed.row(at) for at in range(len(rows))] == rows
        assert packed.messages() == [row.message if isinstance(row, Line) else "" for row in rows]
        assert packed.rules == [row for row in rows if isinstance(row, Rule)]
        packed.compress()
        assert packed.is_compressed


def one(at: int) -> PackedRows:
    return PackedRows([at], [Line(at, 1, None, "s", f"line {at}", "live")])


def test_a_cached_row_stays_the_same_object() -> None:
    memory, packed = RowCache(), one(1)
    row = memory.row(packed, 0)
    assert memory.row(packed, 0) is row
    memory.forget([1])
    assert memory.row(packed, 0) is not row


def test_the_row_cache_is_bounded() -> None:
    with patch("tui.lines.packed.DECOMPRESSED_MAX", 2), patch("tui.lines.packed.DECODED_MAX", 2):
        memory = RowCache()
        blocks = [one(at) for at in range(4)]
        for block in blocks:
            block.compress()
        first = memory.row(blocks[0], 0)
        for block in blocks[1:]:
            memory.row(block, 0)
        assert [block.is_compressed for block in blocks] == [True, True, False, False]
        again = memory.row(blocks[0], 0)
        assert again == first
        assert again is not first


def test_long_rows_in_the_cache_are_bounded_by_bytes() -> None:
    rows = [Line(at, 1, None, "s", "é" * 1_000, "live") for at in range(9)]
    packed = PackedRows([row.key for row in rows], rows)
    with patch("tui.lines.packed.DECODED_BYTES_MAX", 3_500):
        memory = RowCache()
        read = [memory.row(packed, at) for at in range(5)]
        assert [memory.row(packed, at) is read[at] for at in (4, 3, 2)] == [True] * 3
        assert memory.row(packed, 1) is not read[1]
        # What was dropped or forgotten does not count any more.
        memory.forget([1, 2, 3])
        kept = [memory.row(packed, at) for at in (5, 6, 7)]
        assert [memory.row(packed, at) for at in (5, 6, 7)] == kept
        assert all(memory.row(packed, at) is row for at, row in zip((5, 6, 7), kept, strict=True))
    with patch("tui.lines.packed.DECODED_BYTES_MAX", 1):
        memory = RowCache()
        assert memory.row(packed, 0) is memory.row(packed, 0)


@given(
    st.lists(st.text("abK\u212a\ud800é", max_size=4), max_size=8),
    st.text("abkKé", min_size=1, max_size=2),
    st.booleans(),
)
def test_searching_packed_rows_finds_every_match(
    texts: list[str],
    needle: str,
    ignores_case: bool,  # noqa: FBT001 - drawn
) -> None:
    rows: list[Row] = [Line(at, 1, None, "s", text, "live") for at, text in enumerate(texts)]
    packed = PackedRows([row.key for row in rows], rows)
    pattern = compile_pattern(needle, ignores_case=ignores_case)
    expected = [at for at, text in enumerate(texts) if pattern.matches(text)]
    for _ in range(2):
        flags = packed.flags_of_pattern(pattern)
        assert [at for at, flag in enumerate(flags) if flag] == expected
        packed.compress()
        assert packed.is_compressed


LINES = b"".join(b"GET /health 200 in %d ms\xff" % number for number in range(1_000))


@given(st.binary(max_size=200))
def test_compression_is_lossless(data: bytes) -> None:
    assert decompressed(compressed(data)) == data


def test_log_lines_compress_well() -> None:
    packed = compressed(LINES)
    assert sys.getsizeof(packed) < len(LINES) / 4
    assert decompressed(packed) == LINES


def test_noise_survives_compression() -> None:
    noise = random.Random(1).randbytes(10_000)
    assert decompressed(compressed(noise)) == noise
