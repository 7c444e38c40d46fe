from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.render.chunks import Chunk, arrange, chunk

CHUNKS = st.lists(
    st.builds(
        chunk, st.text(alphabet="ab漢", min_size=1, max_size=9), st.just("r"), st.integers(0, 9)
    ),
    max_size=5,
)


@given(CHUNKS, CHUNKS, st.integers(0, 60))
def test_what_is_left_fits_and_matters_most(
    left: list[Chunk], right: list[Chunk], cells: int
) -> None:
    kept_left, kept_right = arrange(left, right, cells)
    kept = kept_left + kept_right
    fits = sum(one.cells + 2 for one in kept) - 2 <= cells
    assert fits or all(one.rank == 0 for one in kept)
    dropped = [one for one in left + right if one not in kept]
    if dropped and kept:
        assert min(one.rank for one in dropped) >= max(1, min(one.rank for one in kept))


def test_order_is_kept() -> None:
    left = [chunk("a", "r", 1), chunk("bbbb", "r", 9), chunk("c", "r", 0)]
    assert arrange(left, [chunk("d", "r", 2)], 8) == ([left[0], left[2]], [chunk("d", "r", 2)])


def test_cells_count_wide_characters() -> None:
    assert Chunk((("漢字", "r"), ("x", "s"))).cells == 5
