from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.viewer.server_messages import line
from tui.lines.rows import line_key
from tui.output.ordering import ReleaseState, StrictOrder

steps = st.lists(
    st.tuples(
        st.lists(st.integers(0, 40), max_size=6),  # lines come
        st.integers(0, 8),  # time passes
        st.one_of(st.none(), st.integers(0, 40)),  # what is proved
        st.booleans(),
    ),
    max_size=20,
)


@given(steps, st.integers(0, 10), st.integers(1, 12))
def test_every_line_is_printed_once_and_in_order_but_for_late_ones(
    script: list[tuple[list[int], int, int | None, bool]], hold_ms: int, lines_max: int
) -> None:
    strict, now_ms, put = StrictOrder(hold_ms, lines_max), 0, 0
    printed = []
    for times, passed, proved, is_backfilled in script:
        lines = [line(line_key(time, str(put + place), 0)) for place, time in enumerate(times)]
        put += len(lines)
        strict.add_lines(lines, now_ms)
        now_ms += passed
        printed += strict.take_ready(ReleaseState(now_ms, proved, is_backfilled))
        assert len(strict) <= lines_max
        lowest = strict.lowest_held
        assert (lowest is None) == (len(strict) == 0)
        assert lowest is None or all(one.line.key < lowest for one in printed)
    printed += strict.take_all()
    assert strict.arrived == put == len({one.line.key for one in printed}) == len(printed)
    in_time = [one.line.key for one in printed if not one.is_late]
    assert in_time == sorted(in_time)
    for place, one in enumerate(printed):
        if one.is_late:
            assert any(before.line.key > one.line.key for before in printed[:place])
