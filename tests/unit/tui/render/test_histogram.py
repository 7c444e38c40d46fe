from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_engine import EPOCH_MS, make_line, status_of, target_status
from tui.client.status import ConnectionOutage, GapStatus, LostRange, UnequalRange
from tui.lines.counts import LineVolume, VolumeBucket
from tui.render import histogram
from tui.render.histogram import Column, Plot, ShadedRange
from wire.messages import Origin


def counted(*seconds: float, message: str = "x", origin: Origin = "live") -> LineVolume:
    volume = LineVolume()
    for number, second in enumerate(seconds):
        at_ms = EPOCH_MS + round(second * 1000)
        volume.add(make_line(number, message, at_ms=at_ms, origin=origin))
    return volume


def lines_of(plotted: Plot) -> list[int]:
    return [one.counts.lines for one in plotted.columns]


def text(plotted: Plot, cursor: int | None = None, *, ascii_only: bool = False) -> list[str]:
    drawn = histogram.draw(plotted, 2, cursor, ascii_only=ascii_only)
    return ["".join(piece for piece, _ in line) for line in drawn]


def test_one_column_per_bucket_while_they_fit() -> None:
    plotted = histogram.plot(counted(0, 0.05, 0.3), 10)
    assert plotted.step_ms == 100
    assert lines_of(plotted) == [2, 0, 0, 1]
    assert plotted.columns[3].from_ms == EPOCH_MS + 300
    assert plotted.columns[3].through_ms == EPOCH_MS + 399


def test_nothing_to_plot() -> None:
    assert histogram.plot(LineVolume(), 10).columns == ()
    assert histogram.plot(counted(1), 0).columns == ()
    assert histogram.plot(LineVolume(), 10).index_at(5) is None
    assert len(histogram.draw(Plot(1, ()), 3, None)) == 3 + histogram.FIXED_ROWS


@given(
    st.lists(st.integers(0, 4_000), min_size=1, max_size=40),
    st.integers(1, 30),
    st.integers(0, 12),
    st.integers(-10_000, 500_000),
)
def test_no_width_leaves_a_line_out(tenths: list[int], cells: int, zoom: int, at_ms: int) -> None:
    volume = counted(*(tenth / 10 for tenth in tenths))
    whole = histogram.plot(volume, cells)
    assert len(whole.columns) <= cells
    assert sum(lines_of(whole)) == len(tenths)
    some = histogram.plot(volume, cells, zoom=zoom, at_ms=EPOCH_MS + at_ms)
    assert len(some.columns) <= cells
    assert some.step_ms <= whole.step_ms
    for one, other in zip(some.columns, some.columns[1:], strict=False):
        assert one.through_ms + 1 == other.from_ms
    moment = min(max(EPOCH_MS + at_ms, EPOCH_MS + min(tenths) * 100), EPOCH_MS + max(tenths) * 100)
    index = some.index_at(moment)
    assert index is not None
    assert some.columns[index].from_ms <= moment <= some.columns[index].through_ms


def test_zoomed_in() -> None:
    volume = counted(*range(100))
    whole = histogram.plot(volume, 20)
    some = histogram.plot(volume, 20, zoom=2, at_ms=EPOCH_MS + 50_000)
    assert (some.step_ms, whole.step_ms) == (2_000, 5_000)
    assert some.columns[0].from_ms < EPOCH_MS + 50_000 < some.columns[-1].from_ms


def test_gaps_outages_and_backfills_are_shaded() -> None:
    def outage(began: int, ended: int | None, recovered: int | None) -> ConnectionOutage:
        end = None if ended is None else EPOCH_MS + ended
        return ConnectionOutage(EPOCH_MS + began, end, None, "cut", recovered, None)

    gaps = (
        GapStatus(0, "a", EPOCH_MS + 10, EPOCH_MS + 11, "repaired", "", 0),
        GapStatus(0, "b", EPOCH_MS + 20, EPOCH_MS + 21, "repairing", "", 0),
    )
    status = status_of(
        (target_status(outages=(outage(0, 5, 3), outage(6, 9, None), outage(50, None, None))),),
        gaps=gaps,
        lost=(LostRange(0, EPOCH_MS + 30, EPOCH_MS + 31, "retention"),),
        unequal=(UnequalRange(0, EPOCH_MS + 40, EPOCH_MS + 41, 5, final=True),),
    )
    found = [
        (one.from_ms - EPOCH_MS, one.through_ms - EPOCH_MS, one.kind)
        for one in histogram.shades(status, EPOCH_MS + 60)
    ]
    assert found == [
        (0, 5, "backfill"),
        (10, 11, "backfill"),
        (6, 9, "offline"),
        (50, 60, "offline"),
        (20, 21, "gap"),
        (30, 31, "gap"),
        (40, 41, "gap"),
    ]


def test_shades() -> None:
    shades = [
        ShadedRange(EPOCH_MS + 100, EPOCH_MS + 450, "offline"),
        ShadedRange(EPOCH_MS + 250, EPOCH_MS + 260, "gap"),
        ShadedRange(EPOCH_MS - 9_000, EPOCH_MS - 8_000, "gap"),
        ShadedRange(EPOCH_MS + 9_000, EPOCH_MS + 9_001, "gap"),
    ]
    plotted = histogram.plot(counted(0, 0.5), 10, shades)
    assert [one.kind for one in plotted.columns] == ["", "offline", "gap", "offline", "offline", ""]
    past = histogram.plot(counted(0, 0.1, origin="backfill"), 10, shades)
    assert [one.kind for one in past.columns] == ["backfill", "offline"]


def test_drawing() -> None:
    columns = (
        Column(EPOCH_MS, EPOCH_MS + 999, VolumeBucket(16, 4, 0, 0, 0)),
        Column(EPOCH_MS + 1_000, EPOCH_MS + 1_999, VolumeBucket(4, 0, 4, 0, 1)),
        Column(EPOCH_MS + 2_000, EPOCH_MS + 2_999, VolumeBucket(), "gap"),
        Column(EPOCH_MS + 3_000, EPOCH_MS + 3_999, VolumeBucket(8, 0, 0, 8, 0), "backfill"),
    )
    plotted = Plot(1_000, columns)
    assert text(plotted, cursor=1) == [
        "      16 █ ░░",
        "         █▄░█",
        "  errors █   ",
        "warnings  █  ",
        "  source  +✕↑",
        "          ▲  ",
    ]
    assert text(plotted, cursor=1, ascii_only=True) == [
        "      16 @ x'",
        "         @=x@",
        "  errors @   ",
        "warnings  @  ",
        "  source  +x^",
        "          ^  ",
    ]
    roles = [role for line in histogram.draw(plotted, 2, None) for _, role in line]
    assert {"bar.error", "bar.warn", "bar.line", "shade.gap", "shade.backfill"} <= set(roles)


def test_times_below_the_columns() -> None:
    plotted = histogram.plot(counted(*range(40)), 25)
    axis = text(plotted)[-1]
    assert "12:00:00  12:00:" in axis
    berlin = histogram.draw(plotted, 1, None, ZoneInfo("Europe/Berlin"))
    assert "13:00:00" in berlin[-1][1][0]


@pytest.mark.parametrize(
    ("seconds", "step_ms"),
    [
        (1, 100),
        (60, 1_000),
        (61, 2_000),
        (1_100, 20_000),
        (86_400, 1_800_000),
        (10**9, 256 * 86_400_000),
    ],
)
def test_columns_have_round_lengths(seconds: int, step_ms: int) -> None:
    volume = counted(0, seconds - 0.001)
    plotted = histogram.plot(volume, 60)
    assert len(plotted.columns) <= 60
    assert plotted.step_ms == step_ms


def test_one_peak_does_not_flatten_the_rest() -> None:
    def heights(*lines: int) -> list[int]:
        volume = counted(*(at for at, count in enumerate(lines) for _ in range(count)))
        plotted = histogram.plot(volume, len(lines))
        shown = histogram.draw(plotted, 3, None)[:3]
        bars = zip(*("".join(part for part, _ in row[1:]) for row in shown), strict=True)
        return [sum(" ▁▂▃▄▅▆▇█".index(cell) for cell in bar) for bar in bars]

    assert heights(2, 4, 8) == [6, 12, 24]
    flat = heights(3, 3, 3, 600)
    assert flat == [6, 6, 6, 24]
    assert heights(40, 40, 40, 600) == [14, 14, 14, 24]
    assert heights(41, 41, 41, 600) == [2, 2, 2, 24], "not so flat"


def test_the_legend_names_colours_and_scale() -> None:
    def said(*lines: int) -> str:
        volume = counted(*(at for at, count in enumerate(lines) for _ in range(count)))
        return "".join(part for part, _ in histogram.legend(histogram.plot(volume, len(lines))))

    assert said(1, 1) == "█ errors  █ warnings  █ other lines  ░ gap or offline  ░ backfill"
    assert said(1, 1, 90).startswith("log scale  █ errors")
    assert "".join(part for part, _ in histogram.legend(Plot(1, ()), ascii_only=True)).isascii()


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (Column(EPOCH_MS, EPOCH_MS + 9, VolumeBucket(1)), "12:00:00  1 line"),
        (
            Column(EPOCH_MS, EPOCH_MS + 9, VolumeBucket(1_200, 1, 2, 3, 4), "gap"),
            "12:00:00  1,200 lines, 1 error, 2 warnings, 3 backfilled, 4 repaired, gap",
        ),
    ],
)
def test_a_column_in_words(column: Column, said: str) -> None:
    assert histogram.describe_column(column) == said


def test_the_cursor_cuts_no_time_in_two() -> None:
    begins = range(EPOCH_MS, EPOCH_MS + 40_000, 1_000)
    plotted = Plot(1_000, tuple(Column(at, at + 999, VolumeBucket(1, 0, 0, 0, 0)) for at in begins))
    times = ["12:00:00", "12:00:10", "12:00:20", "12:00:30"]
    assert text(plotted)[-1].split() == times
    assert text(plotted, cursor=18)[-1].replace("▲", " ").split() == times
    assert text(plotted, cursor=14)[-1].split() == [times[0], "▲", *times[2:]]
