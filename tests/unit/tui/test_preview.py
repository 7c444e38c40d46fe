from __future__ import annotations

import pytest

from tests.support.fake_engine import EPOCH_MS, busy_lines, make_line, make_rule
from tui.format import Columns
from tui.levels import level_of
from tui.palette import Palette, Tones
from tui.preview import preview, spans_days
from tui.rows import Row
from tui.strips import Look, Strips


@pytest.mark.parametrize("width", [1, 20, 80, 200])
@pytest.mark.parametrize("dated", [False, True])
def test_it_is_what_the_screen_will_say(width: int, dated: bool) -> None:  # noqa: FBT001 - a table
    rows: list[Row] = [
        *busy_lines(40),
        make_line(1, "a\x1b[2Jb\x1b[31mred\ttab\x07", stream="fleet/render/0123456789abcdef/1"),
        make_line(2, "漢字" * 200, origin="backfill", late_ms=7),
        make_rule(1, EPOCH_MS, "gap", state="repaired"),
    ]
    strips = Strips(
        Palette(Tones.of({}, dark=True)),
        lambda line: level_of(line.message),
        lambda _line: True,
        Columns(),
    )
    strips.set_look(Look(width=width - 1 or 1, dated=dated))
    strips.widen(rows)
    expected = [strips.strips(row, None, edge=("", "track"))[0].text for row in rows]
    assert preview(rows, width, dated=dated) == expected
    assert "\x1b" not in "".join(expected)


def test_dates_where_the_clock_would_not_tell() -> None:
    today, tomorrow = make_line(1, "x"), make_line(2, "x", at_ms=EPOCH_MS + 86_400_000)
    assert spans_days([today, tomorrow])
    assert not spans_days([today, today])
    assert not spans_days([])
